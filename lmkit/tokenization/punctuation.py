"""Punctuation marks of a text set apart from words, or taken out; bytes that are not UTF-8 stay as they are."""

import re
import unicodedata
from functools import cache
from string import punctuation as ascii_marks

import numpy as np

from lmkit.protocols import Bool

_NAMES = re.compile(r"<(?<![^ \t\r\n\0]<)(?:unk|/?s)>(?![^ \t\r\n\0])")
_POINTS, _PUNCTUATED = 0x110000, 0x20000  # code points, and those among which Unicode has punctuation
_SPACE = 32


@cache
def _marks() -> Bool:
    """Return which code points are punctuation marks: ASCII's, such as `$` too, and Unicode's category P."""
    marks = np.zeros(_POINTS, dtype=np.bool_)
    marks[:_PUNCTUATED] = [unicodedata.category(chr(point))[0] == "P" for point in range(_PUNCTUATED)]
    marks[[ord(mark) for mark in ascii_marks]] = True
    return marks


def separate(block: bytes, *, remove: bool = False, keep_names: bool = True) -> bytes:
    """Return a text with a space on both sides of each punctuation mark, or to `remove` with one in its place.

    The words `<unk>`, `<s>` and `</s>`, which corpora have for unknown words and sentence marks, stay if `keep_names`.
    """
    text = block.decode(errors="surrogateescape")
    plain = block.isascii()
    points = np.frombuffer(
        block if plain else text.encode("utf-32-le", "surrogatepass"), dtype="u1" if plain else "<u4"
    )
    marked = _marks()[points]
    for name in _NAMES.finditer(text) if keep_names else ():
        marked[name.start() : name.end()] = False
    if remove:
        separated = np.where(marked, points.dtype.type(_SPACE), points)
    else:
        lengths = 1 + 2 * marked
        separated = np.repeat(points, lengths)
        ends = np.cumsum(lengths)[marked]
        separated[ends - 3] = separated[ends - 1] = _SPACE
    if plain:
        return separated.tobytes()
    return separated.tobytes().decode("utf-32-le", "surrogatepass").encode(errors="surrogateescape")
