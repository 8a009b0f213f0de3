"""Counts of blocks of successive symbols in a stream, within a stated memory. Knows symbols as numbers, no files.

Edge rule: for histories of K symbols, the positions looked at are those that have K symbols
before them. At these same positions all orders 0 to K are estimated, so that the entropy of a
symbol given the k before it never rises with k.

A position's block is read backwards, so that the shorter blocks that end there are prefixes of
its key: one sort of the longest blocks groups those of every length. A key packs the symbols
into 64 bits; where they do not fit, each length has keys of its own, 64-bit hashes as words
have them (see `tokenization/words`).

Shapes: N symbols of a piece, P positions, L = K + 1 symbols of the longest block, U distinct blocks.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lmkit.array_storage import Memory, Storage
from lmkit.information.measures import CORRECTIONS, SUPPORT, Spectrum
from lmkit.information.sorted_runs import Runs, Shelf, merged, summed
from lmkit.protocols import I64, U64

Symbols = npt.NDArray[np.integer[Any]]
RUN = 1 << 24  # positions sorted at a time where memory allows
STEP = 1 << 18  # positions looked at at a time
BASE = 112 << 20  # bytes of a process before it counts anything
POSITION = 40  # bytes of a position while its run is sorted, if all blocks differ


def counts_of(symbols: Symbols) -> I64:
    """How often each symbol occurs, indexed by symbol; bytes are counted two at a time."""
    if symbols.dtype != np.uint8:
        return np.bincount(symbols)
    even = len(symbols) & ~1
    pairs = np.bincount(np.ascontiguousarray(symbols[:even]).view(np.uint16), minlength=1 << 16).reshape(256, 256)
    counts: I64 = pairs.sum(axis=0) + pairs.sum(axis=1)
    counts[symbols[even:]] += 1
    return counts


class SymbolCounts:
    """Counts of single symbols, (V,), growing with the largest symbol met."""

    def __init__(self) -> None:
        self.counts: I64 = np.zeros(0, dtype=np.int64)

    def add(self, symbols: Symbols) -> None:
        """Counts the next piece of the stream."""
        more = counts_of(symbols)
        if len(more) > len(self.counts):
            more[: len(self.counts)] += self.counts
            self.counts = more
        else:
            self.counts[: len(more)] += more

    def finish(self) -> list["Order"]:
        """The statistics of order 0; empty where nothing was counted."""
        sample = Spectrum.of(self.counts)
        return [Order(0, sample, Spectrum({sample.total: 1}))] if sample else []


@dataclass(frozen=True)
class Order:
    """What is known of a stream at one order k."""

    order: int
    blocks: Spectrum
    """Of the blocks of k + 1 symbols that end at the positions."""
    histories: Spectrum
    """Of the k symbols before each position."""

    @property
    def positions(self) -> int:
        """How many symbols were predicted."""
        return self.blocks.total

    @property
    def supported(self) -> bool:
        """Whether there are enough positions for so many distinct blocks."""
        return self.blocks.distinct * SUPPORT <= self.positions

    def block_entropy(self, correction: str = "none") -> float:
        """Entropy of the blocks of k + 1 symbols, in bits."""
        return CORRECTIONS[correction](self.blocks)

    def entropy(self, correction: str = "none") -> float:
        """Entropy of a symbol given the k before it, in bits: that of the blocks less that of the histories."""
        estimate = CORRECTIONS[correction]
        return max(0.0, estimate(self.blocks) - (estimate(self.histories) if self.order else 0.0))


class BlockCounts:
    """Counts blocks of 1 to `order` + 1 symbols, all at the same positions.

    `memory` in bytes bounds what is kept; beyond it, sorted runs live where `spill` says.
    `alphabet`: number of symbols, if known beforehand.
    """

    def __init__(self, order: int, *, memory: int, spill: Callable[[], Storage], alphabet: int | None = None) -> None:
        self._length = order + 1
        self._bits = 64 // self._length if alphabet is None else (alphabet - 1).bit_length()
        self._shelf = Shelf(max(1 << 20, (memory - BASE) // 2), spill)
        self._most = int(min(RUN, max(1 << 14, (memory - BASE) // 2 // POSITION)))
        self._packed = self._bits * self._length <= 64
        self._make_runs()
        self._tail: Symbols = np.zeros(0, dtype=np.uint8)
        self._first: list[int] = []
        self._positions = 0

    def _make_runs(self) -> None:
        if self._packed:
            self._runs = [Runs(self._most, self._bits * self._length, self._shelf)]
        else:
            most = max(1 << 12, self._most // self._length)
            self._runs = [Runs(most, 64, self._shelf) for _ in range(self._length)]

    def add(self, symbols: Symbols) -> None:
        """Counts the next piece of the stream."""
        if self._packed and len(symbols) and int(symbols.max()) >> self._bits:
            self._give_up_packing()
        for begin in range(0, len(symbols), STEP):
            piece = np.concatenate((self._tail, symbols[begin : begin + STEP]))
            if len(self._first) < self._length - 1:
                self._first = piece[: self._length - 1].tolist()
            if len(piece) >= self._length:
                self._positions += len(piece) - self._length + 1
                keys = _packed(piece, self._length, self._bits) if self._packed else _hashed(piece, self._length)
                for runs, values in zip(self._runs, [keys] if self._packed else keys, strict=True):
                    runs.add(values)
            self._tail = piece[len(piece) - min(len(piece), self._length - 1) :]

    def _give_up_packing(self) -> None:
        """Goes over to hashed keys, what has been counted included."""
        (runs,) = self._runs
        self._packed = False
        self._make_runs()
        mask = np.uint64((1 << self._bits) - 1)
        for table in runs.finish():
            for begin in range(0, len(table.keys), STEP):
                keys, counts = table.keys[begin : begin + STEP], table.counts[begin : begin + STEP]
                hashed = np.zeros(len(keys), dtype=np.uint64)
                for place, own in enumerate(self._runs, 1):
                    hashed = _mixed(hashed, keys >> np.uint64(self._bits * (self._length - place)) & mask)
                    own.add_counted(hashed, counts)

    def finish(self) -> list[Order]:
        """The statistics of orders 0 to K; empty where no position has K symbols before it."""
        if not self._positions:
            return []
        special = [self._special(window) for window in (self._first, self._tail.tolist())]
        grouped = [
            _Groups([keys[length - 1] for keys in special] if length < self._length else [])
            for length in range(1, self._length + 1)
        ]
        for number, runs in enumerate(self._runs):
            for table in merged(runs.finish(), self._shelf.release):
                for length, groups in enumerate(grouped, 1) if self._packed else [(number + 1, grouped[number])]:
                    shift = self._bits * (self._length - length) if self._packed else 0
                    groups.add(table.keys >> np.uint64(shift), table.counts)
        for groups in grouped:
            groups.finish()
        histories = [Spectrum({self._positions: 1}), *(groups.shifted() for groups in grouped[:-1])]
        return [Order(k, grouped[k].spectrum, histories[k]) for k in range(self._length)]

    def _special(self, window: list[int]) -> list[int]:
        """Keys of the blocks of 1, 2, ... symbols at the end of a window of K symbols."""
        keys = []
        packed, hashed = 0, np.zeros(1, dtype=np.uint64)
        for symbol in reversed(window):
            packed = packed << self._bits | symbol
            hashed = _mixed(hashed, np.array([symbol], dtype=np.uint64))
            keys.append(packed if self._packed else int(hashed[0]))
        return keys


def windows(pieces: Iterable[Symbols], size: int, step: int) -> Iterator[tuple[int, Symbols]]:
    """Each `size` symbols of a stream with the position they begin at, `step` from one to the next, as they come."""
    begin = kept = 0  # position of the window, and of the first symbol that is kept
    held: list[Symbols] = []
    length = 0
    for piece in pieces:
        held.append(piece)
        length += len(piece)
        if kept + length < begin + size:
            continue
        symbols = np.concatenate(held)
        while begin + size <= kept + len(symbols):
            yield begin, symbols[begin - kept : begin - kept + size]
            begin += step
        dropped = min(begin - kept, len(symbols))
        held, length, kept = [symbols[dropped:]], len(symbols) - dropped, kept + dropped


def in_window(symbols: Symbols, order: int) -> Order:
    """The statistics of one order within some symbols, whatever their numbers, (N,) with N > order."""
    _, numbers, counts = np.unique(symbols, return_inverse=True, return_counts=True)
    if not order:
        sample = Spectrum.of(counts)
        return Order(0, sample, Spectrum({sample.total: 1}))
    counter = BlockCounts(order, memory=1 << 40, spill=Memory)
    counter.add(numbers)
    return counter.finish()[-1]


def _packed(symbols: Symbols, length: int, bits: int) -> U64:
    """A key for each position that has `length` - 1 symbols before it, the last symbol in the highest bits."""
    positions = len(symbols) - length + 1
    keys = np.zeros(positions, dtype=np.uint64)
    for back in range(length):
        begin = length - 1 - back
        keys <<= np.uint64(bits)
        keys |= symbols[begin : begin + positions].astype(np.uint64)
    return keys


def _hashed(symbols: Symbols, length: int) -> list[U64]:
    """Hashes of the blocks of 1 to `length` symbols at the same positions."""
    positions = len(symbols) - length + 1
    keys = [np.zeros(positions, dtype=np.uint64)]
    for back in range(length):
        begin = length - 1 - back
        keys.append(_mixed(keys[-1], symbols[begin : begin + positions].astype(np.uint64)))
    return keys[1:]


def _mixed(hashes: U64, symbols: U64) -> U64:
    """The hash of a block with one more symbol: Steele, Lea and Flood's SplitMix64 over both."""
    values = (hashes ^ np.uint64(0x9E3779B97F4A7C15)) * np.uint64(0xD1342543DE82EF95) + symbols
    values = (values ^ values >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ values >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
    mixed: U64 = values ^ values >> np.uint64(31)
    return mixed


class _Groups:
    """The spectrum of blocks of one length, from keys in ascending order; counts of some are remembered.

    `special`: the keys of the blocks before the first and at the last position.
    """

    def __init__(self, special: Sequence[int]) -> None:
        self.spectrum = Spectrum()
        self._special = list(special)
        self._found = [0] * len(special)
        self._key = np.zeros(0, dtype=np.uint64)  # the last group, which may continue
        self._count = np.zeros(0, dtype=np.int64)

    def add(self, keys: U64, counts: I64) -> None:
        keys, counts = summed(np.concatenate((self._key, keys)), np.concatenate((self._count, counts)))
        self._emit(keys[:-1], counts[:-1])
        self._key, self._count = keys[-1:], counts[-1:]

    def _emit(self, keys: U64, counts: I64) -> None:
        self.spectrum.add(counts)
        for number, key in enumerate(self._special):
            place = int(np.searchsorted(keys, np.uint64(key)))
            if place < len(keys) and int(keys[place]) == key:
                self._found[number] = int(counts[place])

    def finish(self) -> None:
        self._emit(self._key, self._count)

    def shifted(self) -> Spectrum:
        """The spectrum of the same blocks one position earlier: one block more in front, the last one gone."""
        first, last = self._special
        if first == last:
            return self.spectrum
        return self.spectrum.moved(self._found[0], 1).moved(self._found[1], -1)
