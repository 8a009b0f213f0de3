"""`lmkit train seq2seq`: an encoder-decoder, for translation and whatever else turns a text into a text."""

from dataclasses import replace
from functools import partial
from typing import Annotated, Any

import typer

from lmkit.commands.options.denoising import DENOISING, DenoisingOptions
from lmkit.commands.options.option_groups import in_sections, with_groups
from lmkit.commands.options.pairs import (
    EMBEDDINGS,
    HEAD,
    PAIRS,
    BatchTokens,
    EmbeddingRate,
    HeadRate,
    PairFiles,
    PairOptions,
    SelectBy,
    expect_measure,
)
from lmkit.commands.options.standard import Run, choice
from lmkit.commands.options.training import SECTIONS, Training
from lmkit.commands.options.transformer_stacks import STACKS, StackOptions
from lmkit.commands.training_run.denoising_setup import DenoisingSetup
from lmkit.commands.training_run.neural_session import train
from lmkit.commands.training_run.seq2seq_setup import Seq2SeqSetup
from lmkit.errors import UsageError

ARCHITECTURES = ("rnn", "transformer")
MODEL = (
    "arch", "layers", "width", "tied", "cell", "attention", "timing", "context_every_step", "input_feeding", *STACKS,
)  # fmt: skip
RNN = ("cell", "attention", "timing", "context_every_step", "input_feeding")
"""Options of `--arch rnn` alone."""
NAMED = {"timing": "--attn-timing"}
"""Options that are not spelled as their parameters."""
WITHOUT = (
    "training.tokens", "normalize", "punctuation", "by", "pack", "max_vocab", "min_count", "input_form", "loss_at",
    "embeddings", "batch", "training.select_by",
)  # fmt: skip
LENGTHS = {
    **{title: tuple(name for name in names if name not in WITHOUT) for title, names in SECTIONS.items()},
    "Optimization": (
        "batch_tokens",
        "embedding_lr",
        "head_lr",
        *(name for name in SECTIONS["Optimization"] if name not in WITHOUT),
    ),
    "Evaluation and checkpoints": (
        "valid",
        "valid_source",
        "valid_target",
        *SECTIONS["Evaluation and checkpoints"][1:],
    ),
}


@in_sections({"Pairs and tokens": PAIRS, "Objective": (*DENOISING, "text_field"), "Model": MODEL, **LENGTHS})
@with_groups(without=WITHOUT, training={"lr": 0.02, "matrix_lr": 0.03, "schedule": "wsd"})
def seq2seq(
    run: Run,
    files: PairFiles = None,
    *,
    pairs: PairOptions,
    denoising: DenoisingOptions,
    arch: Annotated[
        str,
        typer.Option(
            "--arch", metavar="NAME", callback=choice(*ARCHITECTURES),
            help="Architecture: `rnn`, recurrent encoder and decoder, or `transformer`.",
        ),
    ] = "rnn",
    layers: Annotated[
        int | None,
        typer.Option(
            "--layers", metavar="N", min=1, show_default="1; 2 for transformer",
            help="Number of layers.",
        ),
    ] = None,
    width: Annotated[
        int | None,
        typer.Option(
            "--width", metavar="N", min=1, show_default="256; 128 for transformer", help="Hidden size (d_model)."
        ),
    ] = None,
    tied: Annotated[
        bool | None,
        typer.Option(
            "--tied/--untied", show_default="untied; the preset's",
            help="Tied embeddings: the head uses the embedding matrix.",
        ),
    ] = None,
    cell: Annotated[
        str,
        typer.Option("--cell", metavar="NAME", callback=choice("elman", "lstm", "gru"), help="Cell of --arch rnn."),
    ] = "lstm",
    attention: Annotated[
        str,
        typer.Option(
            "--attention", metavar="SCORE", callback=choice("none", "dot", "general", "concat"),
            help="Attention of --arch rnn: score of decoder state h and source state s: `dot` h s, `general` h W s, "
            "`concat` v tanh(W [h; s]), or `none`: the decoder sees only the encoder's last state.",
        ),
    ] = "general",
    timing: Annotated[
        str,
        typer.Option(
            "--attn-timing", metavar="NAME", callback=choice("prev", "current"),
            help="Decoder state that attends: the `prev` one (Bahdanau et al. 2015), or the `current` one (Luong et "
            "al. 2015).",
        ),
    ] = "current",
    context_every_step: Annotated[
        bool, typer.Option("--context-every-step", help="Feed the encoder's last state to the decoder at every step.")
    ] = False,
    input_feeding: Annotated[
        bool, typer.Option("--input-feeding", help="Feed what attention made of the last step to the next one.")
    ] = False,
    batch_tokens: BatchTokens = 2000,
    embedding_lr: EmbeddingRate = None,
    head_lr: HeadRate = None,
    stacks: StackOptions,
    select_by: SelectBy = None,
    training: Training,
) -> None:  # fmt: skip
    """Train an encoder-decoder on pairs: translation, or any text to text.

    Pairs are TSV, JSON Lines, or two files of as many lines. Each side has its own tokenizer, learned from the
    pairs unless --tokens names one. `lmkit sample -m MT.lm` writes a target for each line of sources; `score` and
    `ppl` take --pairs. The default is an LSTM with attention; both architectures' defaults are for minutes on a
    CPU. See lmkit-seq2seq(7).

    Examples:
      lmkit train seq2seq pairs.tsv -o mt.lm
      lmkit train seq2seq --source train.es --target train.en --budget 3m --valid-fraction 0.02 -o mt.lm
      lmkit train seq2seq pairs.tsv --attention none --context-every-step -o fixed.lm
      lmkit train seq2seq pairs.tsv --arch transformer --preset t5 --shared --layers 3 -o t5.lm
      lmkit train seq2seq pairs.jsonl --valid dev.jsonl --select-by bleu --evaluate-every 200 -o mt.lm
      lmkit train seq2seq --objective spans --arch transformer texts.txt -o pretrained.lm
    """
    pairs.check(files, training.valid, training.valid_fraction)
    denoising.check(run.given)
    if training.text_field is not None and not denoising.on_texts:
        raise UsageError("--field is about texts: --objective spans or noise")
    shared = pairs.shared or denoising.on_texts
    expect_measure(select_by)
    _refuse(run, arch)
    given: dict[str, Any] = {"layers": layers, "width": width, "tied": tied}
    given = {name: value for name, value in given.items() if value is not None}
    own: dict[str, Any] = {
        "cell": cell, "attention": attention, "timing": timing, "context_every_step": context_every_step,
        "input_feeding": input_feeding,
    }  # fmt: skip
    if arch == "transformer":
        given |= stacks.changes(layers, width)

    def settings(vocabulary: int, sources: int | None = None) -> Any:
        sizes: dict[str, Any] = {"vocabulary": vocabulary, "source_vocabulary": sources or vocabulary}
        if arch == "transformer":
            from lmkit.architectures import presets

            return presets.seq2seq(stacks.preset, **sizes, shared=shared, **given)
        from lmkit.architectures.seq2seq_rnn import Seq2SeqRNNConfig

        return Seq2SeqRNNConfig(**sizes, shared=shared, **{**own, **given})

    inputs = files or ([pairs.source, pairs.target] if pairs.source is not None and pairs.target is not None else [])
    rates = {
        "embeddings": EMBEDDINGS * training.lr if embedding_lr is None else embedding_lr,
        "head": HEAD * training.lr if head_lr is None else head_lr,
    }
    setup: Any = partial(Seq2SeqSetup, pairs=pairs, rates=rates)
    if denoising.on_texts:
        setup = partial(DenoisingSetup, pairs=pairs, rates=rates, denoising=denoising)
    train(run, inputs, replace(training, select_by=select_by), settings, time_steps=batch_tokens, setup=setup)


def _refuse(run: Run, arch: str) -> None:
    """Raises UsageError for options that are not about the architecture."""
    others = STACKS if arch == "rnn" else RNN
    wrong = [name for name in others if name in run.given]
    if wrong:
        named = NAMED.get(wrong[0], "--" + wrong[0].replace("_", "-"))
        raise UsageError(f"{named} is for --arch {'transformer' if arch == 'rnn' else 'rnn'}")
