"""Sparse matrices whose products with few dense vectors are sums over runs.

N rows, D columns, Z stored values, K vectors.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from lmkit.protocols import F64, I64, Bool


class _Runs(NamedTuple):
    """Values in the order of one axis: where each run that is not empty starts, and whose it is."""

    other: I64
    """The place on the other axis, (Z,)."""
    values: F64
    starts: I64
    owners: I64
    size: int

    def sums(self, vectors: F64) -> F64:
        """Sums over each run of values times a vector's entries on the other axis, (K, other) to (K, size)."""
        out = np.zeros((len(vectors), self.size))
        if len(self.starts):
            products = np.empty(len(self.values))
            for row, vector in zip(out, vectors, strict=True):
                vector.take(self.other, out=products, mode="clip")
                np.multiply(products, self.values, out=products)
                row[self.owners] = np.add.reduceat(products, self.starts)
        return out


@dataclass(frozen=True)
class SparseMatrix:
    """A matrix, (N, D), by rows: row n has the values from `bounds[n]` to `bounds[n + 1]`, each in its column."""

    bounds: I64
    columns: I64
    values: F64
    width: int
    """D."""

    @property
    def height(self) -> int:
        """N."""
        return len(self.bounds) - 1

    @cached_property
    def rows(self) -> I64:
        """The row of each value, (Z,)."""
        return np.repeat(np.arange(self.height), np.diff(self.bounds))

    @cached_property
    def _by_row(self) -> _Runs:
        owners = np.flatnonzero(np.diff(self.bounds))
        return _Runs(self.columns, self.values, self.bounds[owners], owners, self.height)

    @cached_property
    def _by_column(self) -> _Runs:
        order = np.argsort(self.columns, kind="stable")
        columns = self.columns[order]
        starts = np.flatnonzero(np.concatenate(([True], columns[1:] != columns[:-1]))) if len(columns) else order
        return _Runs(self.rows[order], self.values[order], starts, columns[starts], self.width)

    def dot(self, weights: F64) -> F64:
        """Products of all rows with K vectors, (K, D) to (K, N)."""
        return self._by_row.sums(weights)

    def transposed_dot(self, vectors: F64) -> F64:
        """Products of all columns with K vectors, (K, N) to (K, D)."""
        return self._by_column.sums(vectors)

    def squared(self) -> "SparseMatrix":
        """The same matrix with every value squared."""
        return SparseMatrix(self.bounds, self.columns, self.values**2, self.width)

    def take(self, chosen: Bool) -> "SparseMatrix":
        """The rows that are chosen, (N,)."""
        lengths = np.diff(self.bounds)
        kept = np.repeat(chosen, lengths)
        bounds = np.concatenate(([0], np.cumsum(lengths[chosen])))
        return SparseMatrix(bounds, self.columns[kept], self.values[kept], self.width)
