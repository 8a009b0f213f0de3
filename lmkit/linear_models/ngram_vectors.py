"""Vectors of n-grams, whose weighted sum a linear head reads: fastText's supervised mode. Joulin et al. (2017).

    rows = W sum_i x_i v_i + b,  x of TF-IDF

Vectors, head and biases are trained by AdaGrad (Duchi et al. 2011) at a rate that falls to zero; of the vectors only
those change whose n-grams a batch has. N items, D n-grams, H numbers of a vector, R rows of weights, B of a batch.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from lmkit.checkpoint import Array
from lmkit.linear_models.linear_map import LinearMap, Matrix
from lmkit.linear_models.sparse_matrix import SparseMatrix
from lmkit.protocols import F32, F64, I64

FIRST = 1e-8
"""Squared gradients that AdaGrad begins with."""

Slopes = Callable[[F32, I64], F32]
"""Derivatives of the loss by the rows, (R, B), of the rows of some items and of their numbers, (B,)."""


@dataclass(frozen=True)
class VectorPlan:
    """How vectors are trained: passes over the items, items of a batch, the first rate."""

    epochs: int = 5
    batch: int = 32
    rate: float = 0.1
    seed: int = 0


@dataclass(frozen=True)
class NgramVectors:
    """A map through vectors: `vectors` (D, H), `weights` (R, H), `biases` (R,); see `LinearMap`."""

    vectors: F32
    weights: F32
    biases: F32

    @cached_property
    def linear(self) -> LinearMap:
        """The same map without vectors in between."""
        return LinearMap((self.weights @ self.vectors.T).astype(np.float64), self.biases.astype(np.float64))

    def __call__(self, x: Matrix) -> F64:
        """The numbers of each item, (R, N)."""
        return self.linear(x)

    def tensors(self) -> dict[str, Array]:
        """See `LinearMap.tensors`."""
        return {"biases": self.biases, "vectors": self.vectors, "weights": self.weights}

    def scaled(self, scale: float, middle: float) -> "NgramVectors":
        """The map whose numbers are those of this one times a scale, and more by `middle`."""
        scale32 = np.float32(scale)
        return NgramVectors(self.vectors, self.weights * scale32, self.biases * scale32 + np.float32(middle))


def random_vectors(count: int, size: int, seed: int) -> F32:
    """Vectors to begin with, (D, H), uniform between -1/H and 1/H, as fastText's."""
    uniform = np.random.default_rng(seed).random((count, size), dtype=np.float32)
    return (2 * uniform - 1) / np.float32(size)


def epochs(x: SparseMatrix, slopes: Slopes, rows: int, vectors: F32, plan: VectorPlan) -> Iterator[NgramVectors]:
    """Yield the map after each epoch; `vectors`, (D, H), are changed, and each map shares them."""
    x = SparseMatrix(x.bounds, x.columns, x.values.astype(np.float32), x.width)
    head: F32 = np.zeros((rows, vectors.shape[1] + 1), dtype=np.float32)  # the last column: biases
    squares, head_squares = np.full_like(vectors, FIRST), np.full_like(head, FIRST)
    generator = np.random.default_rng([plan.seed, 1])
    each = -(-x.height // plan.batch)
    for epoch in range(plan.epochs):
        order = generator.permutation(x.height)
        for number in range(each):
            chosen = order[number * plan.batch : (number + 1) * plan.batch]
            rate = np.float32(plan.rate * (1 - (epoch * each + number) / (plan.epochs * each)))
            columns, dense = _batch(x, chosen)
            own = vectors[columns]
            hidden = np.concatenate((dense @ own, np.ones((len(chosen), 1), dtype=np.float32)), axis=1)
            slope = slopes(head @ hidden.T, chosen)
            change = dense.T @ (slope.T @ head[:, :-1])
            own_squares = squares[columns] + change * change
            squares[columns] = own_squares
            vectors[columns] = own - rate * change / np.sqrt(own_squares)
            change = slope @ hidden
            head_squares += change * change
            head -= rate * change / np.sqrt(head_squares)
        yield NgramVectors(vectors, head[:, :-1].copy(), head[:, -1].copy())


def _batch(x: SparseMatrix, chosen: I64) -> tuple[I64, F32]:
    """The n-grams of some items, (U,), and their values in these items, (B, U)."""
    lengths = x.bounds[chosen + 1] - x.bounds[chosen]
    owners = np.repeat(np.arange(len(chosen)), lengths)
    places = np.arange(len(owners)) + np.repeat(x.bounds[chosen] - (np.cumsum(lengths) - lengths), lengths)
    columns, found = np.unique(x.columns[places], return_inverse=True)
    dense = np.zeros((len(chosen), len(columns)), dtype=np.float32)
    dense[owners, found] = x.values[places]
    return columns, dense
