"""How far paired numbers go together: Pearson's r, Spearman's rho. Knows nothing of what they measure.

Shapes: P pairs.
"""

import numpy as np

from lmkit.protocols import F64


def pearson(x: F64, y: F64) -> float | None:
    """Pearson's r of paired numbers, (P,); None where one of them does not vary."""
    if not len(x) or (x == x[0]).all() or (y == y[0]).all():
        return None
    x, y = (array / np.abs(array).max() for array in (x, y))  # what is huge or tiny stays within floats
    x, y = x - x.mean(), y - y.mean()
    scale = float(np.sqrt((x @ x) * (y @ y)))
    return min(1.0, max(-1.0, float(x @ y) / scale)) if scale else None


def spearman(x: F64, y: F64) -> float | None:
    """Spearman's rho: Pearson's r of ranks; equal numbers share the mean of theirs."""
    return pearson(ranks(x), ranks(y))


def ranks(values: F64) -> F64:
    """Ranks from 1, (P,); equal values share the mean of theirs."""
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    means: F64 = (ends - counts + 1 + ends) / 2
    return means[places]
