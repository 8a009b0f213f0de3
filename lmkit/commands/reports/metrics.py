"""Reports of measures: a row for each with its interval, aligned on a terminal; or a record; or a bare number."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lmkit import __version__
from lmkit.commands.loading import models as opening
from lmkit.commands.options.evaluation import ComparisonOptions
from lmkit.commands.options.standard import Run
from lmkit.io import outputs
from lmkit.io.records import Table, to_json

if TYPE_CHECKING:
    from lmkit.metrics.comparison import Comparison

_PLAIN = ("metric", "value", "low", "high")
_COMPARED = ("against", "difference", "difference_low", "difference_high", "p")


NONE: Mapping[str, Any] = {}


@dataclass(frozen=True)
class Report:
    """What an evaluation prints."""

    run: Run
    name: str
    """What the signature calls it."""
    options: ComparisonOptions
    out: outputs.Output

    def show(
        self, found: "Comparison", total: int, how: Mapping[str, object] = NONE, *, counts: Mapping[str, Any] = NONE,
        tables: Mapping[str, Any] = NONE, more: Mapping[str, Any] = NONE, signatures: Sequence[str] = (),
    ) -> None:  # fmt: skip
        """Print the measures of `total` items; `how` they were found goes into the signature.

        A record has `counts` after the number of items (measures may be among them), `tables` before the second
        system, and `more` at the end; a row has one of `signatures` before the report's own.
        """
        own = signature(self.name, self.options.sampling, how)
        if self.options.bare:
            self.out.line(repr(next(iter(found.values.values()))))
        elif self.options.json:
            main = {name: value for name, value in found.values.items() if name not in counts}
            record = {**main, "n": total, **counts, "intervals": bounds(found.intervals), **tables}
            if found.differences is not None:
                record |= {"against": found.against, "differences": _apart(found.differences)}
            self.out.line(to_json(self.run.signed({**record, **more, "signature": own})))
        else:
            show(self.out, _rows(found), [f"{one}|{own}" for one in signatures] or own)


@contextmanager
def open_report(run: Run, name: str, options: ComparisonOptions, inputs: Sequence[str | None]) -> Iterator[Report]:
    """Open the report of an evaluation. Raises UsageError where `inputs` name stdin twice."""
    opening.check_single_stdin(*inputs)
    with outputs.open_output(options.output) as out:
        yield Report(run, name, options, out)


def _rows(found: "Comparison") -> list[dict[str, Any]]:
    """Return a row for each measure; with a second system's values and the differences, if there is one."""
    rows = []
    for name, interval in found.intervals.items():
        row: dict[str, Any] = dict(zip(_PLAIN, (name, *(interval or (None,) * 3)), strict=True))
        if found.against is not None and found.differences is not None:
            apart = found.differences[name] or (None,) * 4
            row |= dict(zip(_COMPARED, (found.against[name], *apart), strict=True))
        rows.append(row)
    return rows


def show(out: outputs.Output, found: Sequence[Mapping[str, Any]], signature: str | Sequence[str]) -> None:
    """Prints rows of the same keys as a table; signatures in a column, or behind it."""
    signatures = [signature] * len(found) if isinstance(signature, str) else list(signature)
    written = Table(out, [*found[0], "signature"], as_json=False, behind=("signature",))
    written.rows({**row, "signature": one} for row, one in zip(found, signatures, strict=True))


def bounds(intervals: Mapping[str, Any]) -> dict[str, list[float] | None]:
    """The intervals as records have them."""
    return {name: ends(interval) for name, interval in intervals.items()}


def ends(interval: Any) -> list[float] | None:
    """The ends of an interval as records have them; None where there are none."""
    return None if interval is None or interval.low is None else [interval.low, interval.high]


def _apart(differences: Mapping[str, Any]) -> dict[str, dict[str, float | None] | None]:
    """The differences as records have them."""
    return {name: None if one is None else one._asdict() for name, one in differences.items()}


def signature(measure: str, sampling: Any, more: Mapping[str, object] | None = None) -> str:
    """How numbers came about."""
    parts: dict[str, object] = {"eval": measure, **(more or {})}
    if sampling.resamples:
        parts |= {"bootstrap": "percentile", "resamples": sampling.resamples}
        parts |= {"level": f"{sampling.level:g}", "seed": sampling.seed}
    return "|".join(f"{key}:{value}" for key, value in {**parts, "version": __version__}.items())
