"""Constants of laws, as `isoflop` and `fit` print them and `predict` reads them: a table, or a record."""

import math
from collections.abc import Mapping, Sequence

from lmkit.commands.options.standard import Run
from lmkit.errors import DataError
from lmkit.io import outputs, streams, text_files
from lmkit.io.records import Table, from_json


def show_constants(
    run: Run,
    out: outputs.Output,
    first: Mapping[str, object],
    constants: Mapping[str, float],
    intervals: Mapping[str, Sequence[float] | None],
    *,
    as_json: bool,
) -> None:
    """Print constants with their intervals; a record begins with `first`."""
    if as_json:
        bounds = {name: interval and list(interval) for name, interval in intervals.items()}
        Table(out, (), as_json=True).row(run.signed({**first, **constants, "interval": bounds}))
        return
    table = Table(out, ("constant", "value", "low", "high"), as_json=False)
    for name, value in constants.items():
        low, high = intervals.get(name) or (None, None)
        table.row({"constant": name, "value": value, "low": low, "high": high})


def read_constants(name: str | None) -> tuple[dict[str, float], list[float] | None]:
    """Return the constants that a table or record of `isoflop` or `fit` has, and the FLOPs between which runs were.

    Of several records the last with constants counts. Raises DataError where there are none.
    """
    shown = streams.display(name or streams.STDIN)
    found: dict[str, float] = {}
    flops: list[float] | None = None
    for number, line in enumerate(text_files.TextReader().lines(name or streams.STDIN), 1):
        if line.lstrip().startswith(b"{"):
            record = from_json(line, f"{shown}:{number}")
            if "a" in record or "alpha" in record:
                found = {key: value for key, value in record.items() if _is_number(value)}
                flops = record.get("range")
        else:
            key, *values = line.decode().split("\t")
            if values and (value := _parsed(values[0])) is not None and not _is_number(_parsed(key)):
                found[key] = value
    between = isinstance(flops, list) and len(flops) == 2 and all(map(_is_number, flops))
    if not found:
        raise DataError(f"{shown}: no constants", hint="lmkit scaling fit runs.csv --json | lmkit scaling predict")
    return found, flops if between else None


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _parsed(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
