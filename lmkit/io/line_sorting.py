"""Lines sorted by 64-bit keys: in memory up to a limit, then in temporary files by the leading bits of the keys.

Lines with the same key keep their order, so the result does not depend on the limit. Knows not what is in the lines.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import chain

import numpy as np

from lmkit.io.spool import Spool
from lmkit.io.temp_storage import Disk
from lmkit.protocols import U64

BITS = 6
"""Of a key, by which lines are distributed over files at a time."""
BUFFER = 1 << 16
"""Bytes that each file gathers before they are written."""
OVERHEAD = 80
"""Bytes of memory that a line takes beside its own."""
LEAST = 1 << 16
"""Bytes of lines that are held in any case, so that files are not many and tiny."""
GROUP = 1 << 12
"""Lines that are given out at a time."""


class LineSorter:
    """Lines with keys, given in any order and read in that of the keys."""

    def __init__(self, memory: int, disk: Callable[[], Disk], *, shift: int = 64 - BITS) -> None:
        """`memory`: the most bytes of lines that are held; `shift`: bits of a key behind those that distribute."""
        self._memory, self._open_disk, self._shift = max(memory, LEAST), disk, shift
        self._held: list[tuple[U64, Sequence[bytes]]] = []
        self._size = self._lines = 0
        self._files: list[tuple[Spool, list[U64]]] = []

    @property
    def spilled(self) -> bool:
        """Whether lines are in temporary files."""
        return bool(self._files)

    def add(self, keys: U64, lines: Sequence[bytes]) -> None:
        """Take lines, each with its key. Raises OutputError where the disk is full."""
        self._held.append((keys, lines))
        self._lines += len(lines)
        self._size += sum(map(len, lines)) + OVERHEAD * len(lines)
        if self._size > self._memory and self._lines > 1 and self._shift >= 0:
            self._spill()

    def _spill(self) -> None:
        """Move what is held to the files of its keys."""
        if not self._held:
            return
        if not self._files:
            disk = self._open_disk()
            self._files = [(Spool(disk, BUFFER), []) for _ in range(1 << BITS)]
        keys = np.concatenate([held for held, _ in self._held])
        lines = list(chain.from_iterable(held for _, held in self._held))
        self._held, self._size, self._lines = [], 0, 0
        numbers = (keys >> np.uint64(self._shift)).astype(np.int64) & ((1 << BITS) - 1)
        order = np.argsort(numbers, kind="stable")
        borders = np.searchsorted(numbers[order], np.arange((1 << BITS) + 1))
        for number, (spool, kept) in enumerate(self._files):
            own = order[borders[number] : borders[number + 1]]
            if len(own):
                spool.add([lines[place] for place in own.tolist()])
                kept.append(keys[own])

    def sorted_lines(self) -> Iterator[list[bytes]]:
        """Yield the lines in the order of their keys, some at a time. Raises OutputError."""
        if not self._files:
            yield from self._in_memory()
            return
        self._spill()
        for spool, kept in self._files:
            part = LineSorter(self._memory, self._open_disk, shift=self._shift - BITS)
            for keys, lines in zip(kept, spool.chunks(), strict=True):
                part.add(keys, lines)
            yield from part.sorted_lines()

    def _in_memory(self) -> Iterator[list[bytes]]:
        if not self._held:
            return
        order = np.argsort(np.concatenate([keys for keys, _ in self._held]), kind="stable")
        lines = list(chain.from_iterable(held for _, held in self._held))
        self._held = []
        for begin in range(0, len(order), GROUP):
            yield [lines[place] for place in order[begin : begin + GROUP].tolist()]
