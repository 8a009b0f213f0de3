"""The options of `w2v train`, as one value."""

from dataclasses import dataclass
from typing import Annotated, Any

import typer

from lmkit.commands.options.normalization import Normalize, Punctuation, normalization_of
from lmkit.commands.options.standard import (
    ADJUSTABLE,
    UNRECORDED,
    Embeddings,
    EncodingErrors,
    Log,
    Output,
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
            help="`skipgram`: a word predicts each neighbour; `cbow`: its neighbours together predict the word.",
        ),
    ] = "skipgram"
    cbow_combine: Annotated[
        str,
        typer.Option(
            "--cbow-combine",
            metavar="WAY",
            callback=choice("mean", "sum"),
            help="What neighbours are together in cbow: their `mean`, as in word2vec and gensim, or their `sum`.",
        ),
    ] = "mean"
    loss: Annotated[
        str,
        typer.Option(
            "--loss",
            metavar="NAME",
            callback=choice("negative-sampling", "softmax"),
            help="`negative-sampling`, or the full `softmax`, for vocabularies of some thousand words.",
        ),
    ] = "negative-sampling"
    dim: Annotated[int, typer.Option("--dim", metavar="N", min=1, help="Numbers in a vector; 50 to 300 are usual.")] = (
        100
    )
    window: Annotated[
        int, typer.Option("--window", metavar="N", min=1, help="Most words on each side that are neighbours.")
    ] = 5
    static_window: Annotated[
        bool, typer.Option("--static-window", help="All words of the window, not 1 to N of them by a draw.")
    ] = False
    negatives: Annotated[
        str,
        typer.Option(
            "--negatives",
            metavar="N",
            callback=_number_of_negatives,
            help="Words drawn against each word; `auto`: 15 for texts of less than 1,000,000 words, 5 for others.",
        ),
    ] = AUTO
    sample: Annotated[
        float,
        typer.Option(
            "--sample", metavar="F", min=0.0, help="Words more frequent than this are left out at times; 0: none are."
        ),
    ] = 1e-4
    normalize: Normalize = "none"
    punctuation: Punctuation = "keep"
    min_count: Annotated[
        int, typer.Option("--min-count", metavar="N", min=1, help="Words seen less often are left out.")
    ] = 5
    max_vocab: Annotated[
        int | None,
        typer.Option("--max-vocab", metavar="N", min=2, help="Keep the N most frequent words; others are left out."),
    ] = None
    phrases: Annotated[
        int,
        typer.Option(
            "--phrases", metavar="N", min=0, help="Times that pairs of words are joined to phrases, such as new_york."
        ),
    ] = 0
    phrase_threshold: Annotated[
        float,
        typer.Option("--phrase-threshold", metavar="F", min=0.0, help="Score that a phrase must have; higher: fewer."),
    ] = 100.0
    subwords: Annotated[
        str | None,
        typer.Option(
            "--subwords",
            metavar="N-M",
            callback=_span,
            show_default="none",
            help="Make words of their n-grams of N to M characters too, as in 3-6, so that unknown words have vectors.",
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
            help="Of --subwords: n-grams share N vectors by their hash; those that no word has take no memory.",
        ),
    ] = None
    epochs: Annotated[
        int, typer.Option("--epochs", metavar="N", min=1, help="Times that the text is gone through.")
    ] = 5
    lr: Annotated[
        float | None,
        typer.Option(
            "--lr", metavar="RATE", min=0.0, show_default="0.025, of cbow 0.075", help="Learning rate at the beginning."
        ),
        ADJUSTABLE,
    ] = None
    min_lr: Annotated[
        float, typer.Option("--min-lr", metavar="RATE", min=0.0, help="Learning rate at the end."), ADJUSTABLE
    ] = 1e-4
    embeddings: Embeddings = None
    seed: Seed = 0
    threads: Threads = None
    hogwild: Annotated[
        bool,
        typer.Option("--hogwild", help="Threads share the vectors: faster, and never the same bytes twice."),
    ] = False
    memory: Annotated[
        str | None,
        typer.Option(
            "--memory",
            metavar="SIZE",
            show_default="half of what is free",
            help="Memory for the text, such as `2G`, at 8 bytes a word; beyond it the text goes to disk, as numbers.",
        ),
        UNRECORDED,
    ] = None
    temp_dir: TempDir = None
    log: Log = None
    resume: Resume = False
    save_every: SaveEvery = 300.0
    count_updates: Annotated[
        bool,
        typer.Option(
            "--count-updates",
            help="Take one step, from random vectors, and print how many vectors it changed; nothing is kept.",
        ),
        UNRECORDED,
    ] = False
    encoding_errors: Annotated[EncodingErrors, UNRECORDED] = "strict"
    output: Output = None

    def check(self) -> None:
        """Raises UsageError for options that cannot be combined."""
        if self.lr == 0:
            raise UsageError("--lr must be above 0")
        if self.count_updates and (self.resume or self.log or self.embeddings):
            raise UsageError("--count-updates trains nothing; that does not go with --resume, --log or --embeddings")
        if self.buckets is not None and self.subwords is None:
            raise UsageError("--buckets goes with --subwords")

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
