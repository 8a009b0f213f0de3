"""Matrices as they are multiplied: joined where small, and the last one, whose products become nats. Knows no family.

Shapes: ... any leading axes, I inputs, M outputs, D numbers before the head, V vocabulary, N tokens.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from lmkit.architectures.weight_formats import StoredMatrix
from lmkit.errors import CheckpointError
from lmkit.inference import blas_threads, decoding_products, thread_pool
from lmkit.inference.stored_products import StoredLinear
from lmkit.protocols import F32, F64, I32

JOINED = 1 << 22  # bytes of matrices that are copied into one, to save calls
SCORES = 1 << 20  # numbers in the logits of tokens scored at once
NEAR = 1 << 16  # numbers that stay in a near cache while they are worked on
LANES = 16  # rows in multiples of which strips are cut
STRIP = 1 << 18  # numbers of a matrix that stay in a core's cache while several rows are multiplied by them
COLUMNS = 8  # of a matrix that is turned, at a time
FEW = 3  # rows up to which that is faster than a product of matrices, which copies them first


def tolerance(depth: int, width: int) -> float:
    """How far log-probabilities of several rows or tokens at once may be from those of single steps, for each nat.

    Roundings of float32 add up like a random walk over the `width` of the products and over the layers they go
    through, and count by the size of the logits: for each nat from the least to the most probable token. Seen at
    worst, of all tokens of hundreds of steps of transformers from 3 x 96 to 24 x 256, a GPT-2 (12 x 768) of random
    weights and SmolLM2 (30 x 576): 5 to 17 epsilon, 0.13 epsilon sqrt(depth x width) of the large ones. What decides
    is by how much two tokens' errors differ, of twice this at most: seen was a twelfth.
    """
    return float(np.finfo(np.float32).eps) * max(64.0, math.sqrt(depth * width))


def row_major(weight: F32) -> F32:
    """A matrix whose rows lie one after another, itself where they do: numpy copies others at every product.

    GPT-2's files have them in columns. Few columns at a time are the fastest way to turn a large one.
    """
    if weight.ndim != 2 or weight.flags.c_contiguous:
        return weight
    turned = np.empty(weight.shape, dtype=np.float32)

    def copy(columns: slice) -> None:
        for begin in range(columns.start, columns.stop, COLUMNS):
            some = slice(begin, min(begin + COLUMNS, columns.stop))
            turned[:, some] = weight[:, some]

    thread_pool.run([partial(copy, columns) for columns in thread_pool.row_blocks(weight.shape[1], thread_pool.BLOCKS)])
    return turned


class Matmul:
    """W x of single vectors, (D,) to (M,), with the same bits whatever the number of threads."""

    def __init__(self, weights: Sequence[F32]) -> None:
        self._size = sum(len(weight) for weight in weights)
        ends = np.cumsum([len(weight) for weight in weights]).tolist()
        places = [slice(end - len(weight), end) for end, weight in zip(ends, weights, strict=True)]
        self._parts = [(place, blas_threads.Matrix(weight)) for place, weight in zip(places, weights, strict=True)]
        self._only = weights[0] if len(weights) == 1 else None

    def __call__(self, x: F32) -> F32:
        """All products, end to end."""
        found: F32
        if self._only is not None and (thread_pool.thread_count() == 1 or self._only.size < blas_threads.SHARED):
            found = self._only.dot(x)
            return found
        found = np.empty(self._size, dtype=np.float32)
        for place, matrix in self._parts:
            matrix.dot(x, found[place])
        return found


def products(x: F32, weights: Sequence[F32], bias: F32 | None = None) -> F32:
    """W x + b of each, (..., I) to (..., M), of matrices end to end; the same bits whatever the number of threads."""
    if len(weights) == 1 and weights[0].size < blas_threads.SHARED:
        small: F32 = x @ weights[0].T
        if bias is not None:
            small += bias
        return small
    rows = x.reshape(-1, x.shape[-1])
    if decoding_products.wanted(len(rows), weights):
        found = decoding_products.products(rows, weights, [len(weight) for weight in weights])
        if bias is not None:
            found += bias
        return found.reshape(*x.shape[:-1], found.shape[1])
    made = np.empty((len(rows), sum(map(len, weights))), dtype=np.float32)
    jobs: list[thread_pool.Job] = []
    begin = 0
    for weight in weights:
        for part in _parts(weight, len(rows)):
            place = slice(begin + part.start, begin + part.stop)
            jobs.append(partial(_part, rows, weight[part], None if bias is None else bias[place], made[:, place]))
        begin += len(weight)
    thread_pool.run(jobs)
    return made.reshape(*x.shape[:-1], made.shape[1])


def _parts(weight: F32, count: int) -> list[slice]:
    """How a matrix is split that `count` vectors are multiplied by: for few in strips that a cache holds for all."""
    if count > FEW:
        pieces = max(1, weight.size // blas_threads.SHARED)
        return thread_pool.row_blocks(len(weight), min(thread_pool.BLOCKS, 1 << pieces.bit_length() - 1))
    step = max(LANES, STRIP // weight.shape[1] // LANES * LANES)
    return [slice(begin, min(begin + step, len(weight))) for begin in range(0, len(weight), step)]


def _part(rows: F32, weight: F32, bias: F32 | None, made: F32) -> None:
    """W x + b of rows (N, I), put into (N, M); of few without a copy of W."""
    if len(rows) > FEW:
        np.matmul(rows, weight.T, out=made)
    else:
        np.matmul(weight, rows[:, :, None], out=made[:, :, None])
    if bias is not None:
        made += bias


class FusedLinear:
    """Linear maps of the same input as one map, (..., I) to (..., M), their outputs end to end."""

    def __init__(self, weights: Sequence[F32], biases: Sequence[F32] = ()) -> None:
        weights = [row_major(weight) for weight in weights]
        small = sum(weight.nbytes for weight in weights) <= JOINED
        joined = [np.concatenate(weights)] if small and len(weights) > 1 else weights
        few = len(joined) == 1 and joined[0].size < blas_threads.SHARED
        self._products = joined[0].dot if few else Matmul(joined)
        self._weights = joined
        self._bias = np.concatenate(biases) if biases else None
        self._turned = np.ascontiguousarray(joined[0].T) if few else None  # faster with several vectors

    @property
    def keeps_bits(self) -> bool:
        """Whether stacked matrices, (B, N, I), have the products that each of them has alone, to the bit."""
        return self._turned is not None

    def __call__(self, x: F32) -> F32:
        """W x + b."""
        if x.ndim == 1:
            y = self._products(x)
        elif self._turned is not None:
            y = x @ self._turned
        else:
            return products(x, self._weights, self._bias)
        if self._bias is not None:
            y += self._bias
        return y


def linear_map(weights: Sequence[F32 | StoredMatrix], biases: Sequence[F32] = ()) -> Callable[[F32], F32]:
    """Linear maps of the same input as one map, (..., I) to (..., M): of float32, or as matrices are stored."""
    stored = [weight for weight in weights if isinstance(weight, StoredMatrix)]
    if len(stored) == len(weights):
        return StoredLinear(stored, np.concatenate(biases) if biases else None)
    return FusedLinear([weight.dense() if isinstance(weight, StoredMatrix) else weight for weight in weights], biases)


class LMHead:
    """The last linear map, and log-probabilities of what it gives; `next` leaves out ids from `size` on."""

    def __init__(self, weight: F32 | StoredMatrix, bias: F32 | None, size: int) -> None:
        self._rows = len(weight)
        self._bias = bias
        self._size = size
        self._products: Callable[[F32], F32]
        self._several: Callable[[F32], F32]
        if isinstance(weight, StoredMatrix):
            self._products = StoredLinear([weight], None)
            self._several = StoredLinear([weight], bias)
        else:
            self._products = weight.dot if weight.size < blas_threads.SHARED else Matmul([weight])
            self._several = partial(products, weights=[weight], bias=bias)

    def next(self, x: F32) -> F64:
        """Log-probability in nats of every token, (D,) to (size,). Raises CheckpointError where they are no numbers."""
        logits = self._affine(x)
        highest = np.maximum.reduce(logits)
        if not math.isfinite(highest):
            raise _no_numbers()
        logits -= highest
        logits -= np.log(np.add.reduce(np.exp(logits)))
        return logits[: self._size]

    def next_many(self, x: F32) -> F32:
        """As `next` of each, (B, D) to (B, size), in float32. Raises as `next`."""
        masses = np.empty((len(x), 1), dtype=np.float32)
        step = max(1, NEAR // self._rows)
        with np.errstate(all="ignore"):
            logits = self._several(x)
            several = [slice(begin, begin + step) for begin in range(0, len(x), step)]
            thread_pool.run([partial(_normalise, logits[some], masses[some]) for some in several])
        _check(masses)
        found: F32 = logits[:, : self._size]
        return found

    def logits(self, x: F32) -> F64:
        """The numbers that `next` normalises, (D,) to (size,). Raises as `next`."""
        with np.errstate(all="ignore"):
            found = self._affine(x)[: self._size]
        _check(found)
        return found

    def _affine(self, x: F32) -> F64:
        """W x + b, (D,) to (V,)."""
        logits: F64 = self._products(x).astype(np.float64)
        if self._bias is not None:
            logits += self._bias
        return logits

    def score(self, x: F32, targets: I32) -> F64:
        """Log-probability in nats of one token each, x (N, D) and targets (N,) to (N,). Raises as `next`."""
        nats = np.empty(len(targets))
        step = max(1, SCORES // self._rows)
        with np.errstate(all="ignore"):
            for begin in range(0, len(targets), step):
                logits = self._several(x[begin : begin + step])
                found = np.take_along_axis(logits, targets[begin : begin + step, None], axis=1)
                highest = logits.max(axis=1, keepdims=True)
                logits -= highest
                masses = np.exp(logits, out=logits).sum(axis=1, dtype=np.float64)
                nats[begin : begin + step] = (found - highest)[:, 0] - np.log(masses)
        _check(nats)
        return nats

    def pick(self, x: F32, rows: I32, targets: I32) -> F64:
        """Log-probability in nats of tokens after some of several vectors, (N, D), (M,) and (M,) to (M,).

        Each vector is multiplied once, however many tokens are asked for after it. Raises as `next`.
        """
        nats = np.empty(len(targets))
        step = max(1, SCORES // self._rows)
        with np.errstate(all="ignore"):
            for begin in range(0, len(x), step):
                logits = self._several(x[begin : begin + step])
                inside = (rows >= begin) & (rows < begin + step)
                own = rows[inside] - begin
                highest = logits.max(axis=1)
                found = logits[own, targets[inside]] - highest[own]
                logits -= highest[:, None]
                masses = np.exp(logits, out=logits).sum(axis=1, dtype=np.float64)
                nats[inside] = found - np.log(masses)[own]
        _check(nats)
        return nats


def _normalise(logits: F32, masses: F32) -> None:
    """Logits (B, V) become log-probabilities, in place; masses (B, 1) are NaN where they are no numbers."""
    logits -= logits.max(axis=1, keepdims=True)
    np.add.reduce(np.exp(logits), axis=1, keepdims=True, out=masses)
    logits -= np.log(masses)


def _check(nats: Any) -> None:
    if np.isnan(nats).any():
        raise _no_numbers()


def _no_numbers() -> CheckpointError:
    return CheckpointError("damaged checkpoint: its weights give no probabilities")
