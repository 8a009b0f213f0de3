"""Files of vectors of texts, as `lmkit embed` writes them: a table, JSON Lines, or an array."""

import io
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from lmkit.errors import DataError
from lmkit.io import streams, text_files

if TYPE_CHECKING:
    from lmkit.protocols import F32

MAGIC = b"\x93NUMPY"


class Embedded(NamedTuple):
    """Texts, (S,), of arrays their numbers from 1, and their vectors, (S, D), zeros where one has none."""

    texts: list[str]
    vectors: "F32"


def read(name: str) -> Embedded:
    """The vectors of a file. Raises DataError, with file and line, for another file."""
    import numpy as np

    shown = streams.display(name)
    first, data = _opened(name)
    if first.startswith(MAGIC):
        try:
            array = np.load(io.BytesIO(first + b"".join(data)), allow_pickle=False)
        except (ValueError, EOFError, OSError):
            raise DataError(f"{shown}: a damaged .npy file") from None
        if array.ndim != 2 or array.dtype.kind != "f" or not np.isfinite(array).all():
            raise DataError(f"{shown}: an array of {array.ndim} axes of {array.dtype}, expected rows of finite floats")
        return Embedded([str(number) for number in range(1, len(array) + 1)], array.astype(np.float32))
    texts: list[str] = []
    rows: list[list[float] | None] = []
    reader = text_files.TextReader(forgiving=True)
    number = 0
    for block in reader.blocks_in(_joined(first, data), name):
        for line in block[:-1].split(b"\n"):
            number += 1
            if line == b"line\ttext\tvector" and number == 1:
                continue
            text, row = _row(line, f"{shown}:{number}")
            texts.append(text)
            rows.append(row)
    width = next((len(row) for row in rows if row is not None), 0)
    for number, row in enumerate(rows, 1):
        if row is not None and len(row) != width:
            raise DataError(f"{shown}: vector {number} has {len(row)} numbers, the first {width}")
    if not width:
        raise DataError(f"{shown}: no vectors", hint="`lmkit embed` writes such a file")
    vectors = np.array([[0.0] * width if row is None else row for row in rows], dtype=np.float32)
    if not np.isfinite(vectors).all():
        raise DataError(f"{shown}: vectors with numbers that are not finite")
    return Embedded(texts, vectors)


def _opened(name: str) -> tuple[bytes, Iterator[bytes]]:
    pieces = iter(streams.chunks(name, size=streams.BLOCK))
    return next(pieces, b""), pieces


def _joined(first: bytes, more: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from more


def _row(line: bytes, place: str) -> tuple[str, list[float] | None]:
    """The text and the vector of a line of JSON or of a table."""
    try:
        if line.startswith(b"{"):
            record = json.loads(line)
            text, vector = record["text"], record["vector"]
            if isinstance(text, str) and (vector is None or isinstance(vector, list)):
                return text, None if vector is None else [float(value) for value in vector]
        else:
            _, text, numbers = line.decode().split("\t")
            return text, [float(value) for value in numbers.split()] or None
    except (ValueError, KeyError, TypeError, RecursionError):
        pass
    raise DataError(f"{place}: neither a record with `text` and `vector` nor line, text and vector in columns")
