"""Linear maps of sparse vectors. N vectors, D columns, R rows."""

from dataclasses import dataclass

import numpy as np

from lmkit.linear_models.sparse_matrix import SparseMatrix
from lmkit.protocols import F64


@dataclass(frozen=True)
class LinearMap:
    """Weights, (R, D), and biases, (R,)."""

    weights: F64
    biases: F64

    def __call__(self, x: SparseMatrix) -> F64:
        """W x + b, (R, N)."""
        return x.dot(self.weights) + self.biases[:, None]

    def joined(self) -> F64:
        """Weights with the biases as the last column, (R, D + 1)."""
        return np.concatenate((self.weights, self.biases[:, None]), axis=1)


def column_products(x: SparseMatrix, vectors: F64) -> F64:
    """Products of the columns of x, and of one more of ones, with vectors, (R, N) to (R, D + 1)."""
    return np.concatenate((x.transposed_dot(vectors), vectors.sum(axis=1, keepdims=True)), axis=1)
