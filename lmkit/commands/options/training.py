"""The options that all `train` commands share, said once; a command takes them as one value."""

import os
from dataclasses import dataclass
from typing import Annotated

import typer

from lmkit.commands.ngram.counting import MaxVocab, MinCount
from lmkit.commands.options.figures import Plot
from lmkit.commands.options.normalization import Normalize, Punctuation
from lmkit.commands.options.standard import (
    ADJUSTABLE,
    UNRECORDED,
    Device,
    Embeddings,
    EncodingErrors,
    Json,
    Log,
    Output,
    Restart,
    Resume,
    SaveEvery,
    Seed,
    Tokens,
    choice,
)
from lmkit.commands.options.text_input import TextInput
from lmkit.errors import UsageError

Seconds = float
TEXT = (
    "files", "tokens", "normalize", "punctuation", "by", "pack", "max_vocab", "min_count", "input_form",
    "text_field", "encoding_errors",
)  # fmt: skip
SECTIONS = {
    "Optimization": (
        "batch", "accumulate", "optimizer", "lr", "matrix_lr", "weight_decay", "clip", "dropout", "label_smoothing",
        "teacher_forcing", "loss_at", "seed",
    ),
    "Schedule and length": ("steps", "budget", "schedule", "warmup"),
    "Evaluation and checkpoints": (
        "valid", "valid_fraction", "evaluate_every", "select_by", "average", "patience", "log", "plot", "resume",
        "restart", "save_every", "output",
    ),
    "Hardware": ("threads", "device", "precision", "compile", "shard"),
    "Before a run": ("print_schedule", "find_lr", "find_batch", "mem_limit", "json"),
}  # fmt: skip


def sections(*model: str) -> dict[str, tuple[str, ...]]:
    """Return the sections of a command's help; `model` names its own parameters."""
    return {"Text and tokens": TEXT, "Model": (*model, "embeddings"), **SECTIONS}


@dataclass(frozen=True, kw_only=True)
class Training(TextInput):
    """How to train, whatever the family; the fields are options, by their names."""

    tokens: Tokens = "char"
    normalize: Normalize = "none"
    punctuation: Punctuation = "keep"
    by: Annotated[
        str,
        typer.Option(
            "--by",
            metavar="UNIT",
            callback=choice("stream", "line", "file", "blank-line"),
            help="Sequence unit: the whole text as one `stream`, each `line`, each `file` or record, or each document "
            "that ends at a `blank-line`.",
        ),
    ] = "stream"
    pack: Annotated[
        bool, typer.Option("--pack", help="Pack documents end to end, so that contexts cross their ends.")
    ] = False
    max_vocab: MaxVocab = None
    min_count: MinCount = 1
    valid: Annotated[
        str | None,
        typer.Option("--valid", metavar="FILE", show_default=False, help="Validation text, scored completely."),
        UNRECORDED,
    ] = None
    valid_fraction: Annotated[
        float,
        typer.Option(
            "--valid-fraction",
            metavar="F",
            min=0.0,
            max=0.9,
            help="Validation share: hold out this fraction at the end of the text.",
        ),
    ] = 0.0
    steps: Annotated[
        int | None, typer.Option("--steps", metavar="N", min=1, show_default="500", help="Training steps."), ADJUSTABLE
    ] = None
    budget: Annotated[
        str | None,
        typer.Option(
            "--budget",
            metavar="AMOUNT",
            show_default=False,
            help="Training budget: a time such as `60s`, `5m` or `2h`, or `1e6tokens` or `1e15flops`. The schedule is "
            "fitted to it.",
        ),
        ADJUSTABLE,
    ] = None
    batch: Annotated[int, typer.Option("--batch", metavar="N", min=1, help="Batch size, in rows.")] = 12
    accumulate: Annotated[
        int,
        typer.Option(
            "--accumulate",
            metavar="N",
            min=1,
            help="Gradient accumulation: compute a batch in N parts, to save memory.",
        ),
    ] = 1
    optimizer: Annotated[
        str,
        typer.Option(
            "--optimizer",
            metavar="NAME",
            callback=choice("muon", "adamw"),
            help="Optimizer: `muon` for matrices and AdamW for the rest, or `adamw` for everything.",
        ),
    ] = "muon"
    lr: Annotated[
        float, typer.Option("--lr", metavar="RATE", min=0.0, help="Peak learning rate of AdamW."), ADJUSTABLE
    ] = 0.03
    matrix_lr: Annotated[
        float, typer.Option("--matrix-lr", metavar="RATE", min=0.0, help="Peak learning rate of Muon."), ADJUSTABLE
    ] = 0.06
    schedule: Annotated[
        str,
        typer.Option(
            "--schedule",
            metavar="NAME",
            callback=choice("linear", "wsd", "cosine", "constant", "noam"),
            help="Learning-rate schedule after warm-up: `linear` or `cosine` decay to zero, `wsd` (linear decay over "
            "the last 70 % of the run), `constant`, or `noam` (inverse square root of the step).",
        ),
        ADJUSTABLE,
    ] = "linear"
    warmup: Annotated[
        int | None,
        typer.Option(
            "--warmup",
            metavar="N",
            min=0,
            show_default="2 % of the run",
            help="Warm-up: steps over which the learning rate rises linearly.",
        ),
        ADJUSTABLE,
    ] = None
    weight_decay: Annotated[
        float,
        typer.Option(
            "--weight-decay",
            metavar="W",
            min=0.0,
            help="Weight decay of matrices, decoupled: multiplied by the learning rate.",
        ),
        ADJUSTABLE,
    ] = 0.0
    clip: Annotated[
        float,
        typer.Option(
            "--clip", metavar="NORM", min=0.0, help="Gradient clipping: maximum gradient norm. 0 turns it off."
        ),
        ADJUSTABLE,
    ] = 1.0
    dropout: Annotated[
        float,
        typer.Option(
            "--dropout", metavar="P", min=0.0, max=0.95, help="Dropout probability of activations during training."
        ),
    ] = 0.0
    label_smoothing: Annotated[
        float,
        typer.Option(
            "--label-smoothing",
            metavar="E",
            min=0.0,
            max=0.99,
            help="Label smoothing: share of the target probability spread over all tokens.",
        ),
    ] = 0.0
    teacher_forcing: Annotated[
        float,
        typer.Option(
            "--teacher-forcing",
            metavar="P",
            min=0.0,
            max=1.0,
            help="Teacher forcing: probability that the true token is fed. Otherwise the model's own prediction is "
            "fed.",
        ),
    ] = 1.0
    loss_at: Annotated[
        str,
        typer.Option(
            "--loss-at",
            metavar="MODE",
            callback=choice("all", "last"),
            help="Loss positions: `all` tokens of a row, or the `last` one only.",
        ),
    ] = "all"
    evaluate_every: Annotated[
        int,
        typer.Option(
            "--evaluate-every",
            metavar="N",
            min=0,
            show_default="at the end only",
            help="Evaluation interval on the validation text, in steps.",
        ),
        ADJUSTABLE,
    ] = 0
    select_by: Annotated[
        str | None,
        typer.Option(
            "--select-by",
            metavar="METRIC",
            callback=choice("loss", "accuracy"),
            show_default="the last weights",
            help="Model selection: keep the weights of the best evaluation, by `loss` or `accuracy`.",
        ),
    ] = None
    average: Annotated[
        int,
        typer.Option(
            "--average",
            metavar="N",
            min=1,
            help="Checkpoint averaging: end with the mean weights of the last N evaluations, or of the N best with "
            "--select-by.",
        ),
    ] = 1
    patience: Annotated[
        int,
        typer.Option(
            "--patience",
            metavar="N",
            min=0,
            help="Early stopping: stop after N evaluations without improvement. 0 turns it off.",
        ),
        ADJUSTABLE,
    ] = 0
    embeddings: Embeddings = None
    seed: Seed = 0
    threads: Annotated[
        int | None,
        typer.Option(
            "--threads",
            metavar="N",
            min=1,
            show_default="all cores",
            help="Number of threads. The last digits of results depend on it.",
        ),
        UNRECORDED,
    ] = None
    device: Device = "cpu"
    precision: Annotated[
        str,
        typer.Option(
            "--precision",
            metavar="NAME",
            callback=choice("fp32", "bf16"),
            help="Precision of activations: `fp32` or `bf16`.",
        ),
    ] = "fp32"
    compile: Annotated[bool, typer.Option("--compile", help="Use torch.compile. Worth it only for long runs.")] = False
    shard: Annotated[
        bool,
        typer.Option("--shard", help="Shard the parameters over the processes of torchrun (FSDP)."),
        UNRECORDED,
    ] = False
    print_schedule: Annotated[
        bool, typer.Option("--print-schedule", help="Print the learning rate of each step and exit."), UNRECORDED
    ] = False
    find_lr: Annotated[
        bool,
        typer.Option(
            "--find-lr",
            help="Learning-rate range test: print the loss as rates rise from 1/1000 to 10 times those given, over 100 "
            "steps or --steps, and suggest a rate. Nothing is saved.",
        ),
        UNRECORDED,
    ] = False
    find_batch: Annotated[
        bool,
        typer.Option(
            "--find-batch",
            help="Batch-size search: print the largest --batch or --batch-tokens that leaves a tenth of the memory "
            "free, and its bytes. Nothing is saved.",
        ),
        UNRECORDED,
    ] = False
    mem_limit: Annotated[
        str | None,
        typer.Option(
            "--mem-limit",
            metavar="SIZE",
            show_default="the free memory",
            help="Memory limit of --find-batch, such as `2G`, besides Python and the text.",
        ),
        UNRECORDED,
    ] = None
    json: Json = False
    log: Log = None
    plot: Plot = None
    resume: Resume = False
    restart: Restart = False
    save_every: SaveEvery = 60.0
    encoding_errors: EncodingErrors = "strict"
    output: Output = None

    def check_search(self) -> None:
        """Raises UsageError for options that cannot be combined with a search, or only with one."""
        asked = [name for name in ("print_schedule", "find_lr", "find_batch") if getattr(self, name)]
        named = ["--" + name.replace("_", "-") for name in asked]
        if len(asked) > 1:
            raise UsageError(f"{' and '.join(named)} exclude each other")
        if self.mem_limit is not None and not self.find_batch:
            raise UsageError("--mem-limit needs --find-batch")
        if self.json and not asked:
            raise UsageError("--json needs --print-schedule, --find-lr or --find-batch")
        if asked and (self.resume or self.restart or self.log or self.plot):
            raise UsageError(f"{named[0]} cannot be combined with --resume, --restart, --log or --plot")
        if asked and int(os.environ.get("WORLD_SIZE", "1")) > 1:
            raise UsageError(f"{named[0]} cannot run under torchrun")
        if (self.find_lr or self.print_schedule) and self.budget:
            raise UsageError(f"{named[0]} takes --steps, not --budget")
