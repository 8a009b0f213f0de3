"""`lmkit train encoder`: an encoder-only transformer."""

import inspect
from functools import partial
from typing import Annotated, Any

import typer

from lmkit.commands.options.masking import MaskRate, WholeWord
from lmkit.commands.options.option_groups import in_sections, with_groups
from lmkit.commands.options.standard import Run, choice
from lmkit.commands.options.text_input import TextFiles
from lmkit.commands.options.training import Training, sections
from lmkit.commands.training_run.encoder_setup import MLM, OBJECTIVES, PAIRS, TASKS, EncoderSetup
from lmkit.commands.training_run.neural_session import train
from lmkit.errors import UsageError

PRESETS = ("fast", "bert-base", "bert-large", "roberta", "electra-small", "modernbert-base")
FAST = {"layers": 4, "width": 256, "heads": 4, "context": 128}
"""The size of the preset `fast`; the others have that of the published model."""
WITHOUT = (
    "normalize", "punctuation", "pack", "max_vocab", "min_count", "label_smoothing", "teacher_forcing", "loss_at",
    "embeddings",
)  # fmt: skip
"""Options of language models that encoders have no use for."""


OWN = ("objective", "mask_rate", "whole_word", "preset", "context", "layers", "width", "heads", "hidden", "positions")
SECTIONS = {title: tuple(name for name in names if name not in WITHOUT) for title, names in sections(*OWN).items()}


@in_sections(SECTIONS)
@with_groups(
    without=WITHOUT,
    training={"tokens": inspect.Parameter.empty, "batch": 16, "lr": 0.01, "matrix_lr": 0.02},
)
def encoder(
    run: Run,
    files: TextFiles = None,
    objective: Annotated[
        str,
        typer.Option(
            "--objective",
            metavar="NAME",
            callback=choice(*OBJECTIVES),
            help="Objective: `mlm`, masked language modelling; `mlm+nsp`, also next-sentence prediction (BERT); "
            "`electra`, replaced-token detection.",
        ),
    ] = MLM,
    mask_rate: MaskRate = 0.15,
    whole_word: WholeWord = False,
    preset: Annotated[
        str,
        typer.Option(
            "--preset",
            metavar="NAME",
            callback=choice(*PRESETS),
            help="Architecture and size that the options below modify: `fast`, `bert-base`, `bert-large`, `roberta`, "
            "`electra-small` or `modernbert-base`.",
        ),
    ] = "fast",
    context: Annotated[
        int | None,
        typer.Option(
            "--context", metavar="N", min=1, show_default="the preset's; 128 for fast",
            help="Context length, in tokens.",
        ),
    ] = None,
    layers: Annotated[
        int | None,
        typer.Option(
            "--layers", metavar="N", min=1, show_default="the preset's; 4 for fast", help="Number of layers."
        ),
    ] = None,
    width: Annotated[
        int | None,
        typer.Option(
            "--width", metavar="N", min=1, show_default="the preset's; 256 for fast", help="Hidden size (d_model)."
        ),
    ] = None,
    heads: Annotated[
        int | None,
        typer.Option(
            "--heads", metavar="N", min=1, show_default="the preset's; 4 for fast",
            help="Attention heads, each of size --width / N.",
        ),
    ] = None,
    hidden: Annotated[
        int | None,
        typer.Option(
            "--hidden", metavar="N", min=1, show_default="the preset's; 8/3 times --width for fast, else 4 times",
            help="Feed-forward size (d_ff).",
        ),
    ] = None,
    positions: Annotated[
        str | None,
        typer.Option(
            "--positions", metavar="NAME", callback=choice("learned", "rope", "none"), show_default="the preset's",
            help="Positional encoding: `learned`, `rope` or `none`, which reads a text as a bag of words.",
        ),
    ] = None,
    *,
    training: Training,
) -> None:  # fmt: skip
    """Train an encoder: BERT's kind of model, which reads both ways.

    --tokens names a tokenizer with [MASK], such as one of `lmkit bpe train --algorithm wordpiece`. Masks change in
    each epoch; validation has one mask of 15 %. Sequences are never padded: a `stream` is cut into --batch rows of
    --context tokens, and lines or documents are packed to as many. mlm+nsp reads a sentence per line and blank lines
    between documents. electra saves the discriminator; its generator has a quarter of the heads. The default preset
    learns most per unit of time on a CPU: rotary positions, pre-norm RMSNorm, QK-norm, gated feed-forward, Muon.

    Examples:
      lmkit train encoder --tokens wp.lm train.txt --valid valid.txt -o enc.lm
      lmkit train encoder --objective electra --tokens wp.lm --by line --budget 10m train.txt -o electra.lm
      lmkit train encoder --preset bert-base --objective mlm+nsp --tokens wp.lm --layers 2 book.txt -o bert.lm
    """
    changes: dict[str, Any] = dict(FAST) if preset == "fast" else {}
    given = {
        "context": context, "layers": layers, "width": width, "heads": heads, "hidden": hidden, "positions": positions,
    }  # fmt: skip
    changes |= {name: value for name, value in given.items() if value is not None}
    if "hidden" not in changes and (preset == "fast" or width is not None):
        gated = preset in ("fast", "modernbert-base")
        changes["hidden"] = -(-changes["width"] * 8 // 3 // 8) * 8 if gated else 4 * changes["width"]
    changes |= {"task": TASKS[objective], "pooler": objective == PAIRS}
    if objective == PAIRS:
        changes["segments"] = 2

    def settings(vocabulary: int) -> Any:
        from lmkit.architectures import presets

        return presets.encoder(preset, vocabulary=vocabulary, **changes)

    made = settings(1)
    if made.context < (LEAST_PAIR if objective == PAIRS else LEAST):
        raise UsageError(f"--context {made.context} has no room for a text between special tokens")
    if mask_rate == 0:
        raise UsageError("--mask-rate 0 leaves nothing to predict")
    setup = partial(EncoderSetup, goal=objective, mask_rate=mask_rate, whole_word=whole_word)
    train(run, files or [], training, settings, time_steps=made.context, setup=setup)


LEAST, LEAST_PAIR = 3, 5
"""Tokens of the shortest sequences: a token, or one of each text, and those around."""
