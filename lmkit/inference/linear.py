"""Matrices as they are multiplied: joined where small, and the last one, whose products become nats. Knows no family.

Shapes: ... any leading axes, I inputs, M outputs, D numbers before the head, V vocabulary, N tokens.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from lmkit.errors import CheckpointError
from lmkit.inference.formulas import linear
from lmkit.protocols import F32, F64, I32

JOINED = 1 << 22  # bytes of matrices that are copied into one, to save calls
SCORES = 1 << 20  # numbers in the logits of tokens scored at once
NEAR = 1 << 16  # numbers that stay in a near cache while they are worked on
LANES = 256  # rows of matrices that several threads may part
ALONE = 1 << 18  # numbers in matrices that one thread multiplies; OpenBLAS takes several from 460,800 up
STRIP = 1 << 18  # numbers of a matrix that stay in a core's cache while several rows are multiplied by them
FEW = 3  # rows up to which that is faster than a product of matrices, which copies them first


def tolerance(depth: int, width: int) -> float:
    """How far log-probabilities of several rows or tokens at once may be from those of single steps, in nats.

    Roundings of float32 add up like a random walk over the `width` of the products and over the layers they go
    through, and count by the size of the logits. Seen at worst, over texts of models from 3 x 96 to SmolLM2 (30 x 576)
    and a random GPT-2 (12 x 768) whose logits spread over 5 to 53 nats: spread x sqrt(depth x width) x 0.4 epsilon.
    This is 10 times the worst at a spread of 40, and more at less.
    """
    return 128 * float(np.finfo(np.float32).eps) * math.sqrt(depth * width)


class Products:
    """W x of single vectors, (D,) to (M,), with the same bits whatever the number of threads.

    OpenBLAS parts the rows among threads, and a row's sum depends on its place in groups of rows: what is parted
    comes in multiples of LANES, and the rest in pieces so small that one thread does each.
    """

    def __init__(self, weights: Sequence[F32]) -> None:
        self._size = sum(len(weight) for weight in weights)
        self._parts: list[tuple[slice, F32]] = []
        begin = 0
        for weight in weights:
            for part in _parted(weight):
                self._parts.append((slice(begin, begin + len(part)), part))
                begin += len(part)
        self._only = self._parts[0][1] if len(self._parts) == 1 else None

    def __call__(self, x: F32) -> F32:
        """All products, end to end."""
        found: F32
        if self._only is not None:
            found = self._only.dot(x)
            return found
        found = np.empty(self._size, dtype=np.float32)
        for place, part in self._parts:
            np.dot(part, x, out=found[place])
        return found


def _parted(weight: F32) -> list[F32]:
    if weight.size <= ALONE:
        return [weight]
    even = len(weight) - len(weight) % LANES
    rows = max(1, ALONE // weight.shape[1])
    return [weight[:even]] * bool(even) + [weight[row : row + rows] for row in range(even, len(weight), rows)]


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
        self._products = Products(joined)
        self._weights = joined
        self._bias = np.concatenate(biases) if biases else None

    def __call__(self, x: F32) -> F32:
        """W x + b."""
        if x.ndim == 1:
            y = self._products(x)
        else:
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
        self._products = Products([weight])

    def next(self, x: F32) -> F64:
        """Log-probability in nats of every token, (D,) to (size,). Raises CheckpointError where they are no numbers."""
        with np.errstate(all="ignore"):
            logits = self._affine(x)
            logits -= np.maximum.reduce(logits)
            mass = np.add.reduce(np.exp(logits))
            logits -= np.log(mass)
        _check(mass)
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


def _check(nats: Any) -> None:
    if np.isnan(nats).any():
        raise CheckpointError("damaged checkpoint: its weights give no probabilities")
