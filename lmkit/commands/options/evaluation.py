"""The options of commands that compare predictions with references."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from lmkit.commands.options.standard import Bare, Json, Level, Output, Resamples, Seed
from lmkit.io import streams

if TYPE_CHECKING:
    from lmkit.metrics.bootstrap import Sampling

Predictions = Annotated[
    str,
    typer.Argument(
        metavar="[FILE]", show_default=False, help="Predictions: lines, TSV or JSON Lines; `-` or none: stdin."
    ),
]
PredictionField = Annotated[
    str | None,
    typer.Option(
        "--field", metavar="NAME", show_default=False,
        help="Field of the predictions: a record's field, or a TSV column by number or by name in the header.",
    ),
]  # fmt: skip


@dataclass(frozen=True)
class PredictionOptions:
    """The files of predictions and references."""

    file: Predictions = streams.STDIN
    gold: Annotated[
        str | None,
        typer.Option(
            "--gold", metavar="FILE", show_default="`gold` of each record",
            help="Reference answers: lines, TSV or JSON Lines; `-` is stdin. "
            "Matched by `id` if both files have ids, else by order.",
        ),
    ] = None  # fmt: skip
    field: PredictionField = None
    gold_field: Annotated[
        str | None,
        typer.Option(
            "--gold-field", metavar="NAME", show_default=False,
            help="Field of --gold: a record's field, or a TSV column by number or by name in the header (default: "
            "the last).",
        ),
    ] = None  # fmt: skip


@dataclass(frozen=True)
class ComparisonOptions:
    """The second system, the intervals, and the form of output."""

    against: Annotated[
        str | None,
        typer.Option(
            "--against", metavar="FILE", show_default=False,
            help="Compare with a second system's predictions for the same items: difference, interval and p-value.",
        ),
    ] = None  # fmt: skip
    resamples: Resamples = 1000
    level: Level = 0.95
    seed: Seed = 0
    json: Json = False
    bare: Bare = False
    output: Output = None

    @property
    def sampling(self) -> "Sampling":
        """Return the bootstrap settings: no resamples where only a value is printed."""
        from lmkit.metrics.bootstrap import Sampling

        return Sampling(self.seed, 0 if self.bare else self.resamples, self.level)


@dataclass(frozen=True)
class EvaluationOptions(ComparisonOptions, PredictionOptions):
    """Both."""

    @property
    def inputs(self) -> tuple[str | None, ...]:
        """Return the names of the files that are read."""
        return self.file, self.gold, self.against
