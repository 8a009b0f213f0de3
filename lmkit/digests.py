"""Digests of the blocks of a tensor, and arrays that are checked against them where they are read. Knows no files.

A block is 64 KiB of a tensor's bytes as a file holds them, and its digest is their XXH3 of 64 bits, which is computed
about as fast as memory is read: damage is found with a probability of 1 - 2^-64. Files of earlier versions have
CRC-32 (ISO 3309). A block is checked before the first value in it is used, and never again.
"""

import os
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from threading import Thread
from typing import Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
import xxhash

from lmkit.errors import CheckpointError

BLOCK = 1 << 16  # bytes
SHARE = 64  # blocks that are worth a thread
MOST_THREADS = 8

Array = npt.NDArray[Any]
Buffer = bytes | bytearray | memoryview
Job = TypeVar("Job")


class Algorithm(NamedTuple):
    """A function from the bytes of a block to its digest, and the type of a digest in a header."""

    digest: Callable[[Buffer], int]
    dtype: str


WRITTEN = "xxh3_64"
ALGORITHMS: Mapping[str, Algorithm] = {
    WRITTEN: Algorithm(xxhash.xxh3_64_intdigest, ">u8"),
    "crc32": Algorithm(zlib.crc32, ">u4"),
}


def of_bytes(pieces: Iterable[Buffer]) -> Array:
    """The digest of each block, U64 (blocks,), of bytes that come in pieces of any size."""
    found: list[int] = []
    block, filled = xxhash.xxh3_64(), 0
    for piece in pieces:
        view = memoryview(piece).cast("B")
        begin = 0
        while begin < len(view):
            end = min(len(view), begin + BLOCK - filled)
            block.update(view[begin:end])
            filled += end - begin
            begin = end
            if filled == BLOCK:
                found.append(block.intdigest())
                block.reset()
                filled = 0
    if filled:
        found.append(block.intdigest())
    return np.array(found, dtype=np.uint64)


def of_whole(data: memoryview) -> Array:
    """The same of bytes that are all there, by several threads where there are many."""
    digests = np.empty(-(-len(data) // BLOCK), dtype=np.uint64)

    def digest(number: int) -> None:
        digests[number] = xxhash.xxh3_64_intdigest(data[number * BLOCK : (number + 1) * BLOCK])

    _each(range(len(digests)), digest)
    return digests


def to_text(digests: Array) -> str:
    """Digests as a header has them: hexadecimal digits, two a byte."""
    return digests.astype(ALGORITHMS[WRITTEN].dtype).tobytes().hex()


def from_text(text: object, size: int, algorithm: Algorithm) -> Array | None:
    """The inverse for a tensor of `size` bytes; None for what no such tensor's digests are."""
    try:
        found = np.frombuffer(bytes.fromhex(text) if isinstance(text, str) else b"", dtype=algorithm.dtype)
    except ValueError:
        return None
    return found.astype(np.uint64) if len(found) == -(-size // BLOCK) else None


def _each(jobs: Sequence[Job], work: Callable[[Job], None]) -> None:
    """Does `work` on each of the jobs, by as many threads as pay: digests are computed outside of the GIL."""

    def some(hand: int) -> None:
        for job in jobs[hand::hands]:
            work(job)

    hands = max(1, min(len(jobs) // SHARE, MOST_THREADS, _cores()))
    threads = [Thread(target=some, args=(hand,)) for hand in range(1, hands)]
    for thread in threads:
        thread.start()
    some(0)
    for thread in threads:
        thread.join()


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Guard:
    """The bytes of one tensor and the digests of their blocks, each compared when it is first asked for."""

    def __init__(self, name: str, data: memoryview, digests: Array, file: str = "", algorithm: str = WRITTEN) -> None:
        self.name, self.file = name, file
        self._data = data
        self._digest = ALGORITHMS[algorithm].digest
        self._digests = digests
        self._open = np.ones(len(digests), dtype=np.bool_)  # not yet compared
        self._left = len(digests)

    def check(self) -> None:
        """Compares all blocks. Raises CheckpointError that names the tensor."""
        check_all([self])

    def check_span(self, begin: int, end: int) -> None:
        """Compares the blocks with the bytes from `begin` to `end`. Raises CheckpointError."""
        if self._left and begin < end:
            first = begin // BLOCK
            self._check((np.flatnonzero(self._open[first : (end - 1) // BLOCK + 1]) + first).tolist())

    def check_items(self, items: Array, size: int) -> None:
        """Compares the blocks with some items of `size` bytes each. Raises CheckpointError."""
        if not self._left or not len(items):
            return
        if self.is_few(len(items)):
            first, last = items * size // BLOCK, ((items + 1) * size - 1) // BLOCK
            for step in range(int((last - first).max()) + 1):
                blocks = np.minimum(first + step, last)
                self._check(np.unique(blocks[self._open[blocks]]).tolist())
        else:
            self.check()

    def is_few(self, count: int) -> bool:
        """Whether so many places may leave many blocks aside, so that each is looked up."""
        return count < len(self._digests)

    @property
    def done(self) -> bool:
        """Whether all blocks were compared."""
        return not self._left

    def compare(self, number: int) -> None:
        """Compares a block, and remembers where it is as it was written."""
        block = self._data[number * BLOCK : (number + 1) * BLOCK]
        if self._digest(block) == self._digests[number]:
            self._open[number] = False

    def _check(self, numbers: Sequence[int]) -> None:
        if numbers:
            _each(numbers, self.compare)
            self.settle(numbers)

    def settle(self, numbers: Sequence[int]) -> None:
        """Raises CheckpointError where one of these blocks was compared and is not as it was written."""
        for number in numbers:
            if self._open[number]:
                file, place = f"{self.file}: " if self.file else "", f"block {number + 1} of {len(self._digests)}"
                raise CheckpointError(
                    f"{file}damaged checkpoint: tensor {self.name!r} is not what was written ({place})"
                )
        self._left = int(np.count_nonzero(self._open))

    @property
    def unchecked(self) -> list[int]:
        """The numbers of the blocks not yet compared."""
        return np.flatnonzero(self._open).tolist() if self._left else []


def check_all(guards: Sequence[Guard]) -> None:
    """Compares all blocks of several tensors. Raises CheckpointError that names the first damaged one."""
    numbers = [guard.unchecked for guard in guards]
    jobs = [(guard, number) for guard, own in zip(guards, numbers, strict=True) for number in own]
    _each(jobs, lambda job: job[0].compare(job[1]))
    for guard, own in zip(guards, numbers, strict=True):
        guard.settle(own)


class CheckedArray:
    """An array of which every part is compared with its digests before it is given.

    Indexed as an array is along its first side, by a number, a slice without a step, or an array of numbers from 0.
    Without a guard nothing is compared: it is in memory, or of a file without digests.
    """

    def __init__(self, values: Array, guard: Guard | None = None) -> None:
        self._values = values
        self._guard = guard
        self.shape, self.dtype = values.shape, values.dtype

    def __len__(self) -> int:
        return len(self._values)

    def __getitem__(self, place: Any) -> Any:
        if self._guard is not None:
            size = self._values.itemsize * int(np.prod(self.shape[1:], dtype=np.int64))
            if isinstance(place, slice):
                begin, end, _ = place.indices(len(self))
                self._guard.check_span(begin * size, end * size)
            else:
                items = np.atleast_1d(np.asarray(place, dtype=np.int64))
                self._guard.check_items(np.where(items < 0, items + len(self), items), size)
        return self._values[place]

    def whole(self) -> Array:
        """All of it."""
        if self._guard is not None:
            self._guard.check()
        return self._values

    def search(self, wanted: Array | Sequence[int] | int) -> Array:
        """Where to insert each number to keep an ascending array so, before equal ones: as `np.searchsorted`.

        A binary search has compared what is wanted with both neighbours of the place where it ends. Was it led
        astray by a damaged number, then that is one of the two: all between that number and the place lies on
        its right side. So these neighbours are compared with their digests, and nothing else on the way.
        """
        guard = self._guard
        if guard is not None and not guard.done and not guard.is_few(np.size(wanted)):
            guard.check()
        found: Array = np.searchsorted(self._values, wanted)
        if guard is not None and not guard.done and len(self):
            size = self._values.itemsize
            for neighbours in np.maximum(found - 1, 0), np.minimum(found, len(self) - 1):
                guard.check_items(np.atleast_1d(neighbours), size)
        return found
