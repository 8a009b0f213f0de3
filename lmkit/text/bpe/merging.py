"""Merges applied to many words at once, exactly as one after another. Knows numbers, not text.

Within a word the pair of lowest rank is merged everywhere it occurs, left to right, then the
next, until no pair has a rank (Sennrich et al. 2016, section 3.2). Short words go in rounds, a
merge in each word per round; long ones by rank, one rank in all words at a time, since their
rounds would be many. Where a merge may have a lower rank than one that makes its parts, as no
trainer leaves them but a file can say, rounds merge a single place in each word.
"""

import heapq

import numpy as np

from lmkit.protocols import I32, I64, U64, Bool, Ints
from lmkit.text.bpe.table import MISSING, Table

SHORT = 96  # symbols; longer words are merged rank by rank
_NONE = np.int32(np.iinfo(np.int32).max)


class Merges:
    """The merges of a tokenizer: which pairs, into what, in which order of priority.

    `pairs` (M, 3): left, right and merged symbol; the earlier row has the lower rank.
    """

    def __init__(self, pairs: I32) -> None:
        self.pairs = pairs
        self._result = np.ascontiguousarray(pairs[:, 2])
        self.rank = np.append(np.arange(len(pairs), dtype=np.int32), _NONE)  # of row MISSING, -1, comes last
        keys = _keys(pairs[:, 0], pairs[:, 1])
        _, first = np.unique(keys, return_index=True)
        self._table = Table(mixed=False, capacity=1 << max(4, (8 * len(first)).bit_length()))
        self._table.add(keys[first], first)
        self._ordered = self._is_ordered()

    def __len__(self) -> int:
        return len(self.pairs)

    def _is_ordered(self) -> bool:
        """Whether every merge has a higher rank than all merges that make its parts."""
        if not len(self.pairs):
            return True
        made = np.full(int(self.pairs.max()) + 1, -1, dtype=np.int32)
        np.maximum.at(made, self._result, self.rank[:-1])
        return bool((np.maximum(made[self.pairs[:, 0]], made[self.pairs[:, 1]]) < self.rank[:-1]).all())

    def _look_up(self, left: I32, right: I32) -> I32:
        """The row of each pair, MISSING where it is none."""
        return self._table.find(_keys(left, right)).astype(np.int32)

    def parts(self, size: int) -> I32:
        """What the first merge into each symbol merges, (size, 2); MISSING where none does."""
        parts = np.full((size, 2), MISSING, dtype=np.int32)
        parts[self._result[::-1]] = self.pairs[::-1, :2]
        return parts

    def apply(self, symbols: I32, lengths: I64, dropout: float = 0.0, streams: U64 | None = None) -> tuple[I32, I64]:
        """Words laid end to end, merged: their symbols and how many each has.

        With `dropout` each merge is left out with that chance whenever it could be made, until
        none is left or all are left out (Provilkov et al. 2020, BPE-dropout). `streams`, one for
        each word, are what chance depends on.
        """
        if dropout and streams is not None:
            return self._in_rounds(symbols, lengths, _Dropout(dropout, streams))
        many = lengths > (SHORT if self._ordered else len(symbols))
        if not many.any():
            return self._in_rounds(symbols, lengths)
        owner_is_long = np.repeat(many, lengths)
        short, short_lengths = self._in_rounds(symbols[~owner_is_long], lengths[~many])
        long, long_lengths = self._by_rank(symbols[owner_is_long], lengths[many])
        merged_lengths = np.empty_like(lengths)
        merged_lengths[~many], merged_lengths[many] = short_lengths, long_lengths
        merged = np.empty(int(merged_lengths.sum()), dtype=np.int32)
        owner_is_long = np.repeat(many, merged_lengths)
        merged[~owner_is_long], merged[owner_is_long] = short, long
        return merged, merged_lengths

    def _in_rounds(self, symbols: I32, lengths: I64, dropout: "_Dropout | None" = None) -> tuple[I32, I64]:
        """Each round merges, in every word, its pair of lowest rank."""
        done: list[tuple[I64, I32, I64]] = []
        count = len(lengths)
        words = np.flatnonzero(lengths)
        lengths = lengths[words]
        rows = self._rows(symbols, lengths)
        while len(words):
            starts = np.cumsum(lengths) - lengths
            ranks = self.rank[rows]
            if dropout is not None:
                ranks[dropout.drawn(words, lengths)] = _NONE
            least = np.minimum.reduceat(ranks, starts)
            finished = least == _NONE
            if finished.any():
                of_finished = np.repeat(finished, lengths)
                done.append((words[finished], symbols[of_finished], lengths[finished]))
                going = ~of_finished
                symbols, rows, ranks = symbols[going], rows[going], ranks[going]
                words, lengths, least = words[~finished], lengths[~finished], least[~finished]
                if not len(words):
                    break
            chosen = ranks == np.repeat(least, lengths)
            if not self._ordered:
                chosen = _first_of_each(chosen, lengths)
            symbols, rows, lengths = self._merge(symbols, rows, lengths, chosen)
        return _in_order(done, count)

    def _rows(self, symbols: I32, lengths: I64) -> I32:
        """The merge of each symbol with the next one in its word, MISSING where there is none."""
        rows = np.full(len(symbols), MISSING, dtype=np.int32)
        if len(symbols) > 1:
            rows[:-1] = self._look_up(symbols[:-1], symbols[1:])
        rows[np.cumsum(lengths) - 1] = MISSING
        return rows

    def _merge(self, symbols: I32, rows: I32, lengths: I64, chosen: Bool) -> tuple[I32, I32, I64]:
        """Merges the chosen pairs, of overlapping ones the leftmost first."""
        places = np.flatnonzero(chosen)
        places = without_overlap(places, np.arange(1, len(symbols) + 1))
        symbols = symbols.copy()
        symbols[places] = self._result[rows[places]]
        ends = np.cumsum(lengths) - 1
        owners = np.searchsorted(ends, places)
        is_end = places + 1 == ends[owners]
        keep = np.ones(len(symbols), dtype=np.bool_)
        keep[places + 1] = False
        lengths = lengths - np.bincount(owners, minlength=len(lengths))
        shift = np.cumsum(~keep)
        symbols, rows = symbols[keep], rows[keep]
        places = places - shift[places]
        rows[places] = MISSING
        inner = places[~is_end]
        rows[inner] = self._look_up(symbols[inner], symbols[inner + 1])
        starts = np.cumsum(lengths) - lengths
        before = places[places != starts[owners]] - 1
        rows[before] = self._look_up(symbols[before], symbols[before + 1])
        return symbols, rows, lengths

    def _by_rank(self, symbols: I32, lengths: I64) -> tuple[I32, I64]:
        """Ranks in rising order, each in all words at once, by neighbours linked in both directions."""
        ends = np.cumsum(lengths)
        following = np.arange(1, len(symbols) + 1)
        following[ends - 1] = -1
        before = np.arange(-1, len(symbols) - 1)
        before[ends - lengths] = -1
        symbols, rows = symbols.copy(), self._rows(symbols, lengths)
        queue = _Queue()
        queue.put(np.arange(len(symbols)), rows, self.rank)
        while queue:
            rank, places = queue.pop()
            current = rows[places]
            places = places[self.rank[current] == rank]
            places = without_overlap(places, following)
            right = following[places]
            symbols[places] = self._result[rows[places]]
            rows[right], symbols[right] = MISSING, MISSING
            after = following[right]
            following[places] = after
            inner = after >= 0
            before[after[inner]] = places[inner]
            rows[places] = MISSING
            rows[places[inner]] = self._look_up(symbols[places[inner]], symbols[after[inner]])
            left = before[places]
            left = left[left >= 0]
            rows[left] = self._look_up(symbols[left], symbols[following[left]])
            queue.put(np.concatenate([places, left]), rows, self.rank)
        kept = symbols != MISSING
        counts = np.zeros(len(symbols) + 1, dtype=np.int64)
        np.cumsum(kept, out=counts[1:])
        return symbols[kept], counts[ends] - counts[ends - lengths]


class _Queue:
    """Places waiting for the rank of their pair to come."""

    def __init__(self) -> None:
        self._ranks: list[int] = []
        self._places: dict[int, list[I64]] = {}

    def __bool__(self) -> bool:
        return bool(self._ranks)

    def put(self, places: I64, rows: I32, rank: I32) -> None:
        """Adds those of the places whose pair is a merge."""
        places = places[rows[places] != MISSING]
        if not len(places):
            return
        ranks = rank[rows[places]]
        order = np.argsort(ranks, kind="stable")
        places, ranks = places[order], ranks[order]
        firsts = np.flatnonzero(np.append(True, ranks[1:] != ranks[:-1]))
        for value, part in zip(ranks[firsts].tolist(), np.split(places, firsts[1:]), strict=True):
            if value not in self._places:
                self._places[value] = []
                heapq.heappush(self._ranks, value)
            self._places[value].append(part)

    def pop(self) -> tuple[int, I64]:
        """The lowest rank, and its places in order."""
        rank = heapq.heappop(self._ranks)
        return rank, np.unique(np.concatenate(self._places.pop(rank)))


class _Dropout:
    """Chance that depends on a word's stream, the round, and the place in the word alone."""

    def __init__(self, share: float, streams: U64) -> None:
        self._limit = np.uint64(min(int(share * 2.0**64), 2**64 - 1))
        self._streams = streams
        self._round = 0

    def drawn(self, words: I64, lengths: I64) -> Bool:
        """Which symbols' merges are left out in the next round, for words of the given lengths."""
        self._round += 1
        places = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        mixed: U64 = np.repeat(self._streams[words], lengths) + places.astype(np.uint64) * np.uint64(0xBF58476D1CE4E5B9)
        mixed += np.uint64(self._round * 0x94D049BB133111EB & (2**64 - 1))
        for _ in range(2):
            mixed ^= mixed >> np.uint64(31)
            mixed *= np.uint64(0x9E3779B97F4A7C15)
        mixed ^= mixed >> np.uint64(32)
        return mixed < self._limit


def _keys(left: Ints, right: Ints) -> U64:
    keys: U64 = left.astype(np.uint64) << np.uint64(32) | right.astype(np.uint64)
    return keys + np.uint64(1)


def without_overlap(places: I64, following: I64) -> I64:
    """Of places that follow each other every second one: a pair that overlaps a merged one is gone."""
    touching = following[places[:-1]] == places[1:]
    if not touching.any():
        return places
    index = np.arange(len(places))
    begin = np.maximum.accumulate(np.where(np.append(True, ~touching), index, 0))
    apart: I64 = places[(index - begin) % 2 == 0]
    return apart


def _first_of_each(chosen: Bool, lengths: I64) -> Bool:
    """The first chosen place of each word alone."""
    places = np.flatnonzero(chosen)
    owners = np.searchsorted(np.cumsum(lengths), places, side="right")
    first = np.append(True, owners[1:] != owners[:-1])
    alone = np.zeros_like(chosen)
    alone[places[first]] = True
    return alone


def _in_order(done: list[tuple[I64, I32, I64]], count: int) -> tuple[I32, I64]:
    """Finished words put back in their order."""
    lengths = np.zeros(count, dtype=np.int64)
    for words, _, sizes in done:
        lengths[words] = sizes
    starts = np.cumsum(lengths) - lengths
    merged = np.empty(int(lengths.sum()), dtype=np.int32)
    for words, symbols, sizes in done:
        merged[np.repeat(starts[words] - np.cumsum(sizes) + sizes, sizes) + np.arange(len(symbols))] = symbols
    return merged, lengths
