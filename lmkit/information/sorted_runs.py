"""Counts of 64-bit keys, in sorted runs that are merged at the end; those that do not fit in memory are stored.

Knows keys, not what they stand for.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from lmkit.array_storage import Storage
from lmkit.protocols import I64, U64

STEP = 1 << 18  # keys of all runs together that are merged at a time
MERGED = 32  # runs merged at a time once they are on disk
DENSE = 16  # bits up to which keys are counted without sorting


class Table(NamedTuple):
    """Distinct keys in ascending order, (U,), and how often each was met, (U,)."""

    keys: U64
    counts: I64


class Shelf:
    """Where tables are kept: in memory up to a limit, then in the storage."""

    def __init__(self, limit: int, spill: Callable[[], Storage]) -> None:
        self._left = limit
        self._spill = spill
        self._storage: Storage | None = None

    @property
    def spilled(self) -> bool:
        """Whether anything is in the storage."""
        return self._storage is not None

    def keep(self, table: Table) -> Table:
        """The same table, where there is room for it."""
        size = table.keys.nbytes + table.counts.nbytes
        if size <= self._left:
            self._left -= size
            return table
        return self.store([table])

    def store(self, parts: Iterable[Table]) -> Table:
        """A table in the storage, written a part at a time."""
        self._storage = self._storage or self._spill()
        keys, counts = self._storage.writer(np.uint64), self._storage.writer(np.int64)
        for part in parts:
            keys.append(part.keys)
            counts.append(part.counts)
        stored = Table(keys.finish(), counts.finish())
        self.release()
        return stored

    def release(self) -> None:
        """Lets go of stored pages that were read."""
        if self._storage is not None:
            self._storage.release()


class Runs:
    """Keys of one sort, counted a run at a time."""

    def __init__(self, most: int, bits: int, shelf: Shelf) -> None:
        self._most, self._shelf = most, shelf
        self._dense = np.zeros(1 << bits, dtype=np.int64) if bits <= DENSE else None
        self._keys = np.empty(0, dtype=np.uint64)
        self._fill = 0
        self._levels: list[list[Table]] = [[]]

    def add(self, keys: U64) -> None:
        """Counts more keys."""
        if self._dense is not None:
            self._dense += np.bincount(keys.view(np.int64), minlength=len(self._dense))
            return
        while len(keys):
            if self._fill == len(self._keys):
                self._grow()
            taken = keys[: len(self._keys) - self._fill]
            self._keys[self._fill : self._fill + len(taken)] = taken
            self._fill += len(taken)
            keys = keys[len(taken) :]

    def _grow(self) -> None:
        """Makes room: a longer array up to the size of a run, then a table of what is there."""
        if self._fill < self._most:
            longer = np.empty(min(self._most, max(1 << 12, 4 * self._fill)), dtype=np.uint64)
            longer[: self._fill] = self._keys[: self._fill]
            self._keys = longer
        else:
            self._sort()

    def _sort(self) -> None:
        keys = self._keys[: self._fill]
        self._fill = 0
        keys.sort()
        starts = _starts(keys)
        self._keep(Table(keys[starts], np.diff(starts, append=len(keys))))

    def _keep(self, table: Table) -> None:
        """Puts a table on the shelf; as many as are merged at a time become one, and so on with these."""
        self._levels[0].append(self._shelf.keep(table))
        for number, level in enumerate(self._levels):
            if len(level) < MERGED or not self._shelf.spilled:
                return
            if level is self._levels[-1]:
                self._levels.append([])
            self._levels[number + 1].append(self._shelf.store(merged(level, self._shelf.release)))
            level.clear()

    def add_counted(self, keys: U64, counts: I64) -> None:
        """Takes keys that were counted elsewhere, in any order."""
        order = np.argsort(keys)
        self._keep(summed(keys[order], counts[order]))

    def finish(self) -> list[Table]:
        """The tables whose sum are the counts."""
        if self._dense is not None:
            keys = np.flatnonzero(self._dense)
            return [Table(keys.astype(np.uint64), self._dense[keys])]
        if self._fill:
            self._sort()
        self._keys = np.empty(0, dtype=np.uint64)
        return [table for level in self._levels for table in level]


def _starts(keys: U64) -> I64:
    """Where each distinct key begins in sorted keys."""
    return np.flatnonzero(np.concatenate(([True], keys[1:] != keys[:-1])))[: len(keys)]


def summed(keys: U64, counts: I64) -> Table:
    """A table of sorted keys with counts, of which equal ones are added up."""
    starts = _starts(keys)
    return Table(keys[starts], np.add.reduceat(counts, starts))


def merged(tables: Sequence[Table], release: Callable[[], None]) -> Iterator[Table]:
    """The sum of several tables, in ascending order, a part at a time."""
    places = [0] * len(tables)
    step = max(1, STEP // max(1, len(tables)))
    while any(place < len(table.keys) for place, table in zip(places, tables, strict=True)):
        near = [table.keys[place : place + step + 1] for place, table in zip(places, tables, strict=True)]
        limit = min((keys[step] for keys in near if len(keys) > step), default=None)
        ends = [
            place + (len(keys) if limit is None else int(np.searchsorted(keys, limit)))
            for place, keys in zip(places, near, strict=True)
        ]
        keys = np.concatenate([t.keys[a:b] for t, a, b in zip(tables, places, ends, strict=True)])
        counts = np.concatenate([t.counts[a:b] for t, a, b in zip(tables, places, ends, strict=True)])
        places = ends
        order = np.argsort(keys, kind="stable")  # merges what is sorted already
        yield summed(keys[order], counts[order])
        release()
