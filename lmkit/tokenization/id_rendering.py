"""Ids to bytes, a table look-up for a whole block at once. Knows numbers and strings, no tokenizer."""

from collections.abc import Sequence

import numpy as np

from lmkit.protocols import I32, I64, U8, Ints

_WIDTH = 8


class Renderer:
    """Writes the string of each id, one after another.

    Strings lie in rows of eight bytes, padded with a byte that none of them has; a block is
    gathered row by row and the padding is deleted. Longer strings take several rows. Where
    there is no such byte the bytes are gathered one by one.
    """

    def __init__(self, strings: Sequence[bytes]) -> None:
        self._lengths = np.array([len(string) for string in strings], dtype=np.int64)
        blob = b"".join(strings)
        self._blob = np.frombuffer(blob, dtype=np.uint8)
        self._starts = np.cumsum(self._lengths) - self._lengths
        used = np.bincount(self._blob, minlength=256) > 0
        self._pad = None if used.all() else int(np.flatnonzero(~used)[-1])
        if self._pad is not None:
            self._rows = np.maximum(1, -(-self._lengths // _WIDTH))
            self._first = np.cumsum(self._rows) - self._rows
            self._table = self._padded(strings, self._pad)

    def _padded(self, strings: Sequence[bytes], pad: int) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
        fill = bytes([pad])
        rows = self._rows.tolist()
        data = b"".join(string.ljust(_WIDTH * count, fill) for string, count in zip(strings, rows, strict=True))
        return np.frombuffer(data, dtype=np.uint64)

    def render(self, ids: Ints) -> bytes:
        """The strings of the ids, end to end."""
        if self._pad is None:
            return self._gathered(ids).tobytes()
        rows = self._rows[ids]
        places = self._first[ids]
        if len(rows) and rows.max() > 1:
            ends = np.cumsum(rows)
            places = np.repeat(places - ends + rows, rows) + np.arange(ends[-1])
        padded: bytes = self._table[places].tobytes()
        return padded.translate(None, bytes([self._pad]))

    def _gathered(self, ids: Ints) -> U8:
        lengths: I64 = self._lengths[ids]
        places = np.repeat(self._starts[ids] - np.cumsum(lengths) + lengths, lengths)
        return self._blob[places + np.arange(len(places))]


class LineRenderer:
    """Writes ids as lines of strings with spaces between them, block by block."""

    def __init__(self, strings: Sequence[bytes]) -> None:
        self._size = len(strings)
        spaced = [string + b" " for string in strings]
        final = [string + b"\n" for string in strings]
        self._renderer = Renderer([*spaced, *final, b"\n"])
        self._inside = False

    def render(self, ids: I32, line_ends: I64) -> bytes:
        """The lines that the ids of a block make; the last one may continue in the next block."""
        feed = np.int32(2 * self._size)
        ids = ids.copy()
        empty = np.diff(line_ends, prepend=0) == 0
        ids[line_ends[~empty] - 1] += np.int32(self._size)
        if empty.any():
            ids = np.insert(ids, line_ends[empty], feed)
        text = self._renderer.render(ids)
        if self._inside:  # a line that the last block began
            text = text if empty[:1].any() else b" " + text
        self._inside = text.endswith(b" ")
        return text[:-1] if self._inside else text
