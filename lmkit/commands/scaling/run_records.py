"""Runs of a sweep as files have them: CSV, JSON Lines or Parquet with a field for each number."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lmkit.commands.options.standard import Run, choice
from lmkit.errors import DataError
from lmkit.io import streams, text_files
from lmkit.io.record_reader import RecordFile, form_of

if TYPE_CHECKING:
    from lmkit.scaling.runs import Runs

COLUMNS = ("flops", "parameters", "tokens", "loss")
FORMS = ("csv", "jsonl", "parquet")
RunsFile = Annotated[
    str | None,
    typer.Argument(
        metavar="[FILE]", show_default=False,
        help="Runs with the columns flops, parameters, tokens and loss: CSV, or JSON Lines or Parquet by name. `-`, or "
        "no FILE, reads CSV from stdin.",
    ),
]  # fmt: skip
OnError = Annotated[
    str,
    typer.Option(
        "--on-error", metavar="MODE", callback=choice("fail", "skip"),
        help="Runs with a number that is missing or no number, such as the loss of a run that diverged: `fail`, or "
        "`skip` and count them.",
    ),
]  # fmt: skip
Tolerance = Annotated[
    float,
    typer.Option(
        "--tolerance", metavar="P", min=0.0, max=10.0,
        help="Runs are of one budget if their FLOPs differ by at most this share.",
    ),
]  # fmt: skip
Outliers = Annotated[
    str,
    typer.Option(
        "--outliers", metavar="MODE", callback=choice("refuse", "drop", "keep"),
        help="Runs far from the curve of the others of their budget: `refuse` them, `drop` or `keep` them.",
    ),
]  # fmt: skip


def read(run: Run, file: str | None, on_error: str, columns: Sequence[str] = COLUMNS) -> tuple["Runs", list[str]]:
    """Return runs and the place of each, for messages; columns that are not asked for are NaN where they are absent.

    Raises DataError for a file without runs, a missing column, and what is no positive number unless it is skipped.
    """
    import numpy as np

    from lmkit.scaling.runs import Runs

    name = file or streams.STDIN
    shown = streams.display(name)
    rows: list[list[float]] = []
    places: list[str] = []
    skipped = 0
    records = RecordFile(name, text_files.TextReader(), constants=True)
    for record in records.records(form_of(name, "auto", "csv", FORMS)):
        try:
            fields = record.fields or {}
            found = {column: _number(record.place, fields, column, columns) for column in reversed(COLUMNS)}
            rows.append([found[column] for column in COLUMNS])
            places.append(record.place)
        except _Invalid as error:
            if on_error == "fail":
                raise DataError(str(error), hint=error.hint) from None
            skipped += 1
    if skipped:
        run.terminal.notice(f"{shown}: {skipped:,} {'run' if skipped == 1 else 'runs'} skipped")
    if not rows:
        raise DataError(f"{shown}: no runs", hint=f"a header such as {','.join(COLUMNS)}, then a line for each run")
    return Runs(*np.array(rows).T), places


class _Invalid(DataError):
    """A run with an invalid number."""


def _number(place: str, fields: dict[str, Any], column: str, needed: Sequence[str]) -> float:
    if column not in fields:
        if column not in needed:
            return math.nan
        has = ", ".join(fields) or "nothing"
        raise DataError(f"{place}: no column {column!r}; there is {has}", hint=f"name columns {','.join(COLUMNS)}")
    text = str(fields[column]).strip()
    try:
        value = math.nan if "_" in text else float(text)
    except ValueError:
        raise _Invalid(f"{place}: {column} {text[:40]!r} is not a number", hint="--on-error skip") from None
    if not 0 < value < math.inf:
        what = "a run that diverged?" if column == "loss" else "expected a positive number"
        raise _Invalid(f"{place}: {column} is {text}, {what}", hint="--on-error skip leaves it out")
    return value


def without_outliers(run: Run, found: tuple["Runs", list[str]], tolerance: float, outliers: str) -> "Runs":
    """Return runs without outliers, which are named. Raises DataError where there are some and they are refused."""
    import numpy as np

    from lmkit.scaling import isoflop

    runs, places = found
    odd = isoflop.outliers(runs, tolerance) if outliers != "keep" else []
    for place, expected in odd:
        said = f"{places[place]}: loss {runs.loss[place]:.4g} is far from the curve of its budget, about {expected:.4g}"
        if outliers == "refuse":
            raise DataError(said, hint="--outliers drop leaves such runs out, --outliers keep uses them")
        run.terminal.notice(f"{said}, dropped")
    return runs.of(np.delete(np.arange(len(runs)), [place for place, _ in odd]))
