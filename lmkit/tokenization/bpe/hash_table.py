"""A hash table from 64-bit keys to numbers that is asked and filled a whole array at a time."""

import numpy as np

from lmkit.protocols import I64, U64

_MIX = np.uint64(0x9E3779B97F4A7C15)
_EMPTY = np.uint64(0)
MISSING = -1


class Table:
    """Open addressing with linear probing; a key of 0 is kept apart from an empty place by being changed to 1.

    Keys are taken for well mixed where `mixed`, else multiplied first.
    """

    def __init__(self, *, mixed: bool, capacity: int = 1 << 12) -> None:
        self._mixed = mixed
        self._clear(capacity)

    def __len__(self) -> int:
        return self._count

    def _clear(self, capacity: int) -> None:
        self._shift = np.uint64(64 - (capacity - 1).bit_length())
        self._keys = np.zeros(capacity, dtype=np.uint64)
        self._values = np.full(capacity, MISSING, dtype=np.int64)
        self._count = 0

    def _home(self, keys: U64) -> I64:
        """Where each key belongs; signed, since numpy finds places by those faster."""
        return ((keys if self._mixed else keys * _MIX) >> self._shift).view(np.int64)

    def find(self, keys: U64) -> I64:
        """The number of each key, MISSING where there is none."""
        keys = np.maximum(keys, np.uint64(1))
        places = self._home(keys)
        there = self._keys[places]
        values = self._values[places]
        astray = np.flatnonzero((there != keys) & (there != _EMPTY))
        if len(astray):
            values[astray] = self._probe(keys[astray], places[astray])
        return values

    def _probe(self, keys: U64, places: I64) -> I64:
        """The same for keys whose first place another key has."""
        values = np.full(len(keys), MISSING, dtype=np.int64)
        left = np.arange(len(keys))
        last = len(self._keys) - 1
        while len(left):
            places = (places + 1) & last
            there = self._keys[places]
            hit = there == keys[left]
            values[left[hit]] = self._values[places[hit]]
            going = ~hit & (there != _EMPTY)
            left, places = left[going], places[going]
        return values

    def add(self, keys: U64, values: I64) -> None:
        """Stores new keys, all different and none of them here yet."""
        if 2 * (self._count + len(keys)) > len(self._keys):
            self._grow(2 * (self._count + len(keys)))
        self._place(np.maximum(keys, np.uint64(1)), values)
        self._count += len(keys)

    def _grow(self, least: int) -> None:
        used = np.flatnonzero(self._keys)
        keys, values = self._keys[used], self._values[used]
        self._clear(1 << max(12, least.bit_length()))
        self._place(keys, values)
        self._count = len(keys)

    def _place(self, keys: U64, values: I64) -> None:
        places = self._home(keys)
        last = len(self._keys) - 1
        while len(keys):
            free = self._keys[places] == _EMPTY
            self._keys[places[free]] = keys[free]  # of several that want a place the last one gets it
            settled = self._keys[places] == keys
            self._values[places[settled]] = values[settled]
            keys, values = keys[~settled], values[~settled]
            places = (places[~settled] + 1) & last
