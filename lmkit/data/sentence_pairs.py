"""Pairs of sentences for next-sentence prediction: the second follows the first, or is drawn from elsewhere.

Devlin et al. (2019): half of the pairs are contiguous, label 1; in the other half the second sentence is a random one,
label 0. Contiguous sentences are of one document; a random one is of another document where there are several, and
never reads as the true next one. Knows no tokenizer.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, NamedTuple

import numpy as np

from lmkit.protocols import I32

SENTENCES, BYTES = 1 << 12, 8 << 20
"""Sentences, and bytes of them, that are held at once; random ones are drawn among these."""
_TRIES = 32


class SentencePair(NamedTuple):
    """Numbers of two sentences, and whether the second follows the first."""

    first: int
    second: int
    follows: bool


@dataclass(frozen=True)
class Sentences:
    """Sentences that follow each other, or keys that are equal where they are, and the document of each, in order."""

    texts: Sequence[Any]
    documents: Sequence[int]

    def pairs(self, generator: np.random.Generator) -> Iterator[SentencePair]:
        """Yield a pair for each sentence that another follows in its document, in order."""
        for first in range(len(self.texts) - 1):
            if self.documents[first] == self.documents[first + 1]:
                yield self.pair(first, generator)

    def pair(self, first: int, generator: np.random.Generator) -> SentencePair:
        """Return a pair of a sentence that another follows; contiguous too where no other sentence can be drawn."""
        second = None if generator.random() < 0.5 else self._other(first, generator)
        return SentencePair(first, first + 1 if second is None else second, second is None)

    def _other(self, first: int, generator: np.random.Generator) -> int | None:
        """Draw a sentence that does not follow; None where there is none, or all that are drawn read like it."""
        document = self.documents[first]
        begin, end = bisect_left(self.documents, document), bisect_right(self.documents, document)
        if end - begin == len(self.texts):  # no other document
            begin, end = first, first + 2
        others = len(self.texts) - (end - begin)
        for drawn in generator.integers(0, others, _TRIES).tolist() if others else ():
            other = drawn if drawn < begin else drawn + end - begin
            if self.texts[other] != self.texts[first + 1]:
                return int(other)
        return None


def in_documents(lines: Iterable[bytes]) -> Iterator[Sentences]:
    """Yield lines as sentences, some thousands at a time; blank lines end documents.

    Each part but the first begins with the last sentence of the one before, so that no pair is lost.
    """
    texts: list[bytes] = []
    documents: list[int] = []
    document, size = 0, 0
    for line in chain(lines, [None]):
        if line is not None and line.strip():
            texts.append(line)
            documents.append(document)
            size += len(line)
        else:
            document += 1
        if texts and (line is None or ((len(texts) >= SENTENCES or size >= BYTES) and len(texts) > 1)):
            yield Sentences(texts, documents)
            texts, documents, size = texts[-1:], documents[-1:], len(texts[-1])


def cut_pair(first: I32, second: I32, most: int) -> tuple[I32, I32]:
    """Return the beginnings of two sentences that have `most` tokens together; the longer one is cut, or both alike."""
    half = most // 2
    size = min(len(first), max(most - len(second), most - half))
    return first[:size], second[: most - size]
