"""Conjugate gradients: solves H d = r for a symmetric positive definite H that is known by its products.

Hestenes and Stiefel (1952), with a diagonal preconditioner.
"""

from collections.abc import Callable

import numpy as np

from lmkit.protocols import F64

STEPS = 1000


def solve(product: Callable[[F64], F64], right: F64, diagonal: F64, tolerance: float) -> F64:
    """Return d with |r - H d| at most `tolerance`, or after STEPS the best so far; `diagonal` is near that of H."""
    found, rest = np.zeros_like(right), right.copy()
    direction, energy = np.zeros_like(right), np.inf
    for _ in range(STEPS):
        if np.linalg.norm(rest) <= tolerance:
            break
        scaled = rest / diagonal
        before, energy = energy, float(np.vdot(rest, scaled))
        direction = scaled + (energy / before) * direction
        image = product(direction)
        length = energy / float(np.vdot(direction, image))
        found += length * direction
        rest -= length * image
    return found
