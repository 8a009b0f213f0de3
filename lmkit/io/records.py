"""Records as lines: TSV with a header, JSON Lines, or a bare number. Knows formats, not what is in them."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from lmkit.errors import DataError
from lmkit.io.outputs import Output

_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


def to_json(record: Mapping[str, Any]) -> str:
    """One line of JSON, keys in the given order, numbers in full precision.

    What is infinite is written `Infinity`, as Python's json and most readers of JSON Lines
    take it, while tables and bare numbers have `inf`; there is never a NaN.
    """
    return json.dumps(record, ensure_ascii=False)


def from_json(line: bytes, place: str, *, constants: bool = False, hint: str | None = None) -> dict[str, Any]:
    """Return the object that one line of JSON holds. Raises DataError, which names the place, for anything else.

    `constants`: take NaN and Infinity, as Python's json writes them.
    """

    def refused(name: str) -> float:
        raise ValueError(f"{name} is no JSON")

    try:
        found = json.loads(line, parse_constant=None if constants else refused)
    except json.JSONDecodeError as error:
        raise DataError(f"{place}: not JSON ({error.msg}, column {error.colno})", hint=hint) from None
    except RecursionError:
        raise DataError(f"{place}: not JSON that can be read (nested too deeply)", hint=hint) from None
    except ValueError as error:  # NaN, a number of thousands of digits
        raise DataError(f"{place}: not JSON that can be read ({' '.join(str(error).split())})", hint=hint) from None
    if not isinstance(found, dict):
        raise DataError(f"{place}: not a JSON object, in braces")
    return found


def take_id(record: dict[str, Any], place: str) -> Any:
    """What a record is known by, its `id`, taken out of it; None where it has none. Raises DataError for no name."""
    found = record.pop("id", None)
    odd = isinstance(found, bool) or (isinstance(found, float) and not math.isfinite(found))
    if found is not None and (odd or not isinstance(found, int | float | str)):
        raise DataError(f"{place}: its `id` is neither a number nor a text")
    return found


def id_key(known_by: object) -> str:
    """Return an id as a text: 7, 7.0 and "7" are one."""
    return str(int(known_by)) if isinstance(known_by, float) and known_by.is_integer() else str(known_by)


def cell(value: object, digits: int = 6) -> str:
    """A value as people read it: numbers to some significant digits, text with tabs and line ends escaped."""
    if isinstance(value, float):
        if math.isinf(value):
            return "inf" if value > 0 else "-inf"
        return f"{value:.{digits}g}"
    return "" if value is None else str(value).translate(_ESCAPES)


class Table:
    """Rows of TSV under one header, or the same records as JSON Lines."""

    def __init__(self, output: Output, columns: Sequence[str], *, as_json: bool) -> None:
        self._output = output
        self._columns = columns
        self._json = as_json
        self._begun = False

    def row(self, record: Mapping[str, Any]) -> None:
        """Writes one record; a TSV shows the table's columns only."""
        self.rows((record,))

    def rows(self, records: Iterable[Mapping[str, Any]]) -> None:
        """Writes records that came together, as `row` would one after another."""
        lines = [to_json(record) if self._json else self._line(record) for record in records]
        if lines and not (self._begun or self._json):
            lines.insert(0, "\t".join(self._columns))
            self._begun = True
        if lines:
            self._output.line("\n".join(lines))

    def _line(self, record: Mapping[str, Any]) -> str:
        return "\t".join([cell(record.get(column)) for column in self._columns])
