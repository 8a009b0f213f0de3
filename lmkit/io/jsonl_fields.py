"""Texts out of JSON Lines: one field of each object. Knows nothing of the others."""

from collections.abc import Iterable, Iterator

from lmkit.errors import DataError
from lmkit.io import streams
from lmkit.io.record_reader import encoded
from lmkit.io.records import from_json


def texts(name: str, blocks: Iterable[bytes], field: str) -> Iterator[list[bytes]]:
    """Yield the texts of a field, block by block of whole lines of the file `name`; blank lines are no objects.

    Raises DataError naming file and line where there is no object, no such field, or no text in it.
    """
    number = 0
    for block in blocks:
        found = []
        for line in block[:-1].split(b"\n"):
            number += 1
            if line.strip():
                found.append(_text(line, field, f"{streams.display(name)}:{number}"))
        yield found


def _text(line: bytes, field: str, place: str) -> bytes:
    record = from_json(line, place, constants=True, hint="without --field each line is a text")
    if field not in record:
        shown = ", ".join(map(repr, list(record)[:8]))
        raise DataError(f"{place}: no field {field!r}", hint=f"there is {shown}" if record else None)
    value = record[field]
    if not isinstance(value, str):
        raise DataError(f"{place}: the field {field!r} is not a text")
    return encoded(value, place, f"the field {field!r} has ")
