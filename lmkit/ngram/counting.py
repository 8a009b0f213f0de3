"""Counting n-grams of encoded text; knows ids, not words.

Level by level: the positions of the text are kept grouped by the k-gram that ends there; the
groups are cut into parts that fit the cache, and one sort of packed 64-bit integers
(context, next word, position) in each part groups them by (k+1)-gram. Parts are independent,
so threads share them, and the result does not depend on how many.

Shapes: P positions of the text with its sentence marks, M n-grams of a level.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from lmkit.ngram.tables import SHIFT, Counts, Level
from lmkit.protocols import I32, I64, U64, Ints, ProgressCallback, no_progress
from lmkit.tokenization.vocabulary import BOS, EOS

PART = 1 << 18


def mark(ids: I32, line_ends: I64) -> I32:
    """Sentences as one array: each with one `<s>` in front and one `</s>` behind, (N + 2S,)."""
    lines = len(line_ends)
    lengths = np.diff(line_ends, prepend=0)
    marked = np.empty(len(ids) + 2 * lines, dtype=np.int32)
    ends = line_ends + 2 * np.arange(1, lines + 1)
    marked[ends - lengths - 2] = BOS
    marked[ends - 1] = EOS
    marked[np.arange(len(ids)) + np.repeat(2 * np.arange(lines) + 1, lengths)] = ids
    return marked


class _Part(NamedTuple):
    """What one part of a level's positions gives: grouped positions and their new n-grams."""

    positions: I32
    key: I64
    counts: I32
    suffix: I32


def count_sentences(
    text: I32, order: int, size: int, threads: int = 1, stage: ProgressCallback = no_progress
) -> Counts:
    """Counts of orders 1 to `order` in marked text.

    No n-gram crosses a sentence; each sentence is preceded by a single `<s>`, so that a k-gram
    exists from the k-th token on, `<s>` being the first. `size` is the vocabulary's.
    """
    count = np.bincount(text, minlength=size).astype(np.int32)
    levels = [Level(np.arange(size, dtype=np.int64), count, np.zeros(0, dtype=np.int32))]
    if order == 1 or not len(text):
        return Counts(levels + [_empty() for _ in range(order - 1)])
    padded = np.append(text, np.int32(BOS))
    positions = _group_by_word(text)
    ids = text.copy()
    tell = stage("sorting", len(text) * (order - 1))
    with ThreadPoolExecutor(threads) as pool:
        for k in range(2, order + 1):
            positions, level = _extend(padded, ids, positions, levels[-1].count, pool, tell, last=k == order)
            levels.append(level)
    return Counts(levels)


def _empty() -> Level:
    return Level(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int32), np.zeros(0, dtype=np.int32))


def _group_by_word(text: I32) -> I32:
    """Positions ordered by word and then by place."""
    keys = text.astype(np.int64)
    keys <<= SHIFT
    keys |= np.arange(len(text))
    keys.sort()
    return keys.astype(np.int32)  # the low half


def _extend(
    text: I32,
    ids: I32,
    positions: I32,
    counts: Ints,
    pool: ThreadPoolExecutor,
    tell: Callable[[int], None],
    *,
    last: bool,
) -> tuple[I32, Level]:
    """From k-grams to (k+1)-grams.

    `positions` (P,) lie grouped by the k-gram that ends there, `counts` (M,) are the groups'
    sizes, `ids` (P,) the k-gram that ends at each position, overwritten with the (k+1)-gram's.
    """
    bounds = np.zeros(len(counts) + 1, dtype=np.int64)
    np.cumsum(counts, out=bounds[1:])

    def part(cut: tuple[int, int]) -> _Part:
        low, high = cut
        return _sort_part(text, ids, positions[bounds[low] : bounds[high]], counts[low:high], low)

    most = len(positions)  # untouched pages of an empty array cost nothing
    grouped = np.empty(0 if last else most, dtype=np.int32)
    key = np.empty(most, dtype=np.int64)
    count, suffix = np.empty(most, dtype=np.int32), np.empty(most, dtype=np.int32)
    base = placed = 0
    for done in pool.map(part, _cuts(bounds)):
        end = base + len(done.key)
        key[base:end], count[base:end], suffix[base:end] = done.key, done.counts, done.suffix
        if not last:
            grouped[placed : placed + len(done.positions)] = done.positions
            placed += len(done.positions)
            # No position lies in two parts, so those still being sorted do not see this.
            ids[done.positions] = np.repeat(np.arange(base, end, dtype=np.int32), done.counts)
        base = end
        tell(len(done.positions))
    return grouped[:placed], Level(key[:base], count[:base], suffix[:base])


def _cuts(bounds: I64) -> Iterator[tuple[int, int]]:
    """Ranges of groups that hold about PART positions each."""
    begin, groups = 0, len(bounds) - 1
    while begin < groups:
        end = int(np.searchsorted(bounds, bounds[begin] + PART))
        end = min(max(end, begin + 1), groups)
        yield begin, end
        begin = end


def _bits(count: int) -> int:
    return max(1, (count - 1).bit_length())


def _sort_part(text: I32, ids: I32, positions: I32, counts: Ints, first: int) -> _Part:
    """Groups the positions after `positions` by (k-gram before, word there)."""
    after = positions + np.int32(1)
    words = text[after]
    place_bits, word_bits = _bits(len(after)), _bits(int(words.max(initial=0)) + 1)
    packed: U64 = np.repeat(np.arange(len(counts), dtype=np.uint64) << np.uint64(word_bits + place_bits), counts)
    packed |= words.astype(np.uint64) << np.uint64(place_bits)
    packed |= np.arange(len(after), dtype=np.uint64)
    packed = packed[words != BOS]  # a sentence's last token has nothing after it
    packed.sort()
    after = after[(packed & np.uint64((1 << place_bits) - 1)).astype(np.int64)]
    packed >>= np.uint64(place_bits)
    starts = np.flatnonzero(np.concatenate(([True], packed[1:] != packed[:-1])))[: len(packed)]
    grams = packed[starts].astype(np.int64)
    key = ((grams >> word_bits) + first) << SHIFT | (grams & ((1 << word_bits) - 1))
    return _Part(after, key, np.diff(starts, append=len(packed)).astype(np.int32), ids[after[starts]])
