"""Options of `lmkit finetune` about a model to begin with: which of its tensors train, and how."""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from lmkit.commands.options.standard import (
    ADJUSTABLE,
    UNRECORDED,
    Device,
    Log,
    Restart,
    Resume,
    SaveEvery,
    Threads,
    choice,
    suggested,
)
from lmkit.errors import UsageError

if TYPE_CHECKING:
    from lmkit.architectures.adapters import Adapter

MODES = ("all", "head", "lora")
RATES = {"all": 0.03, "layers": 0.03, "lora": 0.3}
"""Peak learning rates where none is given, times the hidden size; those of a head alone are HEAD_RATE."""
HEAD_RATE = 2e-3
NAMES = (
    "windows", "train", "rank", "alpha", "targets", "pooling", "epochs", "batch", "accumulate", "lr", "weight_decay",
    "dropout", "label_smoothing", "patience", "seeds", "log", "resume", "restart", "save_every", "device", "threads",
)  # fmt: skip
"""The options that need a model to begin with."""

Base = Annotated[
    str | None,
    typer.Option(
        "--model", "-m", metavar="MODEL", show_default=False,
        help="Model to fine-tune: a transformer, a recurrent model, an encoder or word vectors, as a checkpoint or a "
        "Hugging Face folder.",
    ),
    UNRECORDED,
]  # fmt: skip


WeightDecay = Annotated[
    float,
    typer.Option(
        "--weight-decay", metavar="W", min=0.0,
        help="Weight decay of matrices, decoupled: multiplied by the learning rate.",
    ),
    ADJUSTABLE,
]  # fmt: skip
Patience = Annotated[
    int,
    typer.Option(
        "--patience", metavar="N", min=0,
        help="Early stopping: stop after N evaluations, one an epoch, without improvement. 0 turns it off.",
    ),
    ADJUSTABLE,
]  # fmt: skip


@dataclass(frozen=True)
class NeuralFinetuning:
    """How a neural model is fine-tuned."""

    train: Annotated[
        str,
        typer.Option(
            "--train", metavar="MODE",
            help="What trains beside the head: `all` of the model, the `head` alone, `layers=A-B` (from 0), or "
            "`lora`: low-rank adapters beside matrices that stay as they are.",
        ),
    ] = "all"  # fmt: skip
    rank: Annotated[int, typer.Option("--rank", metavar="R", min=1, help="Rank of --train lora.")] = 8
    alpha: Annotated[
        float | None,
        typer.Option(
            "--alpha", metavar="A", min=1e-6, show_default="twice the rank",
            help="Scale of --train lora: A / R times the product of the two low-rank matrices.",
        ),
    ] = None  # fmt: skip
    targets: Annotated[
        str,
        typer.Option(
            "--targets", metavar="LIST", callback=suggested("all"),
            help="Matrices of --train lora: comma-separated parts of their names, or `all`.",
        ),
    ] = "q_proj,v_proj"  # fmt: skip
    pooling: Annotated[
        str | None,
        typer.Option(
            "--pooling", metavar="MODE", callback=choice("cls", "last", "mean"),
            show_default="last; cls for encoders",
            help="Vector of a text: the state at the first token (`cls`), at the `last`, or their `mean`.",
        ),
    ] = None  # fmt: skip
    epochs: Annotated[
        float,
        typer.Option("--epochs", metavar="N", min=0.001, help="Passes over the examples."),
        ADJUSTABLE,
    ] = 3.0  # fmt: skip
    batch: Annotated[int, typer.Option("--batch", metavar="N", min=1, help="Batch size, in examples.")] = 16
    accumulate: Annotated[
        int,
        typer.Option(
            "--accumulate", metavar="N", min=1,
            help="Gradient accumulation: compute a batch in N parts, to save memory.",
        ),
    ] = 1  # fmt: skip
    lr: Annotated[
        float | None,
        typer.Option(
            "--lr", metavar="RATE", min=0.0, help="Peak learning rate of AdamW.",
            show_default="0.03 / hidden size; lora: 10 times that, head: 0.002",
        ),
        ADJUSTABLE,
    ] = None  # fmt: skip
    weight_decay: WeightDecay = 0.01
    dropout: Annotated[
        float,
        typer.Option(
            "--dropout", metavar="P", min=0.0, max=0.95, help="Dropout probability of activations during training."
        ),
    ] = 0.1  # fmt: skip
    label_smoothing: Annotated[
        float,
        typer.Option(
            "--label-smoothing", metavar="E", min=0.0, max=0.99,
            help="Label smoothing: share of the target probability spread over all labels.",
        ),
    ] = 0.0  # fmt: skip
    patience: Patience = 0
    seeds: Annotated[
        int,
        typer.Option(
            "--seeds", metavar="N", min=1, max=30,
            help="Train N times, from --seed on, and print the mean of the validation measures with its 95 % interval; "
            "the checkpoint is the first one.",
        ),
    ] = 1  # fmt: skip
    log: Log = None
    resume: Resume = False
    restart: Restart = False
    save_every: SaveEvery = 60.0
    device: Device = "cpu"
    threads: Threads = None

    @property
    def mode(self) -> tuple[str, tuple[int, int] | None]:
        """What trains: one of MODES, or `layers` with the first and the last. Raises UsageError."""
        found = re.fullmatch(r"layers=(\d{1,4})(?:-(\d{1,4}))?", self.train, re.ASCII)
        if found:
            first, last = int(found[1]), int(found[2] or found[1])
            if first > last:
                raise UsageError(f"--train {self.train}: the first layer is behind the last")
            return "layers", (first, last)
        if self.train not in MODES:
            raise UsageError(f"--train {self.train!r} is not one of {', '.join(MODES)} or layers=A-B")
        return self.train, None

    def rate(self, width: int) -> float:
        """The peak learning rate for a hidden size."""
        if self.lr is not None:
            return self.lr
        mode, _ = self.mode
        return RATES[mode] / width if mode in RATES else HEAD_RATE

    @property
    def adapter(self) -> "Adapter | None":
        """The adapter of `lora`, None for other modes. Raises UsageError."""
        from lmkit.architectures.adapters import Adapter

        if self.mode[0] != "lora":
            return None
        targets = tuple(name.strip() for name in self.targets.split(",") if name.strip())
        return Adapter(rank=self.rank, alpha=2.0 * self.rank if self.alpha is None else self.alpha, targets=targets)
