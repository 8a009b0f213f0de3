"""Matrices as they are multiplied: joined where small, and the last one, whose products become nats. Knows no family.

Shapes: ... any leading axes, I inputs, M outputs, D numbers before the head, V vocabulary, N tokens.
"""

from collections.abc import Sequence

import numpy as np

from lmkit.errors import CheckpointError
from lmkit.inference.formulas import linear
from lmkit.protocols import F32, F64, I32, Floats

JOINED = 1 << 22  # bytes of matrices that are copied into one, to save calls
SCORES = 1 << 20  # numbers in the logits of tokens scored at once
NEAR = 1 << 16  # numbers that stay in a near cache while they are worked on
STRIP = 1 << 18  # numbers of a matrix that stay in a core's cache while several rows are multiplied by them
FEW = 3  # rows up to which that is faster than a product of matrices, which copies them first
LANES = 256  # rows of the head in multiples of this, and the rest apart: sums then don't depend on threads
TOLERANCE = 1e-4


def products(x: F32, weight: F32) -> F32:
    """W x of each, (..., I) to (..., M); of a few rows and a big matrix so that this is read from memory once."""
    if x.ndim != 2 or len(x) > FEW or weight.size < STRIP:
        made: F32 = x @ weight.T
        return made
    made = np.empty((len(x), len(weight)), dtype=np.float32)
    columns = x[:, :, None]
    step = max(LANES, STRIP // weight.shape[1] // LANES * LANES)
    for begin in range(0, len(weight), step):
        np.matmul(weight[begin : begin + step], columns, out=made[:, begin : begin + step, None])
    return made


class Joint:
    """Linear maps of the same input as one map, (..., I) to (..., M), their outputs end to end."""

    def __init__(self, weights: Sequence[F32], biases: Sequence[F32] = ()) -> None:
        small = sum(weight.nbytes for weight in weights) <= JOINED
        joined = [np.concatenate(weights)] if small and len(weights) > 1 else weights
        self._weights = joined
        self._bias = np.concatenate(biases) if biases else None

    def __call__(self, x: F32) -> F32:
        """W x + b."""
        y = products(x, self._weights[0])
        if len(self._weights) > 1:
            y = np.concatenate((y, *(products(x, weight) for weight in self._weights[1:])), axis=-1)
        if self._bias is not None:
            y += self._bias
        return y


class Head:
    """The last linear map, and log-probabilities of what it gives; `next` leaves out ids from `size` on."""

    def __init__(self, weight: F32, bias: F32 | None, size: int) -> None:
        self._weight = weight
        self._bias = bias
        self._size = size
        even = len(weight) - len(weight) % LANES
        self._parts = [part for part in (weight[:even], weight[even:]) if len(part)]

    def next(self, x: F32) -> F64:
        """Log-probability in nats of every token, (D,) to (size,). Raises CheckpointError where they are no numbers."""
        with np.errstate(all="ignore"):
            products = [part @ x for part in self._parts]
            logits = np.concatenate(products).astype(np.float64)
            if self._bias is not None:
                logits += self._bias
            logits -= logits.max()
            logits -= np.log(np.exp(logits).sum())
        _check(logits)
        return logits[: self._size]

    def next_many(self, x: F32) -> F32:
        """As `next` of each, (B, D) to (B, size), in float32. Raises as `next`."""
        masses = np.empty((len(x), 1), dtype=np.float32)
        step = max(1, NEAR // len(self._weight))
        with np.errstate(all="ignore"):
            logits = products(x, self._weight)
            if self._bias is not None:
                logits += self._bias
            for begin in range(0, len(x), step):
                some, mass = logits[begin : begin + step], masses[begin : begin + step]
                some -= some.max(axis=1, keepdims=True)
                np.add.reduce(np.exp(some), axis=1, keepdims=True, out=mass)
                some -= np.log(mass)
        _check(masses)
        found: F32 = logits[:, : self._size]
        return found

    def score(self, x: F32, targets: I32) -> F64:
        """Log-probability in nats of one token each, x (N, D) and targets (N,) to (N,). Raises as `next`."""
        nats = np.empty(len(targets))
        step = max(1, SCORES // len(self._weight))
        with np.errstate(all="ignore"):
            for begin in range(0, len(targets), step):
                logits = linear(x[begin : begin + step], self._weight, self._bias)
                found = np.take_along_axis(logits, targets[begin : begin + step, None], axis=1)
                highest = logits.max(axis=1, keepdims=True)
                logits -= highest
                masses = np.exp(logits, out=logits).sum(axis=1, dtype=np.float64)
                nats[begin : begin + step] = (found - highest)[:, 0] - np.log(masses)
        _check(nats)
        return nats


def _check(nats: Floats) -> None:
    if np.isnan(nats).any():
        raise CheckpointError("damaged checkpoint: its weights give no probabilities")
