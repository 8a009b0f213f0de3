"""Compressors as measuring rods: how many bytes a stream comes to, in constant memory."""

import bz2
import lzma
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lmkit.errors import UsageError
from lmkit.io.streams import zstandard

COMPRESSORS: Mapping[str, Callable[[], Any]] = {
    "gzip": lambda: zlib.compressobj(6, zlib.DEFLATED, 31),
    "zlib": lambda: zlib.compressobj(6),
    "bz2": lambda: bz2.BZ2Compressor(9),
    "lzma": lambda: lzma.LZMACompressor(lzma.FORMAT_ALONE),
    "xz": lambda: lzma.LZMACompressor(lzma.FORMAT_XZ),
    "zstd": lambda: zstandard("--compare zstd").ZstdCompressor(),
}
"""Each at the level that its own tool takes by default; sizes include its headers."""


def names(text: str) -> list[str]:
    """The compressors of a list such as `gzip,xz`. Raises UsageError for others."""
    found = list(dict.fromkeys(name.strip() for name in text.split(",")))
    for name in found:
        if name not in COMPRESSORS:
            raise UsageError(f"--compare: {name!r} is not one of {', '.join(COMPRESSORS)}")
    return found


class Sizes:
    """What a stream measures: bytes, characters, and bytes when compressed by each of several compressors.

    Characters are counted by their first bytes, which is right for UTF-8.
    """

    def __init__(self, compressors: Sequence[str] = ()) -> None:
        self._compressors = {name: COMPRESSORS[name]() for name in compressors}
        self._compressed = dict.fromkeys(compressors, 0)
        self.bytes = 0
        self.characters = 0

    def add(self, piece: bytes) -> None:
        """Takes the next bytes of the stream."""
        self.bytes += len(piece)
        if not self._compressors:
            return
        self.characters += _characters(piece)
        for name, compressor in self._compressors.items():
            self._compressed[name] += len(compressor.compress(piece))

    def finish(self) -> dict[str, int]:
        """Bytes of the whole stream under each compressor."""
        for name, compressor in self._compressors.items():
            self._compressed[name] += len(compressor.flush())
        return self._compressed


def _characters(piece: bytes) -> int:
    if piece.isascii():
        return len(piece)
    import numpy as np

    return len(piece) - int(np.count_nonzero(np.frombuffer(piece, dtype=np.uint8) & 0xC0 == 0x80))
