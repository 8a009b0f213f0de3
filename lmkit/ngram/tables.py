"""Tables of n-grams: a trie of sorted integer keys, one level an order; knows neither text nor probabilities.

Level k lists the distinct k-grams in the order of their words' ids. A k-gram's id is its place
in that list; its key is (id of its first k-1 words) << 32 | id of its last word, so that keys
ascend, the children of a context lie together, and a child is found by binary search. The
suffix of a k-gram is the id of its last k-1 words, a (k-1)-gram.

Shapes: V vocabulary, M n-grams of a level.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from lmkit.digests import CheckedArray
from lmkit.protocols import I32, I64, Ints

SHIFT = 32
WORD = (1 << SHIFT) - 1
FEW = 64  # look-ups that are not worth sorting


@dataclass(frozen=True)
class Level:
    """The n-grams of one order and how often each was seen.

    `key` I64[M] ascending, `count` I32[M] or I64[M], `suffix` I32[M]. At order 1 there is an entry for
    every id of the vocabulary, also for those never seen, and `suffix` is empty.
    """

    key: I64
    count: Ints
    suffix: I32

    def __len__(self) -> int:
        return len(self.key)


@dataclass(frozen=True)
class Counts:
    """Counts of all orders 1 to n over one vocabulary."""

    levels: Sequence[Level]

    @property
    def order(self) -> int:
        """The highest order."""
        return len(self.levels)


def make_key(context: I64 | I32, word: I64 | I32) -> I64:
    """Keys of the n-grams `context` followed by `word`."""
    return (context.astype(np.int64) << SHIFT) | word


def find_keys(keys: I64 | CheckedArray, wanted: I64) -> I64:
    """Places of `wanted` in the ascending `keys`; -1 where absent.

    Many are looked up in sorted order, each distinct one once: neighbours share the cache
    lines that a binary search touches, which is four times faster than in text order.
    """
    if not len(keys):
        return np.full(len(wanted), -1, dtype=np.int64)
    if len(wanted) < FEW:
        return _search(keys, wanted)
    order = sorting(wanted)
    ordered = wanted[order]
    starts = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
    places = np.empty(len(wanted), dtype=np.int64)
    places[order] = np.repeat(_search(keys, ordered[starts]), np.diff(starts, append=len(wanted)))
    return places


def sorting(keys: I64) -> I64:
    """The order that sorts keys, equal ones by place.

    One sort of (context, word, place) packed into 63 bits where they fit, several times
    faster than an argsort.
    """
    if not len(keys):
        return np.zeros(0, dtype=np.int64)
    place_bits = int(len(keys) - 1).bit_length()
    word_bits = int((keys & WORD).max()).bit_length()
    if int(keys.max() >> SHIFT).bit_length() + word_bits + place_bits > 63:
        return np.argsort(keys, kind="stable")
    packed = (keys >> SHIFT) << (word_bits + place_bits)
    packed |= (keys & WORD) << place_bits
    packed |= np.arange(len(keys))
    packed.sort()
    packed &= (1 << place_bits) - 1
    return packed


def _search(keys: I64 | CheckedArray, wanted: I64) -> I64:
    place: I64 = keys.search(wanted) if isinstance(keys, CheckedArray) else np.searchsorted(keys, wanted)
    place[place == len(keys)] = 0
    place[keys[place] != wanted] = -1
    return place


def context_starts(keys: I64) -> I64:
    """Where each run of n-grams with the same context begins."""
    contexts = keys >> SHIFT
    return np.flatnonzero(np.concatenate(([True], contexts[1:] != contexts[:-1])))[: len(keys)]


def beginning_with(levels: Sequence[Level], word: int) -> list[tuple[int, int]]:
    """For each level, the range of n-grams whose first word is `word`."""
    ranges = [(word, word + 1)]
    for level in levels[1:]:
        low, high = ranges[-1]
        ranges.append((int(np.searchsorted(level.key, low << SHIFT)), int(np.searchsorted(level.key, high << SHIFT))))
    return ranges


def context_cuts(keys: I64, size: int) -> Iterator[tuple[int, int]]:
    """Consecutive ranges of about `size` n-grams, cut only between contexts."""
    begin = 0
    while begin < len(keys):
        end = begin + size
        if end < len(keys):
            context = int(keys[end - 1]) >> SHIFT
            end = int(np.searchsorted(keys, (context + 1) << SHIFT))
        yield begin, min(end, len(keys))
        begin = end


def words_of(keys: Sequence[I64], order: int, ids: I64) -> I32:
    """The words of the n-grams `ids` of the given order, (len(ids), order)."""
    words = np.empty((len(ids), order), dtype=np.int32)
    for position in range(order - 1, 0, -1):
        key = keys[position][ids]
        words[:, position] = key & WORD
        ids = key >> SHIFT
    words[:, 0] = ids
    return words
