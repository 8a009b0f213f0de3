"""Records as lines: TSV with a header, JSON Lines, or a bare number. Knows formats, not what is in them."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from time import monotonic
from typing import Any

from lmkit.errors import DataError
from lmkit.io.outputs import Output
from lmkit.io.streams import awaits_stdin
from lmkit.io.tables import RowPrinter, cell_width, paired
from lmkit.io.terminal import visible

PAGE = 200  # rows of a table that are laid out together on a terminal
PATIENCE = 1.0  # seconds after which those that there are are shown
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
    """Rows of TSV under one header, aligned on a terminal, or the same records as JSON Lines."""

    def __init__(
        self, output: Output, columns: Sequence[str], *, as_json: bool, behind: Sequence[str] = (), digits: int = 6
    ) -> None:
        """`behind`: columns that are alike in many rows; a terminal shows each value once, after the table."""
        self._output, self._columns, self._behind, self._digits = output, columns, behind, digits
        self._json = as_json
        self._begun = False
        self._printer: RowPrinter | None = None
        if output.screen is not None and not as_json:
            self._shown = [column for column in columns if column not in behind]
            self._printer = RowPrinter(output.screen, [visible(name) for name in self._shown], output.screen.show)
            self._held: list[Mapping[str, Any]] = []
            self._asides: dict[str, None] = {}
            self._last = monotonic()

    def row(self, record: Mapping[str, Any]) -> None:
        """Writes one record; a TSV shows the table's columns only."""
        self.rows((record,))

    def rows(self, records: Iterable[Mapping[str, Any]]) -> None:
        """Writes records that came together, as `row` would one after another."""
        if self._printer is not None:
            self._hold(records)
            return
        lines = [to_json(record) if self._json else self._line(record) for record in records]
        if lines and not (self._begun or self._json):
            lines.insert(0, "\t".join(self._columns))
            self._begun = True
        if lines:
            self._output.line("\n".join(lines))

    def _line(self, record: Mapping[str, Any]) -> str:
        return "\t".join([cell(record.get(column), self._digits) for column in self._columns])

    def _hold(self, records: Iterable[Mapping[str, Any]]) -> None:
        """Keeps rows for a terminal until there is a page of them, or a reader waits."""
        for record in records:
            self._held.append(record)
            self._output.hold(self._finish)
            if len(self._held) == PAGE:
                self._print(more=True)
        if self._held and (awaits_stdin() or monotonic() - self._last > PATIENCE):
            self._print(more=True)

    def _print(self, *, more: bool) -> None:
        """Shows the rows that were kept."""
        assert self._printer is not None
        held, self._held, self._last = self._held, [], monotonic()
        if held:
            values = [[record.get(column) for column in self._shown] for record in held]
            numeric = [_numeric([row[place] for row in values]) for place in range(len(self._shown))]
            cells = [[_shown_cell(value, self._digits) for value in row] for row in values]
            self._printer.show(cells, numeric, more=more)
        for column in self._behind:
            self._asides |= {f"{column}: {cell(record[column])}": None for record in held if column in record}

    def _finish(self) -> None:
        """Shows the rest, and what comes behind."""
        assert self._output.screen is not None
        self._print(more=False)
        for aside in self._asides:
            self._output.screen.show(self._output.screen.aside(visible(aside)))
        self._asides = {}


def _numeric(values: Sequence[object]) -> bool:
    """Whether what a column holds are numbers."""
    numbers = [value for value in values if value is not None]
    return bool(numbers) and all(isinstance(value, int | float) and not isinstance(value, bool) for value in numbers)


def _shown_cell(value: object, digits: int) -> str:
    return "-" if value is None else visible(cell(value, digits))


def write_pairs(output: Output, pairs: Iterable[tuple[str, object]], *, digits: int = 6) -> None:
    """Names and values as lines of two columns, aligned on a terminal."""
    cells = [(cell(name), cell(value, digits)) for name, value in pairs]
    if output.screen is not None:
        write_sections(output, {"": cells})
        return
    for line in cells:
        output.line("\t".join(line))


def write_sections(output: Output, sections: Mapping[str, Sequence[tuple[str, str]]]) -> None:
    """Names and values for a terminal under headings, all aligned alike; those of the section `""` under none."""
    screen, lines = output.screen, list[str]()
    assert screen is not None
    shown = {
        visible(title): [(visible(name), visible(value)) for name, value in pairs] for title, pairs in sections.items()
    }
    margin = max((cell_width(name) for pairs in shown.values() for name, _ in pairs), default=0)
    for title, pairs in shown.items():
        lines += ["", screen.heading(title)] if title else []
        lines += paired(pairs, margin, screen.columns, screen.heading if len(shown) == 1 else str)
    output.release()
    screen.show("\n".join(lines))


def write_rows(output: Output, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """A table that is known as a whole, whose columns may have equal names."""
    if output.screen is None:
        for line in (header, *rows):
            output.line("\t".join(map(cell, line)))
        return
    output.release()
    numeric = [_numeric([row[place] for row in rows]) for place in range(len(header))]
    printer = RowPrinter(output.screen, [visible(cell(name)) for name in header], output.screen.show)
    printer.show([[_shown_cell(value, 6) for value in row] for row in rows], numeric, more=False)
