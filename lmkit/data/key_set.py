"""A set of 64-bit keys that is asked and filled a whole array at a time, in 11 to 21 bytes a key. Knows no texts."""

import numpy as np

from lmkit.protocols import I64, U64, Bool

_EMPTY = np.uint64(0)
_MIX = np.uint64(0x9E3779B97F4A7C15)


class KeySet:
    """Open addressing with linear probing, at most three quarters full; a key of 0 counts as 1."""

    def __init__(self, capacity: int = 1 << 12) -> None:
        self._clear(capacity)

    def __len__(self) -> int:
        return self._count

    def _clear(self, capacity: int) -> None:
        self._shift = np.uint64(64 - (capacity - 1).bit_length())
        self._keys = np.zeros(capacity, dtype=np.uint64)
        self._count = 0

    def _homes(self, keys: U64) -> I64:
        return ((keys * _MIX) >> self._shift).view(np.int64)

    def contains(self, keys: U64) -> Bool:
        """Return which keys are here, (N,)."""
        keys = np.maximum(keys, np.uint64(1))
        places = self._homes(keys)
        there = self._keys[places]
        found: Bool = there == keys
        left = np.flatnonzero(~found & (there != _EMPTY))
        last = len(self._keys) - 1
        places = places[left]
        while len(left):
            places = (places + 1) & last
            there = self._keys[places]
            hit = there == keys[left]
            found[left[hit]] = True
            astray = ~hit & (there != _EMPTY)
            left, places = left[astray], places[astray]
        return found

    def add(self, keys: U64) -> Bool:
        """Add keys; return which of them were not here before, of equal ones the first, (N,)."""
        keys = np.maximum(keys, np.uint64(1))
        new = ~self.contains(keys)
        absent = np.flatnonzero(new)
        distinct, first = np.unique(keys[absent], return_index=True)
        if len(distinct) < len(absent):
            new[absent] = False
            new[absent[first]] = True
        self._insert(distinct)
        return new

    def _insert(self, keys: U64) -> None:
        """Add keys that are all different and none of them here."""
        if 4 * (self._count + len(keys)) > 3 * len(self._keys):
            before = self._keys[self._keys != _EMPTY]
            self._clear(1 << max(12, (4 * (len(before) + len(keys)) // 3).bit_length()))
            self._place(before)
            self._count = len(before)
        self._place(keys)
        self._count += len(keys)

    def _place(self, keys: U64) -> None:
        places = self._homes(keys)
        last = len(self._keys) - 1
        while len(keys):
            free = self._keys[places] == _EMPTY
            self._keys[places[free]] = keys[free]  # of several that want a place the last one gets it
            left = self._keys[places] != keys
            keys, places = keys[left], (places[left] + 1) & last
