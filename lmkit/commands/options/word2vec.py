"""The options of `w2v train`, as one value."""

from dataclasses import dataclass
from typing import Annotated, Any

import typer

from lmkit.commands.options.engine import Scheduler
from lmkit.commands.options.normalization import Normalize, Punctuation, normalization_of
from lmkit.commands.options.standard import (
    ADJUSTABLE,
    UNRECORDED,
    Embeddings,
    EncodingErrors,
    Log,
    Output,
    Restart,
    Resume,
    SaveEvery,
    Seed,
    TempDir,
    Threads,
    choice,
)
from lmkit.commands.options.text_input import TextInput
from lmkit.errors import UsageError
from lmkit.tokenization.normalization import Normalization

AUTO = "auto"
BUCKETS, MOST_BUCKETS = 2_000_000, 2**31 - 1  # fastText's number, and what an id has room for
MOST_NEGATIVES = 1000
SECTIONS = {
    "Text and vocabulary": (
        "files", "normalize", "punctuation", "min_count", "max_vocab", "phrases", "phrase_threshold", "input_form",
        "text_field", "encoding_errors",
    ),
    "Model": (
        "arch", "cbow_combine", "loss", "dim", "window", "static_window", "negatives", "subwords", "buckets",
        "embeddings",
    ),
    "Optimization": ("sample", "epochs", "lr", "min_lr", "seed"),
    "Output and checkpoints": ("log", "resume", "restart", "save_every", "count_updates", "output"),
    "Resources": ("threads", "hogwild", "memory", "temp_dir", "engine", "scheduler"),
}  # fmt: skip


def _number_of_negatives(value: str) -> str:
    if value != AUTO and not (
        value.isdecimal() and value.isascii() and len(value) < 10 and 0 < int(value) <= MOST_NEGATIVES
    ):
        raise typer.BadParameter(f"{value!r} is neither {AUTO} nor a number from 1 to {MOST_NEGATIVES}.")
    return value


_number_of_negatives.names = (AUTO,)  # type: ignore[attr-defined]


def _span(value: str | None) -> str | None:
    """Held to `N` or `N-M`."""
    if value is not None:
        ends = value.split("-")
        if len(ends) > 2 or not all(end.isdecimal() and end.isascii() and len(end) < 10 for end in ends):
            raise typer.BadParameter(f"{value!r} is neither a number nor two, as in 3-6.")
        if not 0 < int(ends[0]) <= int(ends[-1]):
            raise typer.BadParameter(f"{value!r} begins " + ("with 0." if not int(ends[0]) else "after its end."))
    return value


@dataclass(frozen=True, kw_only=True)
class Word2VecOptions(TextInput):
    """Which words, how their vectors learn, and what is written; the fields are options, by their names."""

    arch: Annotated[
        str,
        typer.Option(
            "--arch",
            metavar="NAME",
            callback=choice("skipgram", "cbow"),
            help="Architecture: `skipgram` predicts each context word from the centre, `cbow` the centre from its "
            "context.",
        ),
    ] = "skipgram"
    cbow_combine: Annotated[
        str,
        typer.Option(
            "--cbow-combine",
            metavar="MODE",
            callback=choice("mean", "sum"),
            help="CBOW combination of context vectors: `mean`, as in word2vec and gensim, or `sum`.",
        ),
    ] = "mean"
    loss: Annotated[
        str,
        typer.Option(
            "--loss",
            metavar="NAME",
            callback=choice("negative-sampling", "softmax"),
            help="Loss: `negative-sampling`, or full `softmax`, for vocabularies of a few thousand words.",
        ),
    ] = "negative-sampling"
    dim: Annotated[
        int, typer.Option("--dim", metavar="N", min=1, help="Dimension of the vectors; 50 to 300 are usual.")
    ] = 100
    window: Annotated[
        int,
        typer.Option("--window", metavar="N", min=1, help="Window size: maximum number of context words on each side."),
    ] = 5
    static_window: Annotated[
        bool,
        typer.Option(
            "--static-window", help="Static window: always use all N words, instead of a random number from 1 to N."
        ),
    ] = False
    negatives: Annotated[
        str,
        typer.Option(
            "--negatives",
            metavar="N",
            callback=_number_of_negatives,
            help="Negative samples per pair; `auto` draws 15 for texts under 1,000,000 words, else 5.",
        ),
    ] = AUTO
    sample: Annotated[
        float,
        typer.Option(
            "--sample",
            metavar="F",
            min=0.0,
            help="Subsampling threshold: words of higher relative frequency are randomly dropped. 0 turns it off.",
        ),
    ] = 1e-4
    normalize: Normalize = "none"
    punctuation: Punctuation = "keep"
    min_count: Annotated[
        int, typer.Option("--min-count", metavar="N", min=1, help="Minimum count: rarer words are dropped.")
    ] = 5
    max_vocab: Annotated[
        int | None,
        typer.Option(
            "--max-vocab",
            metavar="N",
            min=2,
            help="Vocabulary limit: keep the N most frequent words. Others are dropped.",
        ),
    ] = None
    phrases: Annotated[
        int,
        typer.Option(
            "--phrases",
            metavar="N",
            min=0,
            help="Phrase passes: how often frequent word pairs are joined, as in new_york.",
        ),
    ] = 0
    phrase_threshold: Annotated[
        float,
        typer.Option(
            "--phrase-threshold",
            metavar="F",
            min=0.0,
            help="Phrase threshold: minimum score of a phrase. Higher values give fewer phrases.",
        ),
    ] = 100.0
    subwords: Annotated[
        str | None,
        typer.Option(
            "--subwords",
            metavar="N-M",
            callback=_span,
            show_default="none",
            help="Subwords: compose words of their character n-grams of length N to M, such as `3-6`, so that unknown "
            "words have vectors.",
        ),
    ] = None
    buckets: Annotated[
        int | None,
        typer.Option(
            "--buckets",
            metavar="N",
            min=1,
            max=MOST_BUCKETS,
            show_default=f"{BUCKETS:,}",
            help="Hash buckets of --subwords: n-grams share N vectors by hash. Unused buckets take no memory.",
        ),
    ] = None
    epochs: Annotated[int, typer.Option("--epochs", metavar="N", min=1, help="Epochs: passes over the text.")] = 5
    lr: Annotated[
        float | None,
        typer.Option(
            "--lr", metavar="RATE", min=0.0, show_default="0.025; for cbow 0.075", help="Initial learning rate."
        ),
        ADJUSTABLE,
    ] = None
    min_lr: Annotated[
        float, typer.Option("--min-lr", metavar="RATE", min=0.0, help="Final learning rate."), ADJUSTABLE
    ] = 1e-4
    embeddings: Embeddings = None
    seed: Seed = 0
    threads: Threads = None
    hogwild: Annotated[
        bool,
        typer.Option(
            "--hogwild", help="Hogwild: threads update shared vectors without locks. Faster, but not reproducible."
        ),
    ] = False
    memory: Annotated[
        str | None,
        typer.Option(
            "--memory",
            metavar="SIZE",
            show_default="half of the free memory",
            help="Memory limit for the text, such as `2G`, at 8 bytes per word. Beyond it, word ids go to disk.",
        ),
        UNRECORDED,
    ] = None
    temp_dir: TempDir = None
    engine: Annotated[
        str | None,
        typer.Option(
            "--engine",
            metavar="NAME",
            callback=choice("dask"),
            show_default="this process",
            help="Engine: `dask` reads each FILE in a task, for the vocabulary. Training is one process.",
        ),
        UNRECORDED,
    ] = None
    scheduler: Annotated[Scheduler, UNRECORDED] = None
    log: Log = None
    resume: Resume = False
    restart: Restart = False
    save_every: SaveEvery = 300.0
    count_updates: Annotated[
        bool,
        typer.Option(
            "--count-updates",
            help="Take one training step and print how many vectors it changed. Nothing is saved.",
        ),
        UNRECORDED,
    ] = False
    encoding_errors: Annotated[EncodingErrors, UNRECORDED] = "strict"
    output: Output = None

    def check(self) -> None:
        """Raises UsageError for options that cannot be combined."""
        if self.lr == 0:
            raise UsageError("--lr must be above 0")
        if self.count_updates and (self.resume or self.restart or self.log or self.embeddings):
            raise UsageError("--count-updates cannot be combined with --resume, --restart, --log or --embeddings")
        if self.buckets is not None and self.subwords is None:
            raise UsageError("--buckets needs --subwords")

    @property
    def subword_lengths(self) -> tuple[int, int]:
        """The least and the greatest number of characters of the n-grams that make words."""
        ends = (self.subwords or "0").split("-")
        return int(ends[0]), int(ends[-1])

    @property
    def normalization(self) -> Normalization:
        """How the text is normalised before it is split into words."""
        return normalization_of(self.normalize, self.punctuation)

    def config(self) -> dict[str, Any]:
        """Return the fields of a TrainingConfig but the number of negatives, which may depend on the text."""
        return {
            "architecture": self.arch, "combine": self.cbow_combine, "loss": self.loss, "dim": self.dim,
            "window": self.window, "dynamic": not self.static_window, "sample": self.sample, "epochs": self.epochs,
            "seed": self.seed, "least_lr": self.min_lr, "lr": self.lr or (0.075 if self.arch == "cbow" else 0.025),
        }  # fmt: skip
