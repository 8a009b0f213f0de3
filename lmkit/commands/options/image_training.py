"""Options of training on images, which `train vision` and `train captioner` share."""

from dataclasses import dataclass
from typing import Annotated

import typer

from lmkit.commands.options.neural_finetuning import Patience, WeightDecay
from lmkit.commands.options.standard import (
    ADJUSTABLE,
    UNRECORDED,
    Log,
    Output,
    Restart,
    Resume,
    SaveEvery,
    Seed,
    Threads,
)

NAMES = (
    "epochs", "batch", "lr", "weight_decay", "patience", "seed", "threads", "log", "resume", "restart", "save_every",
)  # fmt: skip
"""The options of a run, as a section of the help."""


@dataclass(frozen=True, kw_only=True)
class ImageTraining:
    """How a model is trained on images; the fields are options, by their names."""

    valid: Annotated[
        str | None,
        typer.Option(
            "--valid", metavar="FILE", show_default=False,
            help="Validation images; the weights of the epoch with the best accuracy on them are kept.",
        ),
        UNRECORDED,
    ] = None  # fmt: skip
    epochs: Annotated[
        float,
        typer.Option(
            "--epochs", metavar="N", min=0.0, help="Passes over the images; 0 writes the first weights, untrained."
        ),
        ADJUSTABLE,
    ] = 30.0  # fmt: skip
    batch: Annotated[int, typer.Option("--batch", metavar="N", min=1, help="Batch size, in images.")] = 32
    lr: Annotated[
        float,
        typer.Option("--lr", metavar="RATE", min=0.0, help="Peak learning rate of AdamW."),
        ADJUSTABLE,
    ] = 0.001  # fmt: skip
    weight_decay: WeightDecay = 0.05
    patience: Patience = 0
    seed: Seed = 0
    threads: Threads = None
    log: Log = None
    resume: Resume = False
    restart: Restart = False
    save_every: SaveEvery = 60.0
    output: Output = None
