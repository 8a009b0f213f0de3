"""Products of large matrices and the rows of a decoding batch, which pack no weights. Knows no family.

BLAS copies a matrix into another order before it multiplies, which for few dozen rows takes as long as the product.
Compiled code, where numba is installed, reads each row of weights once, as it lies, for all vectors, which lie side by
side in lanes. Sums are in another order than BLAS's, so this is only for steps of decoding batches, whose
differences within `linear.tolerance` change no text.

Shapes: N vectors, I inputs, M outputs.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from threading import local

import numpy as np

from lmkit.inference import thread_pool
from lmkit.inference.compiled import kernels
from lmkit.protocols import F32

LEAST, MOST = 20, 128  # vectors for which this is faster than BLAS
SIDE = 32  # vectors that are handled together
LARGE = 1 << 24  # numbers in a model from which on compiled code is worth its start

_step = local()


@contextmanager
def step(parameters: int) -> Iterator[None]:
    """Products meanwhile are those of a step of a decoding batch of a model with so many parameters."""
    _step.on = parameters >= LARGE and kernels() is not None
    try:
        yield
    finally:
        _step.on = False


def wanted(count: int, weights: Sequence[F32]) -> bool:
    """Whether so many vectors are to be multiplied here."""
    return (
        getattr(_step, "on", False)
        and LEAST <= count <= MOST
        and all(weight.flags.c_contiguous and weight.dtype == np.float32 for weight in weights)
    )


Multiply = Callable[[int, int, F32, F32], None]
"""Rows of a matrix from one to another times vectors side by side (I, N), put into (rows, N)."""


def products(rows: F32, weights: Sequence[F32 | Multiply], sizes: Sequence[int]) -> F32:
    """W X of each matrix, end to end: rows (N, I) to (N, M)."""
    width = -(-len(rows) // SIDE) * SIDE
    side = np.zeros((rows.shape[1], width), dtype=np.float32)
    side[:, : len(rows)] = rows.T
    made = np.empty((sum(sizes), width), dtype=np.float32)
    jobs: list[thread_pool.Job] = []
    begin = 0
    for weight, size in zip(weights, sizes, strict=True):
        multiply = weight if callable(weight) else partial(_multiply, weight)
        for part in thread_pool.row_blocks(size, thread_pool.BLOCKS):
            own = made[begin + part.start : begin + part.stop]
            jobs.append(partial(multiply, part.start, part.stop, side, own))
        begin += size
    thread_pool.run(jobs)
    return np.ascontiguousarray(made[:, : len(rows)].T)


def _multiply(weight: F32, begin: int, end: int, side: F32, made: F32) -> None:
    code = kernels()
    assert code is not None
    pitch = weight.strides[0]
    code.beside(weight.ctypes.data + begin * pitch, pitch, weight.shape[1], end - begin, side, made)
