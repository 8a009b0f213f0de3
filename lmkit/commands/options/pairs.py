"""The options of `lmkit train seq2seq` about pairs of source and target, and their tokens."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import typer

from lmkit.commands.options.standard import ADJUSTABLE, UNRECORDED, choice, suggested
from lmkit.commands.records.corpora import OnError
from lmkit.errors import UsageError
from lmkit.io.record_reader import FORMS

KINDS = ("bpe", "word", "char", "byte")
"""Tokenizers that are learned from the pairs."""
PAIRS = (
    "files", "source", "target", "form", "tokens", "target_tokens", "vocab_size", "shared", "max_length", "on_error",
    "encoding_errors",
)  # fmt: skip
"""Names of the options about what is learned from."""

PairFiles = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[PAIRS]...", show_default=False,
        help="Pairs: TSV (source, tab, target) or JSON Lines (`source`, `target`); `-` or none: stdin.",
    ),
    UNRECORDED,
]  # fmt: skip

BLEU = "bleu"
BatchTokens = Annotated[
    int,
    typer.Option(
        "--batch-tokens", metavar="N", min=1,
        help="Batch size, in tokens of the longer side, padding included. Pairs of similar length are batched.",
    ),
]  # fmt: skip
EmbeddingRate = Annotated[
    float | None,
    typer.Option(
        "--embedding-lr", metavar="RATE", min=0.0, show_default="2 times --lr; --lr where tied",
        help="Peak learning rate of AdamW for embeddings.",
    ),
    ADJUSTABLE,
]  # fmt: skip
SelectBy = Annotated[
    str | None,
    typer.Option(
        "--select-by", metavar="METRIC", callback=choice("loss", "accuracy", BLEU), show_default="the last weights",
        help="Model selection: keep the weights of the best evaluation, by `loss`, `accuracy` or `bleu` of 500 "
        "greedy texts.",
    ),
]  # fmt: skip


def expect_measure(select_by: str | None) -> None:
    """Raises MissingDependency where --select-by names a measure that needs a library which is not installed."""
    if select_by == BLEU:
        from lmkit.metrics.bleu import check_installed

        check_installed()


def _side(name: str, help: str) -> object:
    return Annotated[
        str | None, typer.Option(name, metavar="FILE", show_default=False, help=help), UNRECORDED
    ]  # fmt: skip


@dataclass(frozen=True)
class PairOptions:
    """Where pairs are, and how they become tokens."""

    longer: ClassVar[str] = "--max-length N"
    """The option that allows longer pairs."""

    source: _side("--source", "Sources, one per line, instead of PAIRS.") = None  # type: ignore[valid-type]
    target: _side("--target", "Targets, one per line: line N is that of source N.") = None  # type: ignore[valid-type]
    form: Annotated[
        str,
        typer.Option(
            "--input", metavar="FORMAT", callback=choice("auto", *(form for form in FORMS if form != "text")),
            help="Format of PAIRS: `tsv`, `csv`, `jsonl` or `parquet`, or `auto`, by the file name, else TSV.",
        ),
        UNRECORDED,
    ] = "auto"  # fmt: skip
    tokens: Annotated[
        str,
        typer.Option(
            "--tokens", metavar="KIND", callback=suggested(*KINDS),
            help="Tokenizer: `bpe`, `word`, `char` or `byte`, learned from each side of the pairs, or a checkpoint "
            "with a tokenizer, such as `bpe.lm`.",
        ),
    ] = "bpe"  # fmt: skip
    target_tokens: Annotated[
        str | None,
        typer.Option(
            "--target-tokens", metavar="KIND", callback=suggested(*KINDS), show_default="--tokens",
            help="Tokenizer of targets, where it is not that of sources.",
        ),
    ] = None  # fmt: skip
    vocab_size: Annotated[
        int,
        typer.Option(
            "--vocab-size", metavar="N", min=1,
            help="Vocabulary size of each tokenizer that is learned; at most as many tokens as there are.",
        ),
    ] = 4000  # fmt: skip
    shared: Annotated[
        bool,
        typer.Option("--shared", help="Shared vocabulary: both sides have one tokenizer and one embedding matrix."),
    ] = False
    max_length: Annotated[
        int,
        typer.Option(
            "--max-length", metavar="N", min=1,
            help="Maximum length of each side, in tokens. Longer pairs are left out.",
        ),
    ] = 256  # fmt: skip
    on_error: OnError = "fail"
    valid_source: _side("--valid-source", "Validation sources, beside --valid-target.") = None  # type: ignore[valid-type]
    valid_target: _side("--valid-target", "Validation targets, one per line.") = None  # type: ignore[valid-type]

    def check(self, files: list[str] | None, valid: str | None, valid_fraction: float) -> None:
        """Raises UsageError for options that cannot be combined."""
        for one, other, names in (
            (self.source, self.target, ("--source", "--target")),
            (self.valid_source, self.valid_target, ("--valid-source", "--valid-target")),
        ):
            if (one is None) != (other is None):
                raise UsageError(f"{names[0]} and {names[1]} need each other")
        if files and self.source is not None:
            raise UsageError("PAIRS and --source exclude each other")
        given = [valid is not None, self.valid_source is not None, bool(valid_fraction)]
        if sum(given) > 1:
            raise UsageError("--valid, --valid-source and --valid-fraction exclude each other")
        if self.shared and self.target_tokens is not None:
            raise UsageError("--shared cannot be combined with --target-tokens")
