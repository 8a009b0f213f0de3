"""Learning merges from counted pre-tokens.

The pair of adjacent symbols with the highest count is merged, again and again (Sennrich et al.
2016, algorithm 1). Every occurrence of a pair is known by its place, so that a merge costs what
it changes, and no more.

Two things make this fast. A pair comes to be when the newer of its symbols does, and from then
on its count only falls; so while pairs of high count are merged, those that start below a
floor need not be kept at all. When only they are left, the floor is lowered and the pairs of the
text are counted anew. And while a merge has many places, numpy merges them all at once; when
merges come to have a handful of places each, plain Python is faster. Where numba is installed,
large texts are left to `lmkit.tokenization.bpe.numba_kernels`, which learns the same merges.
"""

import heapq
from collections.abc import Callable
from importlib.util import find_spec
from typing import NamedTuple

import numpy as np

from lmkit.protocols import I32, I64, Bool
from lmkit.tokenization.bpe.merge_ranks import without_overlap

GONE = -1
FEW = 64  # places of a merge, on average, below which Python takes over from numpy
LARGE = 400_000  # symbols from which on compiled code saves more than its start costs
STEP = 6
_BITS = 32
_LOW = (1 << _BITS) - 1


class Learned(NamedTuple):
    """New pieces in the order of their ids, and the merges (left, right, merged) in order."""

    pieces: list[bytes]
    merges: list[tuple[int, int, int]]


class Words(NamedTuple):
    """Distinct words as symbols laid end to end, the length of each, and its count."""

    symbols: I32
    lengths: I64
    counts: I64


class _Windows(NamedTuple):
    """Pairs in rising order, (P,), the count of each, and its places: places[begin[i]:begin[i + 1]]."""

    pairs: I64
    counts: I64
    begin: I64
    places: I64


def learn(
    words: Words, pieces: list[bytes], symbols: dict[bytes, int], size: int, minimum: int, *,
    first_seen: bool, told: Callable[[int], None] = lambda _done: None,
) -> Learned:  # fmt: skip
    """Merges until there are `size` pieces, or no pair occurs `minimum` times.

    `pieces` are those there are, by id; `symbols` gives the ids of those that a merge may
    spell again. Of pairs with equal counts the one with the lower ids goes first, left before
    right, as in Hugging Face tokenizers; with `first_seen`, the one that comes first in the words
    as they are merged by then, as in the program printed by Sennrich et al. 2016.
    """
    minimum = max(1, minimum)
    if not first_seen and len(words.symbols) >= LARGE and find_spec("numba") is not None:
        learned = _learn_compiled(words, pieces, symbols, size, minimum, told)
        if learned is not None:
            return learned
    known, spelled = list(pieces), dict(symbols)
    merges: list[tuple[int, int, int]] = []
    while len(known) < size:
        queue = _start(words, minimum, first_seen=first_seen)
        if queue is None:
            break
        while len(known) < size and (pair := queue.best()) is not None:
            left, right = pair >> _BITS, pair & _LOW
            piece = known[left] + known[right]
            merged = spelled.setdefault(piece, len(known))
            merges.append((left, right, merged))
            queue.merge(pair, merged)
            if merged < len(known):
                break  # an old symbol: its pairs may have gained on what was left out
            known.append(piece)
            told(1)
        words = queue.text.words(words.counts)
    return Learned(known[len(pieces) :], merges)


def _learn_compiled(
    words: Words, pieces: list[bytes], symbols: dict[bytes, int], size: int, minimum: int,
    told: Callable[[int], None],
) -> Learned | None:  # fmt: skip
    """The same in compiled code; None in the rare case that two merges spell the same piece."""
    from lmkit.tokenization.bpe.numba_kernels import learn_pairs

    found = learn_pairs(words.symbols, words.lengths, words.counts, len(pieces), size - len(pieces), minimum, told)
    known = list(pieces)
    merges = []
    for pair in found.tolist():
        left, right = pair >> _BITS, pair & _LOW
        merges.append((left, right, len(known)))
        known.append(known[left] + known[right])
    new = known[len(pieces) :]
    if len(set(new)) < len(new) or not symbols.keys().isdisjoint(new):
        return None
    return Learned(new, merges)


def _start(words: Words, minimum: int, *, first_seen: bool) -> "_Queue | None":
    """A queue of the pairs that count most; none where all are below the minimum."""
    text = _Arrays(words)
    windows = text.windows(np.arange(len(words.symbols)))
    highest = int(windows.counts.max(initial=0))
    if highest < minimum:
        return None
    floor = max(minimum, highest // STEP)
    kept = windows.counts >= floor
    usual = (windows.begin[1:] - windows.begin[:-1])[kept].mean()
    return _Queue(text if usual >= FEW else _Lists(text), windows, floor, first_seen=first_seen)


class _Queue:
    """Pairs that count at least `floor`, with their counts and places, the next one to merge in front."""

    def __init__(self, text: "_Arrays | _Lists", windows: _Windows, floor: int, *, first_seen: bool) -> None:
        self.text = text
        self._floor, self._first_seen = floor, first_seen
        self._counts: dict[int, int] = {}
        self._places: dict[int, list[int] | I64] = {}
        self._heap: list[tuple[int, int, int]] = []
        self._enter(windows)

    def _enter(self, windows: _Windows) -> None:
        """Takes in new pairs."""
        kept = np.flatnonzero(windows.counts >= self._floor)
        bounds = zip(windows.begin[kept].tolist(), windows.begin[kept + 1].tolist(), strict=True)
        for pair, count, (begin, end) in zip(
            windows.pairs[kept].tolist(), windows.counts[kept].tolist(), bounds, strict=True
        ):
            self._add(pair, count, windows.places[begin:end])

    def _add(self, pair: int, count: int, places: list[int] | I64) -> None:
        self._counts[pair] = count
        self._places[pair] = places
        heapq.heappush(self._heap, (-count, int(places[0]) if self._first_seen else pair, pair))

    def best(self) -> int | None:
        """The pair to merge next; None where none is left above the floor."""
        while self._heap:
            count, tie, pair = heapq.heappop(self._heap)
            actual = self._counts[pair]
            if actual < self._floor:
                continue
            if actual == -count and self._first_seen:
                first = self.text.first(self._places[pair], pair >> _BITS, pair & _LOW)
                if first == tie:
                    return pair
                tie = first
            elif actual == -count:
                return pair
            heapq.heappush(self._heap, (-actual, tie, pair))
        return None

    def merge(self, pair: int, merged: int) -> None:
        """Replaces every occurrence of a pair, in each word from left to right."""
        places = self._places.pop(pair)
        counts = self._counts
        if isinstance(self.text, _Arrays):
            lost, gained = self.text.merge(np.asarray(places), pair >> _BITS, pair & _LOW, merged)
            for other, amount in zip(lost.pairs.tolist(), lost.counts.tolist(), strict=True):
                if other in counts:
                    counts[other] -= amount
            self._enter(gained)
            return
        new = self.text.merge(places, pair >> _BITS, pair & _LOW, merged, counts)
        for other, (count, at) in new.items():
            if count >= self._floor:
                self._add(other, count, at)


class _Arrays:
    """The text as arrays; merges are made everywhere at once."""

    def __init__(self, words: Words) -> None:
        ends = np.cumsum(words.lengths)
        size = len(words.symbols)
        self.symbols = words.symbols.astype(np.int64)
        self.following = np.arange(1, size + 1)
        self.following[ends - 1] = GONE
        self.before = np.arange(-1, size - 1)
        self.before[ends - words.lengths] = GONE
        self.weights = np.repeat(words.counts, words.lengths)
        self._ends = ends

    def words(self, counts: I64) -> Words:
        """The words as they are now."""
        kept = self.symbols != GONE
        before = np.append(0, np.cumsum(kept))
        return Words(self.symbols[kept].astype(np.int32), np.diff(before[np.append(0, self._ends)]), counts)

    def windows(self, starts: I64) -> _Windows:
        """The pairs that start at the given places."""
        following = self.following[starts]
        inner = following >= 0
        starts = starts[inner]
        pairs, starts = _sorted_pairs(self.symbols[starts], self.symbols[following[inner]], starts)
        if not len(pairs):
            return _Windows(pairs, pairs, np.zeros(1, dtype=np.int64), starts)
        bounds = np.flatnonzero(_changes(pairs))
        sums = np.add.reduceat(self.weights[starts], bounds[:-1])
        return _Windows(pairs[bounds[:-1]], sums, bounds, starts)

    def _there(self, places: I64, left: int, right: int) -> I64:
        """Those of the places where the pair still is."""
        places = places[self.symbols[places] == left]
        following = self.following[places]
        there: I64 = places[(following >= 0) & (self.symbols[following] == right)]
        return there

    def first(self, places: list[int] | I64, left: int, right: int) -> int:
        """The first of the places where the pair still is."""
        return int(self._there(np.asarray(places), left, right)[0])

    def merge(self, places: I64, left: int, right: int, merged: int) -> tuple[_Windows, _Windows]:
        """Merges a pair: the windows that are lost by it, and those gained."""
        places = without_overlap(self._there(places, left, right), self.following)
        second = self.following[places]
        before, after = self.before[places], self.following[second]
        lost = self.windows(_distinct(np.concatenate([before[before >= 0], second])))
        self.symbols[places] = merged
        self.symbols[second] = GONE
        self.following[places] = after
        inner = after >= 0
        self.before[after[inner]] = places[inner]
        before = self.before[places]
        return lost, self.windows(_distinct(np.concatenate([before[before >= 0], places])))


def _sorted_pairs(left: I64, right: I64, starts: I64) -> tuple[I64, I64]:
    """Pairs in rising order, and where each starts; `starts` rise, and keep rising among equal pairs.

    Sorting numbers that hold pair and index is several times as fast as sorting indices.
    """
    bits = int(max(left.max(initial=0), right.max(initial=0))).bit_length()
    low = len(starts).bit_length()
    if 2 * bits + low > 63:
        pairs = left << _BITS | right
        order = np.argsort(pairs, kind="stable")
        return pairs[order], starts[order]
    packed = (left << (bits + low)) | (right << low) | np.arange(len(starts))
    packed.sort()
    pair = packed >> low
    return (pair >> bits) << _BITS | (pair & ((1 << bits) - 1)), starts[packed & ((1 << low) - 1)]


def _changes(values: I64) -> Bool:
    """Where a value differs from the one before it, (N + 1,); true at both ends."""
    changes = np.ones(len(values) + 1, dtype=np.bool_)
    np.not_equal(values[1:], values[:-1], out=changes[1:-1])
    return changes


def _distinct(places: I64) -> I64:
    """Sorted, each once."""
    places.sort()
    return places[_changes(places)[:-1]] if len(places) else places


class _Lists:
    """The same text as lists, for merges with few places each."""

    def __init__(self, arrays: _Arrays) -> None:
        self._arrays = arrays
        self._symbols: list[int] = arrays.symbols.tolist()
        self._following: list[int] = arrays.following.tolist()
        self._before: list[int] = arrays.before.tolist()
        self._weights: list[int] = arrays.weights.tolist()

    def words(self, counts: I64) -> Words:
        """The words as they are now."""
        self._arrays.symbols = np.array(self._symbols)
        return self._arrays.words(counts)

    def first(self, places: list[int] | I64, left: int, right: int) -> int:
        """The first of the places where the pair still is."""
        symbols, following = self._symbols, self._following
        return next(
            place for place in _listed(places)
            if symbols[place] == left and (second := following[place]) >= 0 and symbols[second] == right
        )  # fmt: skip

    def merge(
        self, places: list[int] | I64, left: int, right: int, merged: int, counts: dict[int, int]
    ) -> dict[int, tuple[int, list[int]]]:
        """Merges a pair and takes what is lost from `counts`; new pairs, each with its count and places."""
        symbols, following, before, weights = self._symbols, self._following, self._before, self._weights
        new: dict[int, tuple[int, list[int]]] = {}
        merged_left, right_left = merged << _BITS, right << _BITS
        for place in _listed(places):
            second = following[place]
            if symbols[place] != left or second < 0 or symbols[second] != right:
                continue
            weight, after, ahead = weights[place], following[second], before[place]
            symbols[place], symbols[second] = merged, GONE
            following[place] = after
            if after >= 0:
                before[after] = place
                symbol = symbols[after]
                if (lost := right_left | symbol) in counts:
                    counts[lost] -= weight
                gained = merged_left | symbol
                if gained in new:
                    count, at = new[gained]
                    at.append(place)
                    new[gained] = count + weight, at
                else:
                    new[gained] = weight, [place]
            if ahead >= 0:
                symbol = symbols[ahead] << _BITS
                lost = symbol | left
                if lost in counts:
                    counts[lost] -= weight
                elif lost in new:
                    count, at = new[lost]
                    new[lost] = count - weight, at
                gained = symbol | merged
                if gained in new:
                    count, at = new[gained]
                    at.append(ahead)
                    new[gained] = count + weight, at
                else:
                    new[gained] = weight, [ahead]
        return new


def _listed(places: list[int] | I64) -> list[int]:
    """Places in order as a list."""
    return places if isinstance(places, list) else places.tolist()
