"""Linear maps of vectors, sparse or dense. N vectors, D columns, R rows."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from lmkit.checkpoint import Array
from lmkit.protocols import F64, Floats


class Matrix(Protocol):
    """Vectors of N examples, sparse or dense, (N, D)."""

    @property
    def height(self) -> int:
        """N."""

    @property
    def width(self) -> int:
        """D."""

    def dot(self, weights: Floats) -> Floats:
        """Products of all rows with K vectors, (K, D) to (K, N)."""

    def transposed_dot(self, vectors: Floats) -> Floats:
        """Products of all columns with K vectors, (K, N) to (K, D)."""

    def squared(self) -> "Matrix":
        """The same matrix with every value squared."""

    def single(self) -> "Matrix":
        """The same matrix in float32."""


@dataclass(frozen=True)
class DenseMatrix:
    """A matrix as an array, (N, D); see `Matrix`."""

    values: Floats

    @property
    def height(self) -> int:
        """N."""
        return len(self.values)

    @property
    def width(self) -> int:
        """D."""
        return int(self.values.shape[1])

    def dot(self, weights: Floats) -> Floats:
        """See `Matrix.dot`."""
        found: Floats = weights.astype(self.values.dtype, copy=False) @ self.values.T
        return found

    def transposed_dot(self, vectors: Floats) -> Floats:
        """See `Matrix.transposed_dot`."""
        found: Floats = vectors.astype(self.values.dtype, copy=False) @ self.values
        return found

    def squared(self) -> "DenseMatrix":
        """See `Matrix.squared`."""
        return DenseMatrix(self.values**2)

    def single(self) -> "DenseMatrix":
        """See `Matrix.single`."""
        return DenseMatrix(self.values.astype(np.float32))


@dataclass(frozen=True)
class LinearMap:
    """Weights, (R, D), and biases, (R,)."""

    weights: F64
    biases: F64

    def __call__(self, x: Matrix) -> F64:
        """W x + b, (R, N)."""
        found: F64 = x.dot(self.weights) + self.biases[:, None]
        return found

    def tensors(self) -> dict[str, Array]:
        """What a checkpoint holds."""
        return {"biases": self.biases.astype(np.float32), "weights": self.weights.astype(np.float32)}

    def joined(self) -> F64:
        """Weights with the biases as the last column, (R, D + 1)."""
        return np.concatenate((self.weights, self.biases[:, None]), axis=1)


def column_products(x: Matrix, vectors: Floats) -> F64:
    """Products of the columns of x, and of one more of ones, with vectors, (R, N) to (R, D + 1)."""
    sums = vectors.sum(axis=1, keepdims=True, dtype=np.float64)
    return np.concatenate((x.transposed_dot(vectors).astype(np.float64, copy=False), sums), axis=1)
