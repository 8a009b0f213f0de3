"""Numbers in text files: columns of probabilities, tables of counts, matrices. Errors name file and line."""

import math
from collections.abc import Sequence

from lmkit.errors import DataError
from lmkit.io import streams, text_files

MOST = 1 << 63


def _number(field: bytes) -> float | None:
    try:
        return None if b"_" in field else float(field)
    except ValueError:
        return None


def _weight(field: bytes, place: str) -> float:
    """A number from 0 on. Raises DataError for anything else."""
    number = _number(field)
    if number is None:
        raise DataError(f"{place}: {field.decode(errors='replace')!r} is not a number")
    if not 0 <= number < math.inf:
        raise DataError(f"{place}: {field.decode()} is not a number from 0 on")
    return abs(number)  # -0 is 0


def weights(names: Sequence[str], reader: text_files.TextReader) -> tuple[list[float], str]:
    """All weights of some files, and the place, file and line, of the last.

    A line has one or several separated by white space. After a tab a column that is not all
    numbers ends what is read of its line: a label. Raises DataError for what is no weight.
    """
    found: list[float] = []
    place = streams.display(names[-1])
    for name in names:
        for number, line in enumerate(reader.lines(name), 1):
            for column, text in enumerate(line.split(b"\t")):
                fields = text.split()
                if column and any(_number(field) is None for field in fields):
                    break
                if fields:
                    place = f"{streams.display(name)}:{number}"
                found += [_weight(field, place) for field in fields]
    return found, place


def counts(names: Sequence[str], reader: text_files.TextReader) -> dict[bytes, int]:
    """Counts of symbols: `symbol TAB count` a line, or only `count`, where each line is a symbol of its own.

    What is met twice is added up. Raises DataError for what is no count.
    """
    found: dict[bytes, int] = {}
    for name in names:
        for number, line in enumerate(reader.lines(name), 1):
            if not line.strip():
                continue
            symbol, tab, text = line.rpartition(b"\t")
            place = f"{streams.display(name)}:{number}"
            text = text.strip()
            if not text.isdigit() or len(text) > 19 or int(text) >= MOST:
                shown = text[:40].decode(errors="replace")
                raise DataError(f"{place}: {shown!r} is not a count", hint="a line is `symbol TAB count`, or a count")
            key = symbol if tab else b"\t%d" % len(found)
            found[key] = found.get(key, 0) + int(text)
            if found[key] >= MOST:
                raise DataError(f"{place}: the counts of a symbol add up to 2^63 or more")
    return found


def matrix(name: str, reader: text_files.TextReader) -> tuple[list[list[float]], str]:
    """The rows of a matrix and the place of the last; a header line and a label before each row may be there.

    Fields are separated by tabs where a line has one, else by white space. Raises DataError for
    rows of different lengths and for what is no weight.
    """
    rows: list[list[float]] = []
    place = streams.display(name)
    for number, line in enumerate(reader.lines(name), 1):
        if not line.strip():
            continue
        place = f"{streams.display(name)}:{number}"
        fields = line.split(b"\t") if b"\t" in line else line.split()
        if not rows and number == 1 and all(_number(field) is None for field in fields):
            continue  # a header
        if _number(fields[0]) is None and len(fields) > 1:
            fields = fields[1:]
        row = [_weight(field, place) for field in fields]
        if rows and len(row) != len(rows[0]):
            raise DataError(f"{place}: {len(row)} numbers, the first row has {len(rows[0])}")
        rows.append(row)
    return rows, place


def labelled(name: str, reader: text_files.TextReader) -> tuple[list[str], list[list[float]]]:
    """The labels and rows of a table: a word and its numbers a line, by tabs where a line has one, else white space.

    A first line without numbers is a header. Raises DataError for rows of different lengths,
    for what is no finite number, and for a label that was there before.
    """
    rows: dict[str, list[float]] = {}
    width = None
    for number, line in enumerate(reader.lines(name), 1):
        if not line.strip():
            continue
        place = f"{streams.display(name)}:{number}"
        label, *fields = line.split(b"\t") if b"\t" in line else line.split()
        found = list(map(_number, fields))
        if not rows and number == 1 and all(value is None for value in found) and found:
            continue
        for field, value in zip(fields, found, strict=True):
            if value is None or not math.isfinite(value):
                raise DataError(f"{place}: {field.decode(errors='replace')!r} is not a finite number")
        width = len(found) if width is None else width
        if not found or len(found) != width:
            raise DataError(f"{place}: {len(found)} numbers, expected {width or 'some'}")
        if (word := label.decode()) in rows:
            raise DataError(f"{place}: {word!r} occurs twice")
        rows[word] = [value for value in found if value is not None]
    if not rows:
        raise DataError(f"{streams.display(name)}: no rows of a word and its numbers")
    return list(rows), list(rows.values())
