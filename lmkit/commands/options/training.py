"""The options that all `train` commands share, said once; a command takes them as one value."""

import os
from dataclasses import dataclass
from typing import Annotated

import typer

from lmkit.commands.ngram.counting import MaxVocab, MinCount
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
    Resume,
    SaveEvery,
    Seed,
    Tokens,
    choice,
)
from lmkit.commands.options.text_input import TextInput
from lmkit.errors import UsageError

Seconds = float


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
            metavar="WAY",
            callback=choice("stream", "line", "file", "blank-line"),
            help="What is a sequence of its own: the whole text as a `stream`, every `line`, every `file` or record, "
            "or what lies between blank lines.",
        ),
    ] = "stream"
    pack: Annotated[
        bool, typer.Option("--pack", help="Train on documents end to end, so that contexts reach over their ends.")
    ] = False
    max_vocab: MaxVocab = None
    min_count: MinCount = 1
    valid: Annotated[
        str | None,
        typer.Option("--valid", metavar="FILE", show_default=False, help="Text to validate on, all of it."),
        UNRECORDED,
    ] = None
    valid_fraction: Annotated[
        float,
        typer.Option(
            "--valid-fraction", metavar="F", min=0.0, max=0.9, help="Share of the text, its end, to hold out."
        ),
    ] = 0.0
    steps: Annotated[
        int | None, typer.Option("--steps", metavar="N", min=1, show_default="500", help="Steps to train."), ADJUSTABLE
    ] = None
    budget: Annotated[
        str | None,
        typer.Option(
            "--budget",
            metavar="AMOUNT",
            show_default=False,
            help="Train for a time such as `60s`, `5m` or `2h`, for `1e6tokens` or for `1e15flops`; "
            "the schedule is fitted to it.",
        ),
        ADJUSTABLE,
    ] = None
    batch: Annotated[int, typer.Option("--batch", metavar="N", min=1, help="Rows of a batch.")] = 12
    accumulate: Annotated[
        int, typer.Option("--accumulate", metavar="N", min=1, help="Parts that a batch is computed in, to save memory.")
    ] = 1
    optimizer: Annotated[
        str,
        typer.Option(
            "--optimizer",
            metavar="NAME",
            callback=choice("muon", "adamw"),
            help="`muon` for matrices with AdamW for all else, or `adamw` for all.",
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
            callback=choice("linear", "cosine", "constant", "noam"),
            help="How the learning rate goes on after warm-up: `linear` or `cosine` to zero, `constant`, "
            "or `noam`, one over the square root of the step.",
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
            help="Steps over which the rate rises evenly.",
        ),
        ADJUSTABLE,
    ] = None
    weight_decay: Annotated[
        float,
        typer.Option("--weight-decay", metavar="W", min=0.0, help="Share of a matrix lost a step, times the rate."),
        ADJUSTABLE,
    ] = 0.0
    clip: Annotated[
        float, typer.Option("--clip", metavar="NORM", min=0.0, help="Largest norm of a gradient; 0: any."), ADJUSTABLE
    ] = 1.0
    dropout: Annotated[
        float,
        typer.Option("--dropout", metavar="P", min=0.0, max=0.95, help="Share of activations left out in training."),
    ] = 0.0
    label_smoothing: Annotated[
        float,
        typer.Option(
            "--label-smoothing", metavar="E", min=0.0, max=0.99, help="Share of a target given to all tokens."
        ),
    ] = 0.0
    teacher_forcing: Annotated[
        float,
        typer.Option(
            "--teacher-forcing",
            metavar="P",
            min=0.0,
            max=1.0,
            help="Probability that the true token is fed; otherwise the model's own guess is.",
        ),
    ] = 1.0
    loss_at: Annotated[
        str,
        typer.Option(
            "--loss-at",
            metavar="WHERE",
            callback=choice("all", "last"),
            help="Learn from `all` tokens of a row or the `last`.",
        ),
    ] = "all"
    evaluate_every: Annotated[
        int,
        typer.Option(
            "--evaluate-every",
            metavar="N",
            min=0,
            show_default="at the end only",
            help="Steps between evaluations on the validation text.",
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
            help="Keep the weights that did best in an evaluation: by `loss` or by `accuracy`.",
        ),
    ] = None
    patience: Annotated[
        int,
        typer.Option("--patience", metavar="N", min=0, help="Stop after N evaluations without progress; 0: never."),
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
            help="Threads; the last digits of a result depend on them.",
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
            help="Numbers of activations: `fp32` or `bf16`.",
        ),
    ] = "fp32"
    compile: Annotated[bool, typer.Option("--compile", help="Compile the model first: pays in long runs only.")] = False
    shard: Annotated[
        bool,
        typer.Option("--shard", help="Under torchrun: share the weights out among processes, by FSDP."),
        UNRECORDED,
    ] = False
    print_schedule: Annotated[
        bool, typer.Option("--print-schedule", help="Print every step's learning rate and stop."), UNRECORDED
    ] = False
    find_lr: Annotated[
        bool,
        typer.Option(
            "--find-lr",
            help="Print losses at learning rates that rise from 1/1000 to 10 times those given over 100 steps, "
            "or --steps, and a rate to take; nothing is kept.",
        ),
        UNRECORDED,
    ] = False
    find_batch: Annotated[
        bool,
        typer.Option(
            "--find-batch",
            help="Print the largest --batch that leaves a tenth of the memory free, and the bytes it takes; "
            "nothing is kept.",
        ),
        UNRECORDED,
    ] = False
    mem_limit: Annotated[
        str | None,
        typer.Option(
            "--mem-limit",
            metavar="SIZE",
            show_default="what is free",
            help="Memory that --find-batch may fill, such as `2G`, beside Python and the text.",
        ),
        UNRECORDED,
    ] = None
    json: Json = False
    log: Log = None
    plot: Annotated[
        str | None,
        typer.Option(
            "--plot",
            metavar="FILE",
            show_default=False,
            help="Draw the training curve into FILE, .png or .svg; after --resume all of it where --log has it, "
            "else from the saved step on.",
        ),
        UNRECORDED,
    ] = None
    resume: Resume = False
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
            raise UsageError("--mem-limit goes with --find-batch")
        if self.json and not asked:
            raise UsageError("--json goes with --print-schedule, --find-lr or --find-batch")
        if asked and (self.resume or self.log or self.plot):
            raise UsageError(f"{named[0]} trains nothing; that does not go with --resume, --log or --plot")
        if asked and int(os.environ.get("WORLD_SIZE", "1")) > 1:
            raise UsageError(f"{named[0]} is for one process, not for torchrun")
        if (self.find_lr or self.print_schedule) and self.budget:
            raise UsageError(f"{named[0]} takes --steps, not --budget")
