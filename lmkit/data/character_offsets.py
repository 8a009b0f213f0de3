"""Places of normalised texts in the texts themselves, character by character. Knows no files.

Normalisation is that of `lmkit.data.word_hashes`.
"""

import unicodedata
from collections.abc import Iterator

import numpy as np

from lmkit.data.word_hashes import normalized
from lmkit.protocols import I64


class CharacterOffsets:
    """From characters of a normalised text to those of the text itself."""

    def __init__(self, text: str) -> None:
        self._size = len(text)
        self._begins: I64 | None = None
        if text.isascii() or _keeps_places(text):
            return
        parts, begins, ends = list[str](), list[int](), list[int]()
        for begin, end in _clusters(text):
            parts.append(normalized(text[begin:end]))
            begins += [begin] * len(parts[-1])
            ends += [end] * len(parts[-1])
        if "".join(parts) == normalized(text):
            self._begins, self._ends = np.array(begins), np.array(ends)
        else:
            self._begins = np.zeros(0, np.int64)

    @property
    def known(self) -> bool:
        """Whether places can be followed; where not, any span is the text as a whole."""
        return self._begins is None or len(self._begins) > 0

    def span(self, begin: int, end: int) -> list[int]:
        """Return the span of the text itself; all of it where characters compose in a way that is not followed."""
        if self._begins is None:
            return [begin, end]
        if not len(self._begins):
            return [0, self._size]
        return [int(self._begins[begin]), int(self._ends[end - 1])]


def _keeps_places(text: str) -> bool:
    """Whether normalisation makes one character of each: case folding makes at least one of each, NFKC changes none."""
    if not unicodedata.is_normalized("NFKC", text):
        return False
    folded = text.casefold()
    return len(folded) == len(text) and unicodedata.is_normalized("NFKC", folded)


def _clusters(text: str) -> Iterator[tuple[int, int]]:
    """Yield stretches that normalisation treats apart: a character with its combining marks, or a Hangul syllable."""
    begin = 0
    for at, character in enumerate(text):
        if at > begin and not (unicodedata.combining(character) or "\u1160" <= character <= "\u11ff"):
            yield begin, at
            begin = at
    if text:
        yield begin, len(text)
