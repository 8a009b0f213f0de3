"""Options of `lmkit finetune`: the examples, and what the bag of n-grams is made of."""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from lmkit.commands.options.normalization import Normalize, normal_forms
from lmkit.commands.options.standard import UNRECORDED, Output, Seed, choice
from lmkit.errors import UsageError
from lmkit.io.record_reader import FORMS
from lmkit.tokenization.normalization import Normalization

if TYPE_CHECKING:
    from lmkit.linear_models.ngram_features import NgramSettings

Train = Annotated[
    str,
    typer.Argument(
        metavar="[FILE]", show_default=False,
        help="Examples: TSV (text, tab, label; or text, tab, text, tab, label) or JSON Lines (`text`, `pair`, "
        "`label`); `-` or none: stdin.",
    ),
    UNRECORDED,
]  # fmt: skip
ClassWeights = Annotated[
    str,
    typer.Option(
        "--class-weights", metavar="MODE", callback=choice("none", "balanced"),
        help="Weights of examples in the loss: `none`, or `balanced`, inversely proportional to the label's frequency.",
    ),
]  # fmt: skip
Windows = Annotated[
    bool,
    typer.Option(
        "--windows",
        help="Read a text longer than the context in overlapping windows, and answer with the mean of their "
        "probabilities or numbers, instead of cutting it.",
    ),
]  # fmt: skip
BAG = ("ngrams", "char_ngrams", "min_count", "hash_bits", "normalize", "l2", "folds", "dim")
"""The options of the bag of n-grams."""
VECTORS = ("epochs", "batch", "lr")
"""Those of fine-tuning that vectors of n-grams have too."""
TUNING = (
    "train", "rank", "alpha", "targets", "pooling", "epochs", "batch", "accumulate", "lr", "weight_decay",
    "dropout", "label_smoothing", "patience", "seeds", "log", "resume", "restart", "save_every", "device", "threads",
)  # fmt: skip
"""The options of fine-tuning a neural model, but for `windows`, which taggers read in any case."""
TAG_METRICS = ("f1", "accuracy", "loss")
LABEL_METRICS = ("accuracy", "macro_f1", "loss")
VALUE_METRICS = ("pearson", "spearman", "mse", "mae")


def sections(*own: str, linear: tuple[str, ...] = ()) -> dict[str, tuple[str, ...]]:
    """Return the sections of a command's help; `own` are options that it alone has, `linear`: of a linear tagger."""
    first = {"Examples and output": ("file", "model", "valid", "form", "seed", *own, "select_by", "output")}
    if linear:
        return {**first, "Linear tagger, without -m": linear, "Fine-tuning, with -m": TUNING}
    return {**first, "Bag of n-grams, without -m": BAG, "Fine-tuning, with -m": ("windows", *TUNING)}


def select_by(*names: str) -> object:
    """The type of --select-by for the measures of a task; the first one is the default."""
    return Annotated[
        str,
        typer.Option(
            "--select-by", metavar="METRIC", callback=choice(*names),
            help=f"Model selection on --valid or --folds: by {', '.join(f'`{name}`' for name in names[:-1])} or "
            f"`{names[-1]}`.",
        ),
    ]  # fmt: skip


@dataclass(frozen=True)
class Examples:
    """Where examples come from, and where the checkpoint goes."""

    valid: Annotated[
        str | None,
        typer.Option("--valid", metavar="FILE", show_default=False, help="Validation examples."),
        UNRECORDED,
    ] = None
    form: Annotated[
        str,
        typer.Option(
            "--input", metavar="FORMAT", callback=choice("auto", *(form for form in FORMS if form != "text")),
            help="Input format: `tsv`, `csv`, `jsonl` or `parquet`, or `auto`, by the file name, else TSV.",
        ),
        UNRECORDED,
    ] = "auto"  # fmt: skip
    seed: Seed = 0
    output: Output = None


@dataclass(frozen=True)
class Bag:
    """The bag of n-grams."""

    ngrams: Annotated[
        str,
        typer.Option(
            "--ngrams", metavar="A-B", help="Orders of word n-grams, such as `1-2` or `3` (1 to 3); 0 for none."
        ),
    ] = "1-2"
    char_ngrams: Annotated[
        str,
        typer.Option(
            "--char-ngrams", metavar="A-B", help="Orders of character n-grams, such as `2-5`; 0 for none."
        ),
    ] = "0"  # fmt: skip
    min_count: Annotated[
        int | None,
        typer.Option(
            "--min-count", metavar="N", min=1, show_default="2; of vectors 1",
            help="Drop n-grams that are in fewer than N examples.",
        ),
    ] = None  # fmt: skip
    hash_bits: Annotated[
        int,
        typer.Option(
            "--hash-bits", metavar="N", min=4, max=31,
            help="Bits of the n-grams' hashes: fewer make models smaller, and n-grams collide.",
        ),
    ] = 31  # fmt: skip
    normalize: Normalize = "lowercase"
    l2: Annotated[
        float | None,
        typer.Option(
            "--l2", metavar="L", min=1e-9, max=1e9, show_default="chosen on --valid or --folds, else 0.1",
            help="L2 regularisation strength: the loss is summed over examples, plus L/2 times the squared weights "
            "(1/C of scikit-learn).",
        ),
    ] = None  # fmt: skip
    folds: Annotated[
        int,
        typer.Option(
            "--folds", metavar="N", min=0, max=100, help="Choose --l2 by cross-validation over N parts of the examples."
        ),
    ] = 0  # fmt: skip
    dim: Annotated[
        int,
        typer.Option(
            "--dim", metavar="N", min=0, max=10_000,
            help="Give n-grams vectors of N numbers, trained with a linear head on their weighted sum (fastText's "
            "supervised mode), by --epochs 5, --batch 32 and --lr 0.1 unless given; 0: weights alone.",
        ),
    ] = 0  # fmt: skip

    @property
    def minimum(self) -> int:
        """How many examples an n-gram must be in."""
        return self.min_count or (1 if self.dim else 2)

    @property
    def settings(self) -> "NgramSettings":
        """The n-grams that count. Raises UsageError where none do."""
        from lmkit.linear_models.ngram_features import NgramSettings

        words, characters = _orders("--ngrams", self.ngrams), _orders("--char-ngrams", self.char_ngrams)
        if not (words[1] or characters[1]):
            raise UsageError("no n-grams: --ngrams 0 needs --char-ngrams")
        return NgramSettings(words, characters, self.hash_bits)

    @property
    def normalization(self) -> Normalization:
        """The normal form of texts. Raises UsageError."""
        return Normalization(normal_forms(self.normalize))


def _orders(option: str, text: str) -> tuple[int, int]:
    """The first and the last order of n-grams. Raises UsageError."""
    found = re.fullmatch(r"(?:(\d{1,2})-)?(\d{1,2})", text, re.ASCII)
    low, high = (int(found[1] or 1), int(found[2])) if found else (1, -1)
    if found and text == "0":
        return 0, 0
    if not 1 <= low <= high <= 20:
        raise UsageError(f"{option} {text!r}: expected orders such as 2 or 1-3, at most 20, or 0")
    return low, high
