"""Words and their neighbours in a stream of ids, as arrays. Knows no vectors.

Shapes: N ids, T words among them, B words of a batch, C neighbours at most.
"""

from typing import NamedTuple

import numpy as np

from lmkit.protocols import I32, I64, Bool
from lmkit.word_vectors.training_plan import FIRST_WORD, LINE_END


class Lines(NamedTuple):
    """The words of a stream, (T,), and which line each is on."""

    words: I32
    numbers: I64

    @classmethod
    def of(cls, ids: I32) -> "Lines":
        """Takes a stream apart."""
        numbers = np.cumsum(ids == LINE_END)
        words = ids >= FIRST_WORD
        return cls(ids[words], numbers[words])

    def neighbours(self, begin: int, end: int, reach: I64) -> tuple[I32, Bool]:
        """Those of words[begin:end] within `reach` (B,) on the same line, (B, C) left to right, and which exist."""
        most = int(reach.max(initial=0))
        offsets = np.concatenate((np.arange(-most, 0), np.arange(1, most + 1)))
        places = np.arange(begin, end)[:, None] + offsets
        inside = np.clip(places, 0, max(len(self.words) - 1, 0))
        there = (places == inside) & (np.abs(offsets) <= reach[:, None])
        there &= self.numbers[inside] == self.numbers[begin:end, None]
        return self.words[inside], there
