"""How sure a measure of items is: the items are drawn again, with replacement, and it is measured again.

What is drawn is how often each item comes: (B, C) counts, B draws at a time, of C cells. A cell is an item, or
many that are alike, such as all of one gold label and one prediction; then its count is drawn, which is the same
distribution and takes no longer for a million items than for a hundred.

Shapes: N items, C cells, R resamples, B of them at once.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from lmkit.protocols import F64, I64

RESAMPLES = 1000
LEVEL = 0.95
_BLOCK = 1 << 21  # counts drawn at a time
_FEW = 30  # items that differ, below which the resamples' p-value is not trusted alone
_EXACT = 2000  # right or wrong answers of one system only, up to which the sign test adds up integers


@dataclass(frozen=True)
class Sampling:
    """How a sample is drawn again: the seed, how many times, and how much of the resamples an interval holds."""

    seed: int = 0
    resamples: int = RESAMPLES
    level: float = LEVEL


Statistic = Callable[[I64], F64]
"""A measure of (B, C) counts of cells, (B,); NaN where it is not defined."""


class Interval(NamedTuple):
    """A value with the percentile interval of its resamples, which is None where there are none or all are alike."""

    value: float
    low: float | None
    high: float | None


class Difference(NamedTuple):
    """How much better one of two systems is, the interval of that, and `p`: how probable as much is by chance."""

    value: float
    low: float | None
    high: float | None
    p: float | None


def draws(counts: I64, seed: int, resamples: int, *, width: int = 1) -> Iterator[I64]:
    """Resamples of a sample that has `counts`, (C,), items of each cell: blocks of (B, C), (R, C) in all.

    They depend on counts, seed and number only. `width`: numbers that are worked out for each draw, if more than C.
    """
    random = np.random.Generator(np.random.Philox(seed))
    total = int(counts.sum())
    size = max(1, _BLOCK // max(len(counts), width, 1))
    for start in range(0, resamples, size):
        rows = min(size, resamples - start)
        if 16 * len(counts) <= total:  # a binomial draw takes as long as some draws of single items
            yield random.multinomial(total, counts / total, size=rows)
        else:
            yield _counted(random, counts, total, rows)


def _counted(random: np.random.Generator, counts: I64, total: int, rows: int) -> I64:
    """Items drawn one by one and counted by cell."""
    cells = np.repeat(np.arange(len(counts)), counts) if len(counts) < total else None
    drawn = np.empty((rows, len(counts)), dtype=np.int64)
    for row in drawn:
        items = random.integers(total, size=total, dtype=np.uint32 if total < 1 << 32 else np.int64)
        row[:] = np.bincount(items if cells is None else cells[items], minlength=len(counts))
    return drawn


def resampled(statistic: Statistic, counts: I64, seed: int, resamples: int, *, width: int = 1) -> F64:
    """A statistic of each resample, (R,), of a sample that has `counts`, (C,), items of each cell."""
    found = [statistic(block) for block in draws(counts, seed, resamples, width=width)]
    return np.concatenate(found) if found else np.empty(0)


Measures = Callable[[I64], Mapping[str, F64]]
"""Several measures of (B, C) counts of cells, (B,) each."""


def gathered(measures: Measures, counts: I64, sampling: Sampling, *, width: int = 1) -> dict[str, F64]:
    """Several measures of the same resamples, (R,) each."""
    blocks = [measures(block) for block in draws(counts, sampling.seed, sampling.resamples, width=width)]
    if not blocks:
        return {}
    return {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}


def intervals(values: Mapping[str, float | None], drawn: Mapping[str, F64], level: float) -> dict[str, Interval | None]:
    """Values, None where they are not defined, with the intervals of their resamples."""
    return {
        name: None if value is None else around(value, drawn.get(name, np.empty(0)), level)
        for name, value in values.items()
    }


def differences(
    values: tuple[Mapping[str, float | None], Mapping[str, float | None]],
    drawn: tuple[Mapping[str, F64], Mapping[str, F64]],
    level: float,
    least: Mapping[str, float],
) -> dict[str, Difference | None]:
    """How two systems' values differ, the first less the second, from measures of the same resamples.

    `least`: of each measure as `compared` has it, 0 where it is not given.
    """
    found: dict[str, Difference | None] = {}
    for name, one in values[0].items():
        other = values[1][name]
        if one is None or other is None:
            found[name] = None
            continue
        apart = drawn[0][name] - drawn[1][name] if name in drawn[0] else np.empty(0)
        found[name] = compared(one - other, apart, level, least.get(name, 0.0))
    return found


def around(value: float, drawn: F64, level: float = LEVEL) -> Interval:
    """A value and the percentile interval of its resamples, (R,), those left out that are not defined.

    Resamples that are all alike say nothing about how sure the value is, and give no interval.
    """
    known = drawn[~np.isnan(drawn)]
    if not _varies(known):
        return Interval(value, None, None)
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    return Interval(value, float(low), float(high))


def _varies(known: F64) -> bool:
    """Whether resamples differ by more than rounding does."""
    return len(known) > 0 and float(np.ptp(known)) > 1e-12 * float(np.abs(known).max())


def compared(value: float, drawn: F64, level: float, least: float) -> Difference:
    """A difference, the percentile interval of its resamples, (R,), and its p-value, two-sided.

    The resamples, moved so that their centre is no difference at all, say what chance alone does (Koehn 2004, by
    the shift of Riezler and Maxwell 2005): p = (1 + those as far from 0 as the difference) / (1 + R).

    Of few items resamples vary too little, and that p is too small; so it is never below `least`, a p-value that
    takes their number into account (`least_p`, or that of `sign_test`), and is `least` where all resamples are alike.
    """
    found = around(value, drawn, level)
    known = drawn[~np.isnan(drawn)]
    if not len(known):
        return Difference(*found, None)
    if value == 0:
        return Difference(*found, 1.0)
    if not _varies(known):
        return Difference(*found, least)
    far = np.abs(known - value) >= abs(value) * (1 - 1e-9)  # rounding aside
    return Difference(*found, max((1 + int(far.sum())) / (1 + len(known)), least))


def least_p(differing: int) -> float:
    """The smallest p-value, two-sided, that a test can have if two systems differ in so many items: 2 / 2^differing.

    If neither is better, each item's two answers may as well be exchanged, and of these 2^differing ways all or
    none is as far apart as can be (Fisher's randomization test).
    """
    return min(1.0, math.ldexp(1.0, 1 - min(differing, 1000)))


def interval(
    values: npt.ArrayLike,
    seed: int = 0,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
    statistic: Callable[[F64], float] | None = None,
) -> Interval:
    """The bootstrap interval of the mean of N numbers, or of another `statistic` of an (N,) array.

    Raises ValueError where there are no numbers.
    """
    found = _numbers(values)
    if statistic is None:
        return around(float(found.mean()), _means(found, seed, resamples), level)
    drawn = np.empty(resamples)
    random = np.random.Generator(np.random.Philox(seed))
    for place in range(resamples):
        drawn[place] = statistic(found[random.integers(len(found), size=len(found))])
    return around(float(statistic(found)), drawn, level)


def paired_difference(
    one: npt.ArrayLike, other: npt.ArrayLike, seed: int = 0, resamples: int = RESAMPLES, level: float = LEVEL
) -> Difference:
    """How much higher the mean of `one` is than that of `other`: N scores of two systems, of the same items in order.

    The items are drawn, each with both of its scores. Where fewer than 30 have different ones, p is that of the
    resamples or that of the exact sign test of these, whichever is greater. Raises ValueError where there is no
    score, or not as many of both.
    """
    first, second = _numbers(one), _numbers(other)
    if first.shape != second.shape:
        raise ValueError(f"expected as many scores in both, got {len(first)} and {len(second)}")
    apart = first - second
    more, less = int((apart > 0).sum()), int((apart < 0).sum())
    least = sign_test(more, less) if more + less < _FEW else least_p(more + less)
    return compared(float(apart.mean()), _means(apart, seed, resamples), level, least)


def _numbers(values: npt.ArrayLike) -> F64:
    found = np.asarray(values, dtype=np.float64)
    if found.ndim != 1 or not len(found):
        raise ValueError("expected a list of at least one number")
    return found


def _means(values: F64, seed: int, resamples: int) -> F64:
    """The means of resamples, (R,)."""
    distinct, counts = np.unique(values, return_counts=True)
    return resampled(lambda drawn: drawn @ distinct / len(values), counts, seed, resamples)


STUDENT = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131, 2.120,
    2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045,
)  # fmt: skip
"""The 97.5 % quantile of Student's t with 1, 2, ... degrees of freedom."""


def mean_interval(values: Sequence[float]) -> tuple[float, float, float]:
    """Return the mean of 2 to 30 values with its 95 % interval by Student's t: of few runs, not of many items."""
    mean, size = float(np.mean(values)), len(values)
    half = STUDENT[size - 2] * float(np.std(values, ddof=1)) / size**0.5
    return mean, mean - half, mean + half


def sign_test(first: int, second: int) -> float:
    """The exact p-value, two-sided, of `first` items that one system alone gets right and `second` the other alone.

    McNemar's test by the binomial distribution: how probable it is that a fair coin is as far from even.
    """
    fewer, tossed = min(first, second), first + second
    if first == second:
        return 1.0
    if tossed <= _EXACT:
        return min(1.0, 2 * sum(math.comb(tossed, heads) for heads in range(fewer + 1)) / (1 << tossed))
    log = math.lgamma(tossed + 1) - math.lgamma(fewer + 1) - math.lgamma(tossed - fewer + 1) - tossed * math.log(2)
    heads = np.arange(fewer, 0, -1, dtype=np.float64)
    rest = 1.0 + float(np.cumprod(heads / (tossed - heads + 1)).sum())  # each term beside the greatest, which is last
    return min(1.0, 2 * math.exp(log) * rest)
