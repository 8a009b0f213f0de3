"""Texts out of JSON Lines: one field of each object. Knows nothing of the others."""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from lmkit.errors import DataError
from lmkit.io import streams


def texts(name: str, blocks: Iterable[bytes], field: str) -> Iterator[list[bytes]]:
    """The texts of a field, block by block of whole lines of the file `name`; blank lines are no objects.

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
    record = _object(line, place)
    if field not in record:
        shown = ", ".join(map(repr, list(record)[:8]))
        raise DataError(f"{place}: no field {field!r}", hint=f"there is {shown}" if record else None)
    value = record[field]
    if not isinstance(value, str):
        raise DataError(f"{place}: the field {field!r} is not a text")
    try:
        return value.encode()
    except UnicodeEncodeError:
        raise DataError(f"{place}: the field {field!r} has half of a surrogate pair") from None


def _object(line: bytes, place: str) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except ValueError as error:
        raise DataError(f"{place}: not JSON ({error})", hint="without --field each line is a text") from None
    except RecursionError:
        raise DataError(f"{place}: nested too deeply") from None
    if not isinstance(record, dict):
        raise DataError(f"{place}: not a JSON object")
    return record
