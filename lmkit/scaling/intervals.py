"""Percentile intervals of resampled values."""

from typing import NamedTuple

import numpy as np

from lmkit.protocols import F64


class Interval(NamedTuple):
    """A percentile interval."""

    low: float
    high: float


def percentile(drawn: F64, level: float) -> Interval | None:
    """Return the interval that holds `level` of resampled values, (S,); those that are no number are left out."""
    known = drawn[np.isfinite(drawn)]
    if not len(known):
        return None
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high))
