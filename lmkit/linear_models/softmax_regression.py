"""Softmax regression of sparse vectors: log p(k | x) = w_k x + b_k - ln sum_j exp(w_j x + b_j), trained to convergence.

The loss is sum_n c_n (-log p(y_n | x_n)) + l2 / 2 |W|^2, that of scikit-learn's LogisticRegression with C = 1 / l2; of
two labels the first has w = 0 and b = 0. N examples, D columns, K labels, R rows of weights: K, or 1 for two labels.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from lmkit.linear_models import conjugate_gradients
from lmkit.linear_models.linear_map import LinearMap, Matrix, column_products
from lmkit.protocols import F64, I64

TOLERANCE = 4e-4
"""Bound of |gradient| / l2, and so of |W - W*|, since the loss is strongly convex: probabilities are right to 1e-4."""
STEPS, HALVINGS = 100, 40
ARMIJO = 1e-4


def log_probabilities(rows: F64) -> F64:
    """Log-probabilities of K labels, (K, N), of the (R, N) numbers of a map."""
    logits = np.concatenate((np.zeros_like(rows), rows)) if len(rows) == 1 else rows
    logits = logits - logits.max(axis=0)
    found: F64 = logits - np.log(np.exp(logits).sum(axis=0))
    return found


def fit(
    x: Matrix, labels: I64, size: int, l2: float, *, costs: F64 | None = None, start: LinearMap | None = None,
    done: Callable[[int], None] = lambda _: None,
) -> LinearMap:  # fmt: skip
    """Fit a map to labels, (N,), of `size` K, by Newton's method; `costs` weigh examples, (N,).

    Each step's system is solved by conjugate gradients, the nearer to the optimum the better (Dembo et al. 1982).
    `done` learns how many steps were taken.
    """
    problem = _Problem(x, labels, size, l2, np.ones(len(labels)) if costs is None else costs)
    point = problem.start() if start is None else start.joined()
    rows, first = problem.rows_of(point), None
    for number in range(STEPS):
        done(number)
        gradient = problem.gradient(point, rows)
        norm = float(np.linalg.norm(gradient))
        if norm <= TOLERANCE * l2:
            break
        first = first or norm
        enough = max(min(0.1, (norm / first) ** 0.5) * norm, 0.3 * TOLERANCE * l2)
        step = problem.newton_step(rows, gradient, enough)
        length = problem.length(point, rows, step, float(np.vdot(gradient, step)))
        if not length:  # no digits are left to get lower
            break
        point += length * step
        rows = problem.rows_of(point)
    return LinearMap(point[:, :-1], point[:, -1])


@dataclass(frozen=True)
class _Problem:
    """The loss as a function of points, (R, D + 1): weights, and biases in the last column."""

    x: Matrix
    labels: I64
    size: int
    l2: float
    costs: F64

    def start(self) -> F64:
        """No weights, and biases for the labels' shares."""
        shares = np.bincount(self.labels, self.costs, minlength=self.size)
        logs = np.log(np.maximum(shares, 1e-12))
        point = np.zeros((1 if self.size == 2 else self.size, self.x.width + 1))
        point[:, -1] = logs[1:] - logs[0] if self.size == 2 else logs - logs.mean()
        return point

    def rows_of(self, point: F64) -> F64:
        """The map's numbers for every example, (R, N)."""
        return self.x.dot(point[:, :-1]) + point[:, -1:]

    def _penalised(self, columns: F64, point: F64) -> F64:
        columns[:, :-1] += self.l2 * point[:, :-1]
        return columns

    def gradient(self, point: F64, rows: F64) -> F64:
        """The loss's derivatives, (R, D + 1)."""
        apart = np.exp(log_probabilities(rows))
        apart[self.labels, np.arange(len(self.labels))] -= 1.0
        return self._penalised(column_products(self.x, (apart * self.costs)[self.size - len(rows) :]), point)

    def newton_step(self, rows: F64, gradient: F64, enough: float) -> F64:
        """Return -H^-1 times the gradient, so far that what is left of it has a norm of `enough`."""
        shares = np.exp(log_probabilities(rows))[self.size - len(rows) :]
        weighted = shares * self.costs

        def product(point: F64) -> F64:
            """H v = X (diag(p) - p p') X' v + l2 v."""
            seen = self.rows_of(point)
            apart = weighted * (seen - (shares * seen).sum(axis=0))
            return self._penalised(column_products(self.x, apart), point)

        diagonal = column_products(self.x.squared(), weighted * (1 - shares))
        diagonal[:, :-1] += self.l2
        diagonal[:, -1] += 1e-12
        return conjugate_gradients.solve(product, -gradient, diagonal, enough)

    def length(self, point: F64, rows: F64, step: F64, slope: float) -> float:
        """How much of a step lowers the loss enough (Armijo 1966): 1, 1/2, 1/4, ...; 0 where none does."""
        change, now, length = self.rows_of(step), self._loss(point, rows), 1.0
        for _ in range(HALVINGS):
            if self._loss(point + length * step, rows + length * change) <= now + ARMIJO * length * slope:
                return length
            length /= 2
        return 0.0

    def _loss(self, point: F64, rows: F64) -> float:
        weights = point[:, :-1]
        right = log_probabilities(rows)[self.labels, np.arange(len(self.labels))]
        return self.l2 / 2 * float(np.vdot(weights, weights)) - float(self.costs @ right)
