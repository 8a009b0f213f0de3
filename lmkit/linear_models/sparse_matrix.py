"""Sparse matrices whose products with few dense vectors are sums over runs.

N rows, D columns, Z stored values, K vectors.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from lmkit.protocols import I64, Bool, Floats

SHORT = 32
"""Columns of up to so many values are summed side by side with others of their length."""


class _Stack(NamedTuple):
    """Runs of one length L: place on the other axis and value of each, (L, R), and whose runs they are, (R,)."""

    other: I64
    values: Floats
    owners: I64


class _Runs(NamedTuple):
    """Values in the order of one axis: stacks of short runs, and long runs end to end with their starts and owners."""

    stacks: Sequence[_Stack]
    other: I64
    values: Floats
    starts: I64
    owners: I64
    size: int

    @classmethod
    def of(cls, other: I64, values: Floats, bounds: I64, short: int = 0) -> "_Runs":
        """The runs of values between `bounds`, those that are not empty; stacks are of those of up to `short` values.

        A sum in a stack may depend in its last digit on how many runs there are, one of a long run does not.
        """
        lengths = np.diff(bounds)
        stacks = []
        for length in np.unique(lengths[(lengths > 0) & (lengths <= short)]).tolist():
            owners = np.flatnonzero(lengths == length)
            places = bounds[owners] + np.arange(length)[:, None]
            stacks.append(_Stack(other[places], values[places], owners))
        owners = np.flatnonzero(lengths > short)
        kept = np.repeat(lengths > short, lengths)
        starts = np.cumsum(lengths[owners]) - lengths[owners]
        return cls(stacks, other[kept], values[kept], starts, owners, len(lengths))

    def single(self) -> "_Runs":
        """The same in float32."""
        stacks = [stack._replace(values=stack.values.astype(np.float32)) for stack in self.stacks]
        return self._replace(stacks=stacks, values=self.values.astype(np.float32))

    def sums(self, vectors: Floats) -> Floats:
        """Sums over each run of values times a vector's entries on the other axis, (K, other) to (K, size)."""
        out = np.zeros((len(vectors), self.size), dtype=self.values.dtype)
        products = np.empty(len(self.values), dtype=self.values.dtype)
        for row, vector in zip(out, vectors.astype(self.values.dtype, copy=False), strict=True):
            for stack in self.stacks:
                row[stack.owners] = (vector.take(stack.other) * stack.values).sum(axis=0)
            if len(self.starts):
                vector.take(self.other, out=products, mode="clip")
                np.multiply(products, self.values, out=products)
                row[self.owners] = np.add.reduceat(products, self.starts)
        return out


@dataclass(frozen=True)
class SparseMatrix:
    """A matrix, (N, D), by rows: row n has the values from `bounds[n]` to `bounds[n + 1]`, each in its column."""

    bounds: I64
    columns: I64
    values: Floats
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
        return _Runs.of(self.columns, self.values, self.bounds)

    @cached_property
    def _by_column(self) -> _Runs:
        order = np.argsort(self.columns, kind="stable")
        counts = np.bincount(self.columns, minlength=self.width)
        return _Runs.of(self.rows[order], self.values[order], np.concatenate(([0], np.cumsum(counts))), SHORT)

    def single(self) -> "SparseMatrix":
        """The same matrix in float32, whose products take half the time."""
        made = SparseMatrix(self.bounds, self.columns, self.values.astype(np.float32), self.width)
        made.__dict__.update(_by_row=self._by_row.single(), _by_column=self._by_column.single())
        return made

    def dot(self, weights: Floats) -> Floats:
        """Products of all rows with K vectors, (K, D) to (K, N)."""
        return self._by_row.sums(weights)

    def transposed_dot(self, vectors: Floats) -> Floats:
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
