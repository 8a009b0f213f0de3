"""Predicted numbers against right ones: correlations, and how far off they are.

Shapes: N items, B samples.
"""

from collections.abc import Sequence

import numpy as np

from lmkit.correlation import pearson, spearman
from lmkit.metrics.bootstrap import Sampling, least_p
from lmkit.metrics.comparison import Comparison, Sample, of_samples
from lmkit.protocols import F64, I64

MEASURES = ("pearson", "spearman", "mse", "mae")


def measured(gold: F64, predicted: F64) -> dict[str, float | None]:
    """Each of MEASURES of N right and N predicted numbers; a correlation is None where one side does not vary."""
    with np.errstate(over="ignore"):
        apart = predicted - gold
        mse, mae = float(np.mean(apart * apart)), float(np.mean(np.abs(apart)))
    return {"pearson": pearson(gold, predicted), "spearman": spearman(gold, predicted), "mse": mse, "mae": mae}


def compare(gold: F64, systems: Sequence[F64], sampling: Sampling) -> Comparison:
    """Compare N numbers that one system predicts, or two, with N right ones by each of MEASURES."""
    ones = np.ones(len(gold), dtype=np.int64)
    with np.errstate(over="ignore", invalid="ignore"):  # squares of numbers such as 1e308 are infinite
        samples = [Sample(measured(gold, system), Sampled(gold, system), ones) for system in systems]
        least = least_p(int((systems[0] != systems[-1]).sum()))
        return of_samples(samples, sampling, dict.fromkeys(MEASURES, least))


class Sampled:
    """Gives each of MEASURES, (B,), of samples that have each of N items (B, N) times.

    What is not defined in a sample is NaN.
    """

    def __init__(self, gold: F64, predicted: F64) -> None:
        x, y = _centred(gold), _centred(predicted)
        self._products = np.stack([x, y, x * x, y * y, x * y], axis=1)
        self._groups = [np.unique(side, return_inverse=True)[1] for side in (gold, predicted)]
        with np.errstate(over="ignore"):
            apart = predicted - gold
            self._errors = np.stack([apart * apart, np.abs(apart)], axis=1)

    def __call__(self, counts: I64) -> dict[str, F64]:
        """The measures of a block of samples."""
        weights = counts.astype(np.float64)
        total = weights.sum(1)
        sums = weights @ self._products
        errors = weights @ self._errors
        return {
            "pearson": _correlation(sums.T, total),
            "spearman": _correlation(_of_ranks(weights, *self._groups), total),
            "mse": errors[:, 0] / total,
            "mae": errors[:, 1] / total,
        }


def _centred(values: F64) -> F64:
    """Numbers around 0 and about 1 in size, so that sums of their squares lose nothing."""
    largest = np.abs(values).max()
    values = values / largest if largest else values
    centred: F64 = values - values.mean()
    scale = np.abs(centred).max()
    return centred / scale if scale else centred


def _correlation(sums: F64, total: F64) -> F64:
    """Pearson's r, (B,), of (5, B) sums; NaN where one side does not vary."""
    x, y, xx, yy, xy = sums
    of_x, of_y = xx - x * x / total, yy - y * y / total
    varies = (of_x > 1e-14 * xx) & (of_y > 1e-14 * yy)  # else rounding is what is left
    scale = np.sqrt(np.where(varies, of_x * of_y, 1.0))
    return np.where(varies, np.clip((xy - x * y / total) / scale, -1, 1), np.nan)


def _of_ranks(weights: F64, x: I64, y: I64) -> F64:
    """Sums over samples, (5, B), of both sides' ranks, their squares and their product, ranks taken from their mean.

    Items, that come (B, N) times, are in groups of equal values, numbered in order, (N,); so the ranks of a sample
    are cumulated counts, and nothing is sorted.
    """
    sums = np.zeros((5, len(weights)))
    for sample, counts in enumerate(weights):
        (sizes, ranks), (others, other) = _ranks(counts, x), _ranks(counts, y)
        products = sizes * ranks * ranks, others * other * other, counts * ranks[x] * other[y]
        sums[2:, sample] = [product.sum() for product in products]
    return sums


def _ranks(counts: F64, groups: I64) -> tuple[F64, F64]:
    """The sizes of groups, and their ranks less the mean of all; those in a group share the mean of theirs."""
    sizes = np.bincount(groups, counts).astype(np.float64, copy=False)
    until = np.cumsum(sizes)
    return sizes, until - (sizes + until[-1]) / 2
