"""L-BFGS for many small problems at once. Liu and Nocedal (1989).

S problems of P numbers each, m pairs of steps and changes of the gradient. Problems share iterations, nothing else.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lmkit.protocols import F64, I64

Objective = Callable[[F64, I64], tuple[F64, F64]]
"""Values, (S,), and gradients, (S, P), of points, (S, P), of the problems whose numbers are given, (S,)."""
MEMORY = 12
HALVINGS = 30
DECREASE = 1e-4
"""How much of the decrease that the slope promises a step must bring (Armijo)."""


class Minima(NamedTuple):
    """Points, (S, P), and their values, (S,)."""

    points: F64
    values: F64


class _History:
    """The last steps of all problems; one without curvature is left out of its problem (rho is 0)."""

    def __init__(self) -> None:
        self._pairs: list[tuple[F64, F64, F64]] = []
        self._scale: F64 | None = None

    def add(self, step: F64, change: F64) -> None:
        """Take up a step of each problem and the change of its gradient, (S, P)."""
        curvature, squares = (step * change).sum(axis=1), (change * change).sum(axis=1)
        useful = curvature > 1e-12 * np.maximum(squares, 1e-300)
        rho = np.where(useful, 1 / np.where(useful, curvature, 1), 0.0)
        before = np.ones(len(step)) if self._scale is None else self._scale
        self._scale = np.where(useful, curvature / np.where(useful, squares, 1), before)
        self._pairs = [*self._pairs[-(MEMORY - 1) :], (step, change, rho)]

    def keep(self, kept: NDArray[np.bool_]) -> None:
        """Forget all problems but some."""
        self._pairs = [(step[kept], change[kept], rho[kept]) for step, change, rho in self._pairs]
        self._scale = None if self._scale is None else self._scale[kept]

    def direction(self, gradient: F64) -> F64:
        """Return minus the approximate inverse Hessian times the gradient: the two loops of L-BFGS."""
        q = gradient.copy()
        weights = []
        for step, change, rho in reversed(self._pairs):
            weight = rho * (step * q).sum(axis=1)
            q -= weight[:, None] * change
            weights.append(weight)
        if self._scale is None:
            q /= np.maximum(np.linalg.norm(q, axis=1, keepdims=True), 1.0)
        else:
            q *= self._scale[:, None]
        for (step, change, rho), weight in zip(self._pairs, reversed(weights), strict=True):
            q += (weight - rho * (change * q).sum(axis=1))[:, None] * step
        return -q


def minimise(
    objective: Objective, starts: F64, *, iterations: int = 1000, gradient: float = 1e-9, decrease: float = 1e-12
) -> Minima:
    """Return a local minimum from each start, (S, P).

    A problem ends where no number of its gradient is above `gradient`, or a step lowers its value by no more than
    the share `decrease`.
    """
    ended = Minima(starts.astype(np.float64, copy=True), np.empty(len(starts)))
    rows: I64 = np.arange(len(starts))
    points = ended.points.copy()
    values, gradients = objective(points, rows)
    history = _History()
    for _ in range(iterations):
        direction = history.direction(gradients)
        slope = (gradients * direction).sum(axis=1)
        uphill = slope >= 0
        direction[uphill] = -gradients[uphill]
        slope[uphill] = -(gradients[uphill] ** 2).sum(axis=1)
        step, lower, moved = _line_search(objective, rows, points, values, direction, slope)
        history.add(step, moved - gradients)
        going = (values - lower > decrease * np.abs(values)) & (np.abs(moved).max(axis=1) > gradient)
        points, values, gradients = points + step, lower, moved
        ended.points[rows], ended.values[rows] = points, values
        if not going.all():
            rows, points, values, gradients = rows[going], points[going], values[going], gradients[going]
            history.keep(going)
        if not len(rows):
            break
    return ended


def _line_search(
    objective: Objective, rows: I64, points: F64, values: F64, direction: F64, slope: F64
) -> tuple[F64, F64, F64]:
    """Return the first step of 1, 1/2, 1/4, ... that lowers each value enough, or none, and values and gradients there.

    Where no step does, the value is as it was.
    """
    step, lower, moved = np.zeros_like(points), values.copy(), np.zeros_like(points)
    left: I64 = np.arange(len(rows))
    for halvings in range(HALVINGS):
        length = 0.5**halvings
        there, gradients = objective(points[left] + length * direction[left], rows[left])
        fine = there <= values[left] + DECREASE * length * slope[left]
        done = left[fine]
        step[done], lower[done], moved[done] = length * direction[done], there[fine], gradients[fine]
        left = left[~fine]
        if not len(left):
            break
    return step, lower, moved
