"""How a tokenizer parts a text: the share of the vocabulary in use, and fertility by how frequent words are.

Fertility is the number of tokens that a word becomes (Rust et al. 2021, section 4.1).
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from lmkit.protocols import I32, I64, Tokenizer
from lmkit.tokenization.bpe.pretoken_counts import Counter
from lmkit.tokenization.bpe.scheme import Scheme

BANDS = (1, 10, 100, 1_000, 10_000, 100_000)
_BATCH = 1 << 14  # words encoded at a time


class Band(NamedTuple):
    """Words that occur from `least` to `most` times (0: no limit): how many kinds, how many words, their tokens.

    `whole` counts the words, among all, that are one token.
    """

    least: int
    most: int
    types: int
    words: int
    tokens: int
    whole: int


@dataclass
class Tally:
    """Counts words and tokens of a text, block by block."""

    tokenizer: Tokenizer

    def __post_init__(self) -> None:
        self.tokens = 0
        self.unknown_tokens = 0
        self._used = np.zeros(self.tokenizer.size, dtype=np.bool_)
        self._words = Counter(Scheme(level="char"))

    def add(self, block: bytes, ids: I32) -> None:
        """Takes in a block of whole lines and its ids."""
        self.tokens += len(ids)
        unknown = self.tokenizer.specials.get("unk")
        if unknown is not None:
            self.unknown_tokens += int(np.count_nonzero(ids == unknown))
        self._used[ids] = True
        self._words.add(self._words.scan(block))

    @property
    def used(self) -> int:
        """How many ids of the vocabulary the text has."""
        return int(np.count_nonzero(self._used))

    def bands(self, before: bytes) -> list[Band]:
        """Words by frequency, each encoded alone with `before` in front, as inside a line."""
        words = self._words.total()
        lengths = self._lengths(words.blob.tobytes(), words.offsets, before)
        found = []
        for least, above in zip(BANDS, (*BANDS[1:], 0), strict=True):
            within = (words.counts >= least) & ((words.counts < above) if above else True)
            counts = words.counts[within]
            if len(counts):
                tokens = int((counts * lengths[within]).sum())
                whole = int(counts[lengths[within] == 1].sum())
                found.append(Band(least, max(0, above - 1), len(counts), int(counts.sum()), tokens, whole))
        return found

    def _lengths(self, blob: bytes, offsets: I64, before: bytes) -> I64:
        """Tokens of each distinct word."""
        ends = offsets.tolist()
        parts = []
        for begin in range(0, len(ends) - 1, _BATCH):
            chosen = ends[begin : begin + _BATCH + 1]
            lines = b"".join(before + blob[a:b] + b"\n" for a, b in pairwise(chosen))
            parts.append(np.diff(self.tokenizer.encode_block(lines)[1], prepend=0))
        return np.concatenate(parts) if parts else np.zeros(0, dtype=np.int64)
