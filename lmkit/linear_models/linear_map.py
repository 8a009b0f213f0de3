"""Linear maps of vectors, sparse or dense. N vectors, D columns, R rows."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from lmkit.protocols import F64


class Matrix(Protocol):
    """Vectors of N examples, sparse or dense, (N, D)."""

    @property
    def height(self) -> int:
        """N."""

    @property
    def width(self) -> int:
        """D."""

    def dot(self, weights: F64) -> F64:
        """Products of all rows with K vectors, (K, D) to (K, N)."""

    def transposed_dot(self, vectors: F64) -> F64:
        """Products of all columns with K vectors, (K, N) to (K, D)."""

    def squared(self) -> "Matrix":
        """The same matrix with every value squared."""


@dataclass(frozen=True)
class DenseMatrix:
    """A matrix as an array, (N, D); see `Matrix`."""

    values: F64

    @property
    def height(self) -> int:
        """N."""
        return len(self.values)

    @property
    def width(self) -> int:
        """D."""
        return int(self.values.shape[1])

    def dot(self, weights: F64) -> F64:
        """See `Matrix.dot`."""
        found: F64 = weights @ self.values.T
        return found

    def transposed_dot(self, vectors: F64) -> F64:
        """See `Matrix.transposed_dot`."""
        found: F64 = vectors @ self.values
        return found

    def squared(self) -> "DenseMatrix":
        """See `Matrix.squared`."""
        return DenseMatrix(self.values**2)


@dataclass(frozen=True)
class LinearMap:
    """Weights, (R, D), and biases, (R,)."""

    weights: F64
    biases: F64

    def __call__(self, x: Matrix) -> F64:
        """W x + b, (R, N)."""
        return x.dot(self.weights) + self.biases[:, None]

    def joined(self) -> F64:
        """Weights with the biases as the last column, (R, D + 1)."""
        return np.concatenate((self.weights, self.biases[:, None]), axis=1)


def column_products(x: Matrix, vectors: F64) -> F64:
    """Products of the columns of x, and of one more of ones, with vectors, (R, N) to (R, D + 1)."""
    return np.concatenate((x.transposed_dot(vectors), vectors.sum(axis=1, keepdims=True)), axis=1)
