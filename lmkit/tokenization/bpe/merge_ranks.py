"""Merges applied to many words at once, exactly as one after another. Knows numbers, not text.

Within a word the pair of lowest rank is merged everywhere it occurs, left to right, then the
next, until no pair has a rank (Sennrich et al. 2016, section 3.2). Short words go in rounds, a
merge in each word per round; long ones by rank, one rank in all words at a time, since their
rounds would be many. Where a merge may have a lower rank than one that makes its parts, as no
trainer leaves them but a file can say, rounds merge a single place in each word.
"""

import heapq
from copy import copy

import numpy as np

from lmkit.protocols import I32, I64, U64, Bool, Ints
from lmkit.tokenization.bpe.hash_table import MISSING, Table

SHORT = 96  # symbols; longer words are merged rank by rank
NONE = np.iinfo(np.int32).max  # the rank of a pair that is no merge
GONE = -1  # the symbol of a place whose symbol was merged into the one before it


class Merges:
    """The merges of a tokenizer: which pairs, into what, in which order of priority.

    `pairs` (M, 3): left, right and merged symbol; the earlier row has the lower rank.
    """

    def __init__(self, pairs: I32) -> None:
        self.pairs = pairs
        self.result = np.ascontiguousarray(pairs[:, 2])
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
        made = np.full(int(self.pairs.max()) + 1, -1, dtype=np.int64)
        ranks = np.arange(len(self.pairs))
        np.maximum.at(made, self.result, ranks)
        return bool((np.maximum(made[self.pairs[:, 0]], made[self.pairs[:, 1]]) < ranks).all())

    def ranks(self, left: I32, right: I32) -> I32:
        """The rank of each pair, NONE where it is no merge."""
        found = self._table.find(_keys(left, right))
        found[found == MISSING] = NONE
        return found.astype(np.int32)

    def parts(self, size: int) -> I32:
        """What the first merge into each symbol merges, (size, 2); MISSING where none does."""
        parts = np.full((size, 2), MISSING, dtype=np.int32)
        parts[self.result[::-1]] = self.pairs[::-1, :2]
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
        words = np.flatnonzero(lengths)
        text = _Linked(self, symbols, lengths[words])
        while len(words):
            ranks = text.ranks if dropout is None else dropout.applied(text, words)
            least = np.minimum.reduceat(ranks, text.starts)
            going = least != NONE
            if dropout is not None or 2 * np.count_nonzero(going) < len(words):
                done.append((words[~going], *text.taken(~going)))
                ranks = ranks[text.alive(going)]
                text, words, least = text.left(going), words[going], least[going]
            else:
                least[~going] = -1  # a rank that none has
            places = np.flatnonzero(ranks == np.repeat(least, text.spans))
            if not self._ordered:
                places = _first_of_each(places, text.starts)
            text.merge(places)
        return _in_order(done, len(lengths))

    def _by_rank(self, symbols: I32, lengths: I64) -> tuple[I32, I64]:
        """Ranks in rising order, each in all words at once."""
        text = _Linked(self, symbols, lengths)
        queue = _Queue()
        queue.put(np.arange(len(symbols)), text.ranks)
        while queue:
            rank, places = queue.pop()
            queue.put(text.merge(places[text.ranks[places] == rank]), text.ranks)
        return text.taken(np.ones(len(lengths), dtype=np.bool_))


class _Linked:
    """Words laid end to end, whose symbols know their neighbours and the rank of the pair that they begin.

    A symbol merged into the one before it stays in its place as GONE. `starts`, `spans`: where
    each word begins and how many places it has; `origin`: places before any was dropped.
    """

    def __init__(self, merges: Merges, symbols: I32, spans: I64) -> None:
        self._merges = merges
        self._link(symbols.copy(), spans)
        self.ranks = np.full(len(symbols), NONE, dtype=np.int32)
        inner = np.flatnonzero(self._following >= 0)
        self.ranks[inner] = merges.ranks(symbols[inner], symbols[inner + 1])
        self.origin = np.arange(len(symbols)) - np.repeat(self.starts, spans)

    def _link(self, symbols: I32, spans: I64) -> None:
        ends = np.cumsum(spans)
        self.symbols, self.spans, self.starts = symbols, spans, ends - spans
        self._following = np.arange(1, len(symbols) + 1)
        self._following[ends - 1] = GONE
        self._before = np.arange(-1, len(symbols) - 1)
        self._before[self.starts] = GONE

    def merge(self, places: I64) -> I64:
        """Merges the pairs at the given places, of overlapping ones the leftmost; places whose pairs changed."""
        following, before, symbols, ranks = self._following, self._before, self.symbols, self.ranks
        places = without_overlap(places, following)
        right = following[places]
        after = following[right]
        symbols[places] = self._merges.result[ranks[places]]
        ranks[places] = ranks[right] = NONE
        symbols[right] = GONE
        following[places] = after
        inner = after >= 0
        before[after[inner]] = places[inner]
        left = before[places]
        changed = np.concatenate([places[inner], left[left >= 0]])
        ranks[changed] = self._merges.ranks(symbols[changed], symbols[following[changed]])
        return changed

    def alive(self, words: Bool) -> Bool:
        """Places of the given words that are not gone."""
        alive: Bool = np.repeat(words, self.spans) & (self.symbols != GONE)
        return alive

    def taken(self, words: Bool) -> tuple[I32, I64]:
        """The symbols of the given words, and how many each has."""
        symbols: I32 = self.symbols[self.alive(words)]
        return symbols, self._lengths()[words]

    def left(self, words: Bool) -> "_Linked":
        """The given words alone, without places that are gone."""
        alive = self.alive(words)
        text = copy(self)
        text._link(self.symbols[alive], self._lengths()[words])
        text.ranks, text.origin = self.ranks[alive], self.origin[alive]
        return text

    def _lengths(self) -> I64:
        """How many symbols each word has now."""
        counts = np.zeros(len(self.symbols) + 1, dtype=np.int64)
        np.cumsum(self.symbols != GONE, out=counts[1:])
        lengths: I64 = counts[self.starts + self.spans] - counts[self.starts]
        return lengths


class _Queue:
    """Places waiting for the rank of their pair to come."""

    def __init__(self) -> None:
        self._ranks: list[int] = []
        self._places: dict[int, list[I64]] = {}

    def __bool__(self) -> bool:
        return bool(self._ranks)

    def put(self, places: I64, ranks: I32) -> None:
        """Adds those of the places whose pair is a merge."""
        places = places[ranks[places] != NONE]
        if not len(places):
            return
        own = ranks[places]
        order = np.argsort(own, kind="stable")
        places, own = places[order], own[order]
        firsts = np.flatnonzero(np.append(True, own[1:] != own[:-1]))
        for value, part in zip(own[firsts].tolist(), np.split(places, firsts[1:]), strict=True):
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

    def applied(self, text: _Linked, words: I64) -> I32:
        """Ranks of a text's pairs, of which `words` gives the streams; those left out in the next round are NONE."""
        self._round += 1
        mixed: U64 = np.repeat(self._streams[words], text.spans)
        mixed += text.origin.astype(np.uint64) * np.uint64(0xBF58476D1CE4E5B9)
        mixed += np.uint64(self._round * 0x94D049BB133111EB & (2**64 - 1))
        for _ in range(2):
            mixed ^= mixed >> np.uint64(31)
            mixed *= np.uint64(0x9E3779B97F4A7C15)
        mixed ^= mixed >> np.uint64(32)
        return np.where(mixed < self._limit, np.int32(NONE), text.ranks)


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


def _first_of_each(places: I64, starts: I64) -> I64:
    """The first of the places in each word alone."""
    owners = np.searchsorted(starts, places, side="right")
    first = np.ones(len(places), dtype=np.bool_)
    np.not_equal(owners[1:], owners[:-1], out=first[1:])
    return places[first]


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
