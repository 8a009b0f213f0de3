"""Whether probabilities mean what they say: expected calibration error and Brier score.

The confidence of an item is its highest probability. Confidences lie in M bins of equal width, (m-1) / M < c <= m / M:

    ece = sum over bins of share of items * |accuracy - mean confidence|      Naeini et al. (2015), Guo et al. (2017)
    brier = mean over items of sum over labels of (p - 1 if it is right, else p)^2      Brier (1950)

N items, K labels, M bins.
"""

from dataclasses import dataclass

import numpy as np

from lmkit.protocols import F64, Bool

BINS = 15


@dataclass(frozen=True)
class Bin:
    """Items whose confidence is above `low`, up to `high`; their mean confidence, and how many are right."""

    low: float
    high: float
    items: int
    confidence: float
    accuracy: float


def bins(confidences: F64, right: Bool, count: int = BINS) -> list[Bin]:
    """The bins that have items, of N confidences."""
    places = np.clip(np.ceil(confidences * count).astype(np.int64) - 1, 0, count - 1)
    found = []
    for place in np.unique(places).tolist():
        inside = places == place
        mean, share = float(confidences[inside].mean()), float(right[inside].mean())
        found.append(Bin(place / count, (place + 1) / count, int(inside.sum()), mean, share))
    return found


def expected_error(found: list[Bin]) -> float:
    """The expected calibration error of bins."""
    total = sum(one.items for one in found)
    return sum(one.items / total * abs(one.accuracy - one.confidence) for one in found)


def brier(probabilities: F64, right: Bool) -> float:
    """The Brier score of probabilities, (N, K), of which the `right` ones, (N, K), should be 1."""
    return float(((probabilities - right) ** 2).sum(axis=1).mean())
