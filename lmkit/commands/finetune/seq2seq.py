"""`lmkit finetune seq2seq`: an encoder-decoder that is trained further, on pairs of one or more tasks."""

from dataclasses import replace
from functools import partial
from typing import Annotated, Any

import typer

from lmkit.commands.options.option_groups import Before, in_sections, with_groups
from lmkit.commands.options.pairs import PAIRS, BatchTokens, PairFiles, PairOptions, SelectBy, expect_measure
from lmkit.commands.options.standard import UNRECORDED, Run
from lmkit.commands.options.training import SECTIONS, Training
from lmkit.commands.options.weights import task_weights
from lmkit.commands.training_run.neural_session import train
from lmkit.commands.training_run.seq2seq_tuning import Seq2SeqTuning, open_base
from lmkit.errors import UsageError

WITHOUT = (
    "tokens", "target_tokens", "vocab_size", "shared", "normalize", "punctuation", "by", "pack", "max_vocab",
    "min_count", "input_form", "text_field", "loss_at", "embeddings", "batch", "find_batch", "mem_limit",
    "training.select_by",
)  # fmt: skip
"""Options of training that have no use where the model has its weights and its tokenizers."""
KEPT = {title: tuple(name for name in names if name not in WITHOUT) for title, names in SECTIONS.items()}
SHOWN = {
    "Pairs": (*(name for name in PAIRS if name not in WITHOUT), "weights", "temperature"),
    **KEPT,
    "Optimization": ("model", "batch_tokens", *KEPT["Optimization"]),
    "Evaluation and checkpoints": ("valid", "valid_source", "valid_target", *KEPT["Evaluation and checkpoints"][1:]),
}  # fmt: skip


@in_sections(SHOWN)
@with_groups(without=WITHOUT, training={"lr": 0.001, "matrix_lr": 0.004})
def seq2seq(
    run: Run,
    files: PairFiles = None,
    *,
    model: Annotated[
        str | None,
        typer.Option(
            "--model", "-m", metavar="MODEL", show_default=False,
            help="Encoder-decoder to train further: a checkpoint, or a folder of T5, MarianMT or BART.",
        ),
        UNRECORDED,
    ] = None,
    pairs: PairOptions,
    weights: Annotated[
        str | None,
        typer.Option(
            "--weights", metavar="LIST", show_default="by size",
            help="Weights of tasks by the names of their PAIRS without endings, such as `qa=0.7,sums=0.3`.",
        ),
    ] = None,
    temperature: Annotated[
        float,
        typer.Option(
            "--temperature", "-t", metavar="T", min=0.01,
            help="Temperature: weights (or sizes) to the power of 1/T.",
        ),
    ] = 1.0,
    batch_tokens: BatchTokens = 2000,
    select_by: Annotated[SelectBy, Before("average")] = None,
    training: Training,
) -> None:  # fmt: skip
    """Train an encoder-decoder further, on pairs of one or more tasks.

    Training starts from the weights of MODEL, with its tokenizers: after `train seq2seq --objective spans`, a folder
    of T5, or a translator that is to learn another domain. Several PAIRS are tasks of a mixture: with --weights or
    --temperature an epoch has as many pairs as all together, of each task its share, and small ones come again.
    `lmkit data format --style t5` puts prefixes on sources, by which one model tells its tasks apart.

    Examples:
      lmkit finetune seq2seq -m pretrained.lm pairs.tsv --valid dev.tsv -o mt.lm
      lmkit finetune seq2seq -m t5-small qa.jsonl sums.jsonl --weights qa=0.7,sums=0.3 -o tasks.lm
      lmkit finetune seq2seq -m mt.lm --source law.es --target law.en --budget 5m -o law.lm
    """
    pairs.check(files, training.valid, training.valid_fraction)
    expect_measure(select_by)
    if weights is not None and pairs.source is not None:
        raise UsageError("--weights mixes several PAIRS and cannot be combined with --source")
    shares = task_weights(files or [], weights)
    inputs = files or ([pairs.source, pairs.target] if pairs.source is not None and pairs.target is not None else [])
    base = open_base(model)

    def settings(_vocabulary: int, _sources: int | None = None) -> Any:
        return base.settings

    setup = partial(Seq2SeqTuning, pairs=pairs, base=base, shares=shares, temperature=temperature)
    train(run, inputs, replace(training, select_by=select_by), settings, time_steps=batch_tokens, setup=setup)
