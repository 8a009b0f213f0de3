"""Learning merges in compiled code: what `merge_learning` does, number for number, where numba is installed.

Pairs are looked after here by their numbers, all in flat arrays: a hash table of pairs with
their counts and places, places chained through a pool, and a heap of pairs. The caller spells
the pieces.

The places of a chain always rise. A merge visits its places from left to right, as `x x x` is
`(xx) x` and not `x (xx)`; a pair gains places during one merge alone, the one that makes its newer
symbol, and each is appended to its chain, which therefore rises too.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any

import numba
import numpy as np

from lmkit.protocols import I32, I64

OFTEN = 0.1
"""Seconds between two looks at how many merges there are."""
_BITS = 32
_LOW = (1 << _BITS) - 1
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
compiled: Any = numba.njit(cache=True, nogil=True)


@compiled
def _find(keys, pair):
    """The place of a pair in the table, or the empty one where it would go."""
    last = len(keys) - 1
    mixed = np.uint64(pair) * _GOLDEN
    place = np.int64((mixed ^ (mixed >> np.uint64(32))) & np.uint64(last))
    while keys[place] != -1 and keys[place] != pair:
        place = (place + 1) & last
    return place


@compiled
def _grown(keys, counts, heads, tails):
    """The table with twice the room, without pairs that are gone."""
    new_keys = np.full(2 * len(keys), -1, dtype=np.int64)
    new_counts = np.zeros(2 * len(keys), dtype=np.int64)
    new_heads = np.full(2 * len(keys), -1, dtype=np.int32)
    new_tails = np.full(2 * len(keys), -1, dtype=np.int32)
    used = 0
    for place in range(len(keys)):
        if keys[place] != -1 and counts[place] > 0:
            there = _find(new_keys, keys[place])
            new_keys[there], new_counts[there] = keys[place], counts[place]
            new_heads[there], new_tails[there] = heads[place], tails[place]
            used += 1
    return new_keys, new_counts, new_heads, new_tails, used


@compiled
def _before(counts, pairs, one, other):
    """Whether one entry of the heap goes before another: by count, then by the lower pair."""
    return counts[one] > counts[other] or (counts[one] == counts[other] and pairs[one] < pairs[other])


@compiled
def _push(heap_counts, heap_pairs, size, count, pair):
    """Adds an entry to a heap that has room."""
    heap_counts[size], heap_pairs[size] = count, pair
    child = size
    while child > 0:
        parent = (child - 1) >> 1
        if not _before(heap_counts, heap_pairs, child, parent):
            break
        heap_counts[child], heap_counts[parent] = heap_counts[parent], heap_counts[child]
        heap_pairs[child], heap_pairs[parent] = heap_pairs[parent], heap_pairs[child]
        child = parent


@compiled
def _pop(heap_counts, heap_pairs, size):
    """Takes the first entry off a heap of `size`; what is left has one less."""
    size -= 1
    heap_counts[0], heap_pairs[0] = heap_counts[size], heap_pairs[size]
    parent = 0
    while True:
        child = 2 * parent + 1
        if child >= size:
            break
        if child + 1 < size and _before(heap_counts, heap_pairs, child + 1, child):
            child += 1
        if not _before(heap_counts, heap_pairs, child, parent):
            break
        heap_counts[child], heap_counts[parent] = heap_counts[parent], heap_counts[child]
        heap_pairs[child], heap_pairs[parent] = heap_pairs[parent], heap_pairs[child]
        parent = child


@compiled
def _links(lengths):
    """The neighbours of each symbol in its word, -1 at its ends."""
    size = lengths.sum()
    following = np.arange(1, size + 1).astype(np.int32)
    before = np.arange(-1, size - 1).astype(np.int32)
    end = 0
    for length in lengths:
        if length:
            before[end] = -1
            end += length
            following[end - 1] = -1
    return before, following


@compiled
def _index(symbols, following, weights, pool_place, pool_next):
    """The table of all pairs, their counts and chains of places, and how much of table and pool is used."""
    keys = np.full(1 << 16, -1, dtype=np.int64)
    counts = np.zeros(1 << 16, dtype=np.int64)
    heads = np.full(1 << 16, -1, dtype=np.int32)
    tails = np.full(1 << 16, -1, dtype=np.int32)
    used = pooled = 0
    for place in range(len(symbols)):
        if following[place] < 0:
            continue
        pair = np.int64(symbols[place]) << _BITS | np.int64(symbols[following[place]])
        there = _find(keys, pair)
        if keys[there] == -1:
            keys[there] = pair
            used += 1
        counts[there] += weights[place]
        _append(heads, tails, there, pool_place, pool_next, pooled, place)
        pooled += 1
        if 2 * used > len(keys):
            keys, counts, heads, tails, used = _grown(keys, counts, heads, tails)
    return keys, counts, heads, tails, used, pooled


@compiled
def _append(heads, tails, there, pool_place, pool_next, pooled, place):
    """Adds a place at the end of a pair's chain."""
    pool_place[pooled], pool_next[pooled] = place, -1
    if heads[there] < 0:
        heads[there] = pooled
    else:
        pool_next[tails[there]] = pooled
    tails[there] = pooled


@compiled
def _queue(keys, counts, minimum):
    """A heap of the pairs that count enough, with room for more, and how many there are."""
    heap_counts = np.empty(len(keys), dtype=np.int64)
    heap_pairs = np.empty(len(keys), dtype=np.int64)
    waiting = 0
    for there in range(len(keys)):
        if keys[there] != -1 and counts[there] >= minimum:
            _push(heap_counts, heap_pairs, waiting, counts[there], keys[there])
            waiting += 1
    return heap_counts, heap_pairs, waiting


@compiled
def merges(symbols, lengths, weights, first, most, minimum, state):
    """Up to `most` merges as pairs (left << 32 | right); the k-th makes symbol first + k.

    `symbols` (N) are changed, `lengths` (W) and `weights` (N) are those of words and of each symbol's word.
    `state` (2): how many merges there are, for another thread to read, and whether that asked for the end.
    """
    before, following = _links(lengths)
    pool_place = np.empty(3 * len(symbols) + 1, dtype=np.int32)  # each merge takes a symbol and makes two pairs
    pool_next = np.empty(3 * len(symbols) + 1, dtype=np.int32)
    keys, counts, heads, tails, used, pooled = _index(symbols, following, weights, pool_place, pool_next)
    heap_counts, heap_pairs, waiting = _queue(keys, counts, minimum)
    found = np.empty(most, dtype=np.int64)
    done = 0
    touched = np.empty(1024, dtype=np.int64)
    while done < most and waiting and not state[1]:
        count, pair = heap_counts[0], heap_pairs[0]
        _pop(heap_counts, heap_pairs, waiting)
        waiting -= 1
        there = _find(keys, pair)
        if keys[there] == -1:
            continue
        if counts[there] != count:
            if counts[there] >= minimum:
                _push(heap_counts, heap_pairs, waiting, counts[there], pair)
                waiting += 1
            continue
        left, right, merged = pair >> _BITS, pair & _LOW, first + done
        found[done] = pair
        done += 1
        state[0] = done
        link = heads[there]
        counts[there] = 0
        heads[there] = -1
        changed = 0
        while link >= 0:
            place = pool_place[link]
            link = pool_next[link]
            second = following[place]
            if symbols[place] != left or second < 0 or symbols[second] != right:
                continue
            weight, after, ahead = weights[place], following[second], before[place]
            symbols[place], symbols[second] = merged, -1
            following[place] = after
            for side in range(2):
                if side == 0:
                    if after < 0:
                        continue
                    before[after] = place
                    start = place
                    lost = right << _BITS | np.int64(symbols[after])
                    gained = merged << _BITS | np.int64(symbols[after])
                else:
                    if ahead < 0:
                        continue
                    start = ahead
                    lost = np.int64(symbols[ahead]) << _BITS | left
                    gained = np.int64(symbols[ahead]) << _BITS | merged
                there = _find(keys, lost)
                if keys[there] != -1 and lost != pair:
                    counts[there] -= weight
                there = _find(keys, gained)
                if keys[there] == -1:
                    keys[there] = gained
                    used += 1
                    if 2 * used > len(keys):
                        keys, counts, heads, tails, used = _grown(keys, counts, heads, tails)
                        there = _find(keys, gained)
                        keys[there] = gained  # it had no count yet, and was left out
                        used += 1
                if counts[there] == 0:
                    if changed == len(touched):
                        longer = np.empty(2 * changed, dtype=np.int64)
                        longer[:changed] = touched
                        touched = longer
                    touched[changed] = gained
                    changed += 1
                counts[there] += weight
                _append(heads, tails, there, pool_place, pool_next, pooled, start)
                pooled += 1
        for index in range(changed):
            pair = touched[index]
            there = _find(keys, pair)
            if counts[there] >= minimum:
                if waiting == len(heap_counts):
                    heap_counts = np.concatenate((heap_counts, np.empty_like(heap_counts)))
                    heap_pairs = np.concatenate((heap_pairs, np.empty_like(heap_pairs)))
                _push(heap_counts, heap_pairs, waiting, counts[there], pair)
                waiting += 1
    return found[:done]


def learn_pairs(
    symbols: I32, lengths: I64, counts: I64, first: int, most: int, minimum: int, progress: Callable[[int], None]
) -> I64:  # fmt: skip
    """Pairs (left << 32 | right) in the order in which they are merged; the k-th makes symbol `first` + k.

    `progress` is called from time to time with the number of merges since the last time.
    """
    state = np.zeros(2, dtype=np.int64)
    seen = 0
    with ThreadPoolExecutor(1) as pool:
        weights = np.repeat(counts, lengths)
        job = pool.submit(merges, symbols.astype(np.int32), lengths, weights, first, most, minimum, state)
        try:
            while not wait([job], OFTEN).done:
                done = int(state[0])
                progress(done - seen)
                seen = done
        finally:
            state[1] = 1  # where a signal ended the wait; the thread is awaited
        pairs: I64 = job.result()
    progress(len(pairs) - seen)
    return pairs
