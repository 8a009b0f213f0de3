"""Rows of CSV under a header, as RFC 4180 has them: quotes, and line ends within quotes. Knows no files."""

import csv
from collections.abc import Iterator, Sequence

from lmkit.errors import DataError
from lmkit.io.size_limits import RECORD

Line = tuple[str, int, bytes]
"""The place of a line, such as "a.txt:3", its number from 1, and its bytes without their end."""
_HINT = "quotes within a quoted field are doubled, as in RFC 4180"


class Rows:
    """The rows of lines that come in groups, of which a row is made as soon as its last line is there."""

    def __init__(self, groups: Iterator[list[Line]]) -> None:
        self._groups = groups
        self._lines: Iterator[Line] = iter(())
        self._left = 0
        self._first: Line | None = None
        self._held = 0
        csv.field_size_limit(max(csv.field_size_limit(), RECORD.size))
        self._rows = csv.reader(self, strict=True)
        self._header: list[str] = []

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        """Return the next line for the parser. Raises DataError before a row gets longer than records may be."""
        if not self.more():
            raise StopIteration
        line = next(self._lines)
        self._left -= 1
        self._first = self._first or line
        self._held += len(line[2]) + 1
        if self._held > RECORD.size:
            raise RECORD.error(self._first[0])
        return line[2].decode() + "\n"

    def more(self) -> bool:
        """Return whether there are lines that no row has; waits for them."""
        while not self._left:
            group = next(self._groups, None)
            if group is None:
                return False
            self._lines, self._left = iter(group), len(group)
        return True

    def group(self) -> Iterator[tuple[Line, dict[str, str]]]:
        """Yield the rows that are there, each with its first line, its fields by their names.

        Raises DataError, which names the place, for what is no CSV, and for a row that is longer or shorter than
        the header.
        """
        while self._left:
            self._first, self._held = None, 0
            try:
                row = next(self._rows, None)
            except csv.Error as error:
                place = self._first[0] if self._first else "CSV"
                raise DataError(f"{place}: not CSV ({error})", hint=_HINT) from None
            if not row or self._first is None:
                continue
            if self._header:
                yield self._first, by_name(self._header, row, self._first[0])
            else:
                self._header = names_of(row, self._first[0])


def names_of(header: Sequence[str], place: str) -> list[str]:
    """Return the names that a header gives. Raises DataError where one is repeated."""
    twice = next((name for at, name in enumerate(header) if name in header[:at]), None)
    if twice is not None:
        raise DataError(f"{place}: the header has {twice!r} twice")
    return list(header)


def by_name(header: Sequence[str], row: Sequence[str], place: str) -> dict[str, str]:
    """Return the columns of a row by the names of a header. Raises DataError where they are not as many."""
    if len(row) != len(header):
        raise DataError(f"{place}: {len(row)} columns, and the header has {len(header)}")
    return dict(zip(header, row, strict=True))
