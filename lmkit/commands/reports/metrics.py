"""How measures are shown: a row for each with its interval, aligned on a terminal; parts of records."""

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from lmkit import __version__
from lmkit.commands.options.standard import Run
from lmkit.io import streams
from lmkit.io.records import Table, cell
from lmkit.io.terminal import is_terminal, table

_PLAIN = ("metric", "value", "low", "high")
_COMPARED = ("against", "difference", "difference_low", "difference_high", "p")


def rows(
    intervals: Mapping[str, Any], against: Mapping[str, Any] | None = None, differences: Mapping[str, Any] | None = None
) -> list[dict[str, Any]]:
    """A row for each measure; with a second system's values and the differences, if there is one."""
    found = []
    for name, interval in intervals.items():
        row: dict[str, Any] = dict(zip(_PLAIN, (name, *(interval or (None,) * 3)), strict=True))
        if against is not None and differences is not None:
            apart = differences[name] or (None,) * 4
            row |= dict(zip(_COMPARED, (against[name], *apart), strict=True))
        found.append(row)
    return found


def show(run: Run, out: streams.Output, found: Sequence[Mapping[str, Any]], signature: str | Sequence[str]) -> None:
    """Prints rows of the same keys as TSV, or aligned; signatures in a column or behind."""
    signatures = [signature] * len(found) if isinstance(signature, str) else list(signature)
    if on_terminal(run):
        out.line(table([list(found[0]), *([cell(value) or "-" for value in row.values()] for row in found)]))
        for one in dict.fromkeys(signatures):
            out.line(f"signature: {one}")
        return
    written = Table(out, [*found[0], "signature"], as_json=False)
    for row, one in zip(found, signatures, strict=True):
        written.row({**row, "signature": one})


def show_table(run: Run, out: streams.Output, header: Sequence[str], found: Sequence[Sequence[object]]) -> None:
    """Prints any table as TSV, or aligned."""
    lines = [[cell(value) for value in row] for row in (header, *found)]
    out.line(table(lines) if on_terminal(run) else "\n".join("\t".join(line) for line in lines))


def on_terminal(run: Run) -> bool:
    """Whether what is printed goes to a terminal."""
    return is_terminal(sys.stdout) and run.settings.get("output") is None


def bounds(intervals: Mapping[str, Any]) -> dict[str, list[float] | None]:
    """The intervals as records have them."""
    return {name: ends(interval) for name, interval in intervals.items()}


def ends(interval: Any) -> list[float] | None:
    """The ends of an interval as records have them; None where there are none."""
    return None if interval is None or interval.low is None else [interval.low, interval.high]


def apart(differences: Mapping[str, Any]) -> dict[str, dict[str, float | None] | None]:
    """The differences as records have them."""
    return {name: None if one is None else one._asdict() for name, one in differences.items()}


def signature(measure: str, sampling: Any, more: Mapping[str, object] | None = None) -> str:
    """How numbers came about."""
    parts: dict[str, object] = {"eval": measure, **(more or {})}
    if sampling.resamples:
        parts |= {"bootstrap": "percentile", "resamples": sampling.resamples}
        parts |= {"level": f"{sampling.level:g}", "seed": sampling.seed}
    return "|".join(f"{key}:{value}" for key, value in {**parts, "version": __version__}.items())
