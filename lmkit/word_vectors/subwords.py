"""Words made of their characters: which n-grams a word has, which rows they share, how their vectors combine.

A word's n-grams are those of `<word>`, in characters of UTF-8, hashed into buckets as fastText's code does it, so that
the buckets are the same (Bojanowski et al. 2017). `<` and `>` alone are none. Only buckets that words of the vocabulary
have get a row; an n-gram that a word has twice, or two of the same bucket, count once.

Shapes: W words, M n-grams of all of them, V words of a vocabulary, B buckets with a row, D numbers in a vector.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lmkit.checkpoint import Array, Checkpoint
from lmkit.digests import CheckedArray
from lmkit.errors import CheckpointError
from lmkit.protocols import F32, F64, I32, I64, U32
from lmkit.tokenization.vocabulary import NAMES, Vocabulary
from lmkit.word_vectors.training_plan import FIRST_WORD, Parts

MOST_BUCKETS = 2**31 - 1
_BASIS, _PRIME = np.uint32(2166136261), np.uint32(16777619)
_AT_ONCE = 1 << 14  # words that are taken apart at once


@dataclass(frozen=True)
class Subwords:
    """N-grams of `least` to `most` characters in so many `buckets`."""

    least: int
    most: int
    buckets: int

    def of(self, words: Sequence[bytes]) -> tuple[I64, I32]:
        """Which word, (M,), has which bucket, (M,): in ascending order, none twice."""
        owners, hashes = hashed(words, self.least, self.most)
        keys = np.unique((owners << 32) | (hashes % np.uint32(self.buckets)).astype(np.int64))
        return keys >> 32, (keys & 0xFFFFFFFF).astype(np.int32)

    def compose(self, vocabulary: Vocabulary) -> "Composition":
        """Which rows make each word of a vocabulary: its own, then one for each bucket that it has."""
        owners, found = zip(*self._blocks(vocabulary.pieces()), strict=True)
        buckets, places = np.unique(np.concatenate(found), return_inverse=True)
        size = len(vocabulary)
        own = np.arange(FIRST_WORD, size)
        order = np.argsort(np.concatenate((own, *owners)), kind="stable")
        rows = np.concatenate((own, size + places)).astype(np.int32)[order]
        starts = np.zeros(size + 1, dtype=np.int64)
        np.cumsum(np.bincount(np.concatenate((own, *owners)), minlength=size), out=starts[1:])
        return Composition(self, Parts(starts, rows, size + len(buckets)), buckets)

    def _blocks(self, pieces: Sequence[bytes]) -> Iterator[tuple[I64, I32]]:
        for begin in range(FIRST_WORD, len(pieces), _AT_ONCE):
            owners, buckets = self.of(pieces[begin : begin + _AT_ONCE])
            yield begin + owners, buckets


def hashed(words: Sequence[bytes], least: int, most: int) -> tuple[I64, U32]:
    """Which word, (M,), has an n-gram of which hash, (M,): shorter n-grams first.

    The hash is 32-bit FNV-1a over bytes that are taken as signed numbers, as fastText has it.
    """
    text = np.frombuffer(b"".join([b"<" + word + b">" for word in words]), dtype=np.uint8)
    borders = np.concatenate(
        (np.zeros(1, dtype=np.int64), np.cumsum([len(word) + 2 for word in words], dtype=np.int64))
    )
    starts = np.flatnonzero((text & 0xC0) != 0x80)  # bytes that begin a character
    ends = np.append(starts, len(text))[1:]
    owners = np.searchsorted(borders, starts, side="right") - 1
    marks = np.isin(starts, borders) | np.isin(ends, borders)
    signed = text.view(np.int8).astype(np.int32).view(np.uint32)
    places, hashes = np.arange(len(starts)), np.full(len(starts), _BASIS, dtype=np.uint32)
    found: list[tuple[I64, U32]] = [(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.uint32))]
    for size in range(1, most + 1):
        ahead = places + size - 1
        inside = ahead < len(starts)
        inside[inside] = owners[ahead[inside]] == owners[places[inside]]
        places, hashes, ahead = places[inside], hashes[inside], ahead[inside]
        if not len(places):
            break
        hashes = _appended(hashes, signed, starts[ahead], ends[ahead])
        if size >= least:
            real = ~marks[places] if size == 1 else slice(None)
            found.append((owners[places][real], hashes[real]))
    return np.concatenate([one for one, _ in found]), np.concatenate([other for _, other in found])


def _appended(hashes: U32, signed: U32, starts: I64, ends: I64) -> U32:
    """Hashes with the bytes of one more character each."""
    hashes = hashes.copy()
    here = np.arange(len(hashes))
    while len(here):
        hashes[here] = (hashes[here] ^ signed[starts[here]]) * _PRIME
        starts = starts + 1
        here = here[starts[here] < ends[here]]
    return hashes


@dataclass(frozen=True)
class Ngrams:
    """Vectors of the n-grams that were learned.

    buckets  (B,) ascending
    table    (B, D), may be checked where it is read
    """

    subwords: Subwords
    buckets: I32
    table: F32 | CheckedArray

    @property
    def rows(self) -> F32:
        """All rows, (B, D)."""
        return self.table.whole() if isinstance(self.table, CheckedArray) else self.table

    def tensors(self) -> dict[str, Array]:
        """As a checkpoint has them."""
        return {"ngram_buckets": self.buckets, "ngrams": self.rows}

    def describe(self) -> dict[str, Any]:
        """The settings of a checkpoint that say which they are."""
        subwords = self.subwords
        return {"subwords": [subwords.least, subwords.most], "buckets": subwords.buckets, "ngrams": len(self.buckets)}

    @classmethod
    def load(cls, checkpoint: Checkpoint, dim: int) -> "Ngrams":
        """The inverse; arrays stay where they are. Raises CheckpointError."""
        span, size = checkpoint.config.get("subwords"), checkpoint.config.get("buckets")
        numbers = [*span, size] if isinstance(span, list) and len(span) == 2 else [0]
        if not all(type(number) is int for number in numbers) or not 0 < numbers[0] <= numbers[1]:
            raise CheckpointError("damaged checkpoint: n-grams without their lengths and the number of buckets")
        if not 0 < numbers[2] <= MOST_BUCKETS:
            raise CheckpointError(f"damaged checkpoint: {numbers[2]} buckets")
        buckets = checkpoint.array("ngram_buckets", "I32", (None,))
        rows = checkpoint.checked("ngrams", "F32", (len(buckets), dim))
        if (buckets[1:] <= buckets[:-1]).any() or (len(buckets) and not 0 <= buckets[0] <= buckets[-1] < numbers[2]):
            raise CheckpointError("damaged checkpoint: buckets of n-grams that are none")
        return cls(Subwords(*numbers), buckets, rows)

    def vector(self, word: bytes) -> F64 | None:
        """The mean of the rows of a word's n-grams, those that were learned; None where there are none.

        Nor has an empty word a vector, nor what is spelled like a special token.
        """
        if not word or word in NAMES:
            return None
        _, wanted = self.subwords.of([word])
        places = np.searchsorted(self.buckets, wanted)
        places[places == len(self.buckets)] = 0
        places = places[self.buckets[places] == wanted] if len(self.buckets) else places[:0]
        if not len(places):
            return None
        vector: F64 = self.table[places].mean(axis=0, dtype=np.float64)
        return vector if vector.any() else None


@dataclass(frozen=True)
class Composition:
    """How the words of a vocabulary are made.

    parts    which rows each word has; those of n-grams come after all words' own
    buckets  (B,) of which bucket each of these is, ascending
    """

    subwords: Subwords
    parts: Parts
    buckets: I32

    def words(self, rows: F32) -> F32:
        """Vectors of all words, (R, D) to (V, D)."""
        ids = np.arange(len(self.parts.starts) - 1, dtype=np.int32)
        blocks = [self.parts.means(rows, ids[at : at + _AT_ONCE]) for at in range(0, len(ids), _AT_ONCE)]
        return np.concatenate(blocks).astype(np.float32, copy=False)

    def ngrams(self, rows: F32) -> Ngrams:
        """Those of the n-grams, (R, D) to (B, D): a view."""
        return Ngrams(self.subwords, self.buckets, rows[len(self.parts.starts) - 1 :])

    def begin(self, rows: F32, words: I32, vectors: F32, ngrams: Ngrams | None) -> None:
        """Changes rows so that some words, (N,), have these vectors, (N, D); n-grams of the same buckets come along."""
        mine = self.ngrams(rows)
        if ngrams is not None and ngrams.subwords == self.subwords:
            _, here, there = np.intersect1d(self.buckets, ngrams.buckets, assume_unique=True, return_indices=True)
            mine.rows[here] = ngrams.rows[there]
        rows[words] += self.parts.counts(words)[:, None] * (vectors - self.parts.means(rows, words))
