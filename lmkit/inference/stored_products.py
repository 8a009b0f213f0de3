"""Products of matrices that are read as they are stored, and which matrices are. Knows no family.

Where numba is installed, a large matrix in another precision than float32 stays in its file, and its rows become
float32 in registers, or a few at a time where many vectors are multiplied. Elsewhere it is expanded once.

Shapes: N vectors, I inputs, M outputs.
"""

import os
import weakref
from collections.abc import Mapping, Sequence
from functools import cache, partial
from queue import SimpleQueue
from threading import Lock, Thread

import numpy as np

from lmkit.architectures.weight_formats import StoredMatrix, Weights
from lmkit.checkpoint import Array
from lmkit.inference import decoding_products, thread_pool
from lmkit.inference.compiled import kernels
from lmkit.protocols import F32

LEAST = 1 << 24  # numbers in a model's stored matrices from which on compiled code is worth its start
FEW = 3  # vectors up to which each row is turned into float32 for each of them
SCRATCH = 1 << 17  # numbers that are expanded at a time, which stay in a core's cache
UNIT = 32  # columns that kernels take at a time


def is_large(tensors: Mapping[str, Array]) -> bool:
    """Whether a model has so many stored numbers that reading them as they are pays."""
    if not isinstance(tensors, Weights):
        return False
    held = (tensors.held(name) for name in tensors)
    return sum(matrix.size for matrix in held if isinstance(matrix, StoredMatrix)) >= LEAST


def served(tensors: Mapping[str, Array]) -> Mapping[str, Array | StoredMatrix]:
    """The tensors of a model as its arithmetic takes them: matrices as they are stored, if that can be and pays."""
    if not is_large(tensors) or kernels() is None:
        return tensors
    assert isinstance(tensors, Weights)
    return {name: _taken(tensors.held(name)) for name in tensors}


def _taken(tensor: Array | StoredMatrix) -> Array | StoredMatrix:
    fits = isinstance(tensor, StoredMatrix) and tensor.shape[1] % UNIT == 0 and tensor.data.flags.c_contiguous
    return tensor if fits or not isinstance(tensor, StoredMatrix) else tensor.dense()


class _Helpers:
    """The threads beside the one that asks, and what they share; see `weight_kernels`."""

    def __init__(self) -> None:
        self.lock = Lock()
        self._process, self._count = 0, 0
        self._threads: list[Thread] = []
        self._wake: list[SimpleQueue[bool]] = []
        self._awake: list[bool] = []
        self._reserve(1, 1)

    def _reserve(self, rows: int, columns: int) -> None:
        code = kernels()
        assert code is not None
        self.control = np.zeros(code.CONTROL, dtype=np.int64)
        self.done = np.zeros(code.STRIPS + 1, dtype=np.int64)
        self.staging = np.zeros((1, rows), dtype=np.float32)
        self.inputs = np.zeros(columns + columns // 4, dtype=np.float32)

    def ready(self, rows: int, columns: int) -> int:
        """Makes room, sees to it that threads are there and awake, and says how many help."""
        count = max(0, min(thread_pool.thread_count(), 8) - 1)
        if self._process != os.getpid():  # threads do not come along into a forked process
            self._process, self._count, self._threads = os.getpid(), 0, []
        room = rows > self.staging.shape[1] or columns * 5 // 4 > len(self.inputs)
        if room or count != self._count:
            self._restart(count, max(rows, self.staging.shape[1]), max(columns, len(self.inputs) * 4 // 5))
        for number, awake in enumerate(self._awake):
            if not awake:
                self._awake[number] = True
                self._wake[number].put(True)
        return count

    def _restart(self, count: int, rows: int, columns: int) -> None:
        code = kernels()
        assert code is not None
        self.control[code.STOP] = 1
        for wake in self._wake:
            wake.put(False)
        for thread in self._threads:
            thread.join()
        self._reserve(rows, columns)
        self.staging = np.zeros((max(1, count), rows), dtype=np.float32)
        self._count, self._awake, self._wake = count, [False] * count, [SimpleQueue() for _ in range(count)]
        self._threads = [Thread(target=self._work, args=(number,), daemon=True) for number in range(count)]
        for thread in self._threads:
            thread.start()

    def _work(self, number: int) -> None:
        code = kernels()
        assert code is not None
        wake = self._wake[number]
        held = self.control, self.done, self.staging, self.inputs
        while wake.get() and code.serve(*held, number):
            self._awake[number] = False

    def settle(self) -> None:
        """Waits until no thread reads a matrix any more."""
        code = kernels()
        if code is None or self._process != os.getpid():
            return
        for number in range(self._count):
            while self.control[code.STATES + 2 * number]:
                pass


@cache
def helpers() -> _Helpers:
    """Those of this process."""
    return _Helpers()


def _settle() -> None:
    helpers().settle()


class StoredProduct:
    """W x and W X of a matrix (M, I) as it is stored."""

    def __init__(self, matrix: StoredMatrix) -> None:
        code = kernels()
        assert code is not None
        self._code, self._matrix = code, matrix
        self._kind = getattr(code, matrix.precision.name.upper())
        self._place = matrix.data.ctypes.data
        self._row = matrix.data.shape[1]
        self.rows, self.columns = matrix.shape
        weakref.finalize(self, _settle).atexit = False

    def dot(self, x: F32, out: F32) -> None:
        """W x, (I,) to (M,), with the same bits whatever the number of threads."""
        pool = helpers()
        with pool.lock:
            count = pool.ready(self.rows, self.columns)
            self._code.product(
                pool.control, pool.done, pool.staging, pool.inputs, count, self._kind, self._place,
                self._row, self.columns, self.rows, x, out.ctypes.data,
            )  # fmt: skip

    def jobs(self, inputs: F32, out: F32) -> list[thread_pool.Job]:
        """W x of several vectors, (N, I) into (N, M), as jobs that threads may share."""
        if len(inputs) > FEW:
            step = max(16, SCRATCH // self.columns // 16 * 16)
            return [
                partial(self._expanded, inputs, begin, min(begin + step, self.rows), out)
                for begin in range(0, self.rows, step)
            ]
        held = np.zeros((len(inputs), self.columns * 5 // 4), dtype=np.float32)
        held[:, : self.columns] = inputs
        if self._kind == self._code.Q4_1:
            self._code.fold(held, self.columns)
        return [
            partial(self._few, held, part.start, part.stop, out)
            for part in thread_pool.row_blocks(self.rows, thread_pool.BLOCKS)
        ]

    def beside(self, begin: int, end: int, side: F32, made: F32) -> None:
        """Rows from one to another times vectors side by side; see `decoding_products.Multiply`."""
        step = max(3, SCRATCH // self.columns // 3 * 3)
        for first in range(begin, end, step):
            last = min(first + step, end)
            some = np.empty((last - first, self.columns), dtype=np.float32)
            self._code.expand(self._kind, self._place, self._row, self.columns, first, last, some)
            own = made[first - begin : last - begin]
            self._code.beside(some.ctypes.data, 4 * self.columns, self.columns, last - first, side, own)

    def _few(self, held: F32, begin: int, end: int, out: F32) -> None:
        made = np.empty((len(held), end - begin), dtype=np.float32)
        place = self._place + begin * self._row
        self._code.several(self._kind, place, self._row, self.columns, 0, end - begin, held, made)
        out[:, begin:end] = made

    def _expanded(self, inputs: F32, begin: int, end: int, out: F32) -> None:
        made = np.empty((end - begin, self.columns), dtype=np.float32)
        self._code.expand(self._kind, self._place, self._row, self.columns, begin, end, made)
        np.matmul(inputs, made.T, out=out[:, begin:end])


class StoredLinear:
    """Linear maps of one input as one, (..., I) to (..., M), their outputs end to end, from stored matrices."""

    def __init__(self, matrices: Sequence[StoredMatrix], bias: F32 | None) -> None:
        self._parts = [StoredProduct(matrix) for matrix in matrices]
        self._size = sum(part.rows for part in self._parts)
        self._bias = bias

    def __call__(self, x: F32) -> F32:
        """W x + b."""
        made: F32
        if x.ndim == 1:
            made = np.empty(self._size, dtype=np.float32)
            flat, begin = np.ascontiguousarray(x), 0
            for part in self._parts:
                part.dot(flat, made[begin : begin + part.rows])
                begin += part.rows
        else:
            made = self._of_rows(x.reshape(-1, x.shape[-1])).reshape(*x.shape[:-1], self._size)
        if self._bias is not None:
            made += self._bias
        return made

    def _of_rows(self, rows: F32) -> F32:
        if decoding_products.wanted(len(rows), ()):
            sizes = [part.rows for part in self._parts]
            return decoding_products.products(rows, [part.beside for part in self._parts], sizes)
        made = np.empty((len(rows), self._size), dtype=np.float32)
        jobs: list[thread_pool.Job] = []
        begin = 0
        for part in self._parts:
            jobs += part.jobs(rows, made[:, begin : begin + part.rows])
            begin += part.rows
        thread_pool.run(jobs)
        return made
