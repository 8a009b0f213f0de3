"""Entropy and its relatives of distributions and of samples. Knows arrays and counts, no texts and no files.

Everything is computed in bits; `in_unit` says it in nats or hartleys. 0 log 0 is 0.
Cover and Thomas, Elements of Information Theory (2006), chapter 2, unless said otherwise.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lmkit.errors import DataError
from lmkit.protocols import F64, I64, Ints

UNITS: Mapping[str, float] = {"bits": 1.0, "nats": math.log(2), "hartleys": math.log10(2)}
"""What one bit is in each unit."""
TOLERANCE = 1e-6
"""How far probabilities may be from summing to one."""
SUPPORT = 10
"""Positions that each distinct block needs on average for an entropy to be trusted without a correction."""


def in_unit(bits: float, unit: str) -> float:
    """An amount of information in `bits`, `nats` or `hartleys` (decimal digits)."""
    return bits * UNITS[unit]


def from_nats(nats: float, unit: str) -> float:
    """An amount of information that is known in nats; in nats to the last bit."""
    return nats if unit == "nats" else in_unit(nats / UNITS["nats"], unit)


def perplexity(bits: float) -> float:
    """2^H of an entropy in bits: how many equally probable outcomes are as uncertain."""
    try:
        return float(2**bits)
    except OverflowError:
        return math.inf


def bits_per(bits: float, symbols: int, size: int) -> float:
    """Bits of each of `symbols`, spread over `size` bytes or characters."""
    return bits * symbols / size if size else 0.0


def distribution(weights: Iterable[float], *, rescale: bool = False, hint: str | None = None) -> F64:
    """Weights as probabilities; `rescale` divides them by their sum, otherwise the sum must be one.

    Raises DataError for a negative or infinite weight, and where the sum is not what it should
    be; `hint` says what to do about the latter.
    """
    values = np.asarray(list(weights) if not isinstance(weights, np.ndarray) else weights, dtype=np.float64)
    if not len(values):
        raise DataError("no probabilities: the input is empty")
    if not (values >= 0).all() or np.isinf(values).any():
        raise DataError("a probability is a number that is not negative")
    total = _sum(values)
    if rescale:
        if total == math.inf:  # a power of two changes no digit; far smaller weights are as good as 0
            values = values * 2.0**-64
            total = _sum(values)
        if not total:
            raise DataError("weights that sum to 0 can't be rescaled")
        return values / total
    if abs(total - 1) > TOLERANCE:
        raise DataError(f"the probabilities sum to {total:.9g}, not to 1", hint=hint)
    return values


def _sum(values: F64) -> float:
    """The sum of numbers that are not negative, rounded once; infinite where it is beyond all floats."""
    try:
        return math.fsum(values.ravel().tolist())
    except OverflowError:
        return math.inf


def joint_distribution(rows: Sequence[Sequence[float]], *, rescale: bool = False, hint: str | None = None) -> F64:
    """A table as probabilities, (X, Y): whole numbers whose sum is not one are counts. Raises DataError as above."""
    table = np.array(rows, dtype=np.float64)
    counted = bool((table == np.floor(table)).all()) and _sum(table) > 1
    return distribution(table, rescale=rescale or counted, hint=hint)


def entropy(p: F64) -> float:
    """H(p) = -sum p log2 p, in bits; p (...,) any shape."""
    p = p[p > 0]
    return max(0.0, math.fsum((p * -np.log2(p)).tolist()))


def cross_entropy(p: F64, q: F64) -> float:
    """H(p, q) = -sum p log2 q, in bits; infinite where q rules out what p has. p, q (V,)."""
    p, q = p[p > 0], q[p > 0]
    if (q <= 0).any():
        return math.inf
    return max(0.0, math.fsum((p * -np.log2(q)).tolist()))


def divergence(p: F64, q: F64) -> float:
    """Kullback and Leibler's D(p || q) = sum p log2 (p / q), in bits; infinite where q rules out what p has."""
    p, q = p[p > 0], q[p > 0]
    if (q <= 0).any():
        return math.inf
    return max(0.0, math.fsum((p * (np.log2(p) - np.log2(q))).tolist()))


def jensen_shannon(p: F64, q: F64) -> float:
    """Jensen-Shannon divergence (D(p || m) + D(q || m)) / 2 with m = (p + q) / 2, 0 to 1 bit. Lin (1991)."""
    mean = (p + q) / 2
    return min(1.0, (divergence(p, mean) + divergence(q, mean)) / 2)


@dataclass(frozen=True)
class Pair:
    """Two distributions over the same symbols, compared in bits. p, q (V,)."""

    p: F64
    q: F64

    @classmethod
    def of_counts(cls, counts: I64, others: I64, *, add: float = 0.0) -> "Pair":
        """Relative frequencies over the symbols of two samples; `add` to every count first."""
        both = np.zeros((2, max(len(counts), len(others))))
        both[0, : len(counts)], both[1, : len(others)] = counts, others
        p, q = both[:, both.any(axis=0)] + add
        return cls(distribution(p, rescale=True), distribution(q, rescale=True))

    def figures(self) -> dict[str, float]:
        """Divergences and cross-entropies both ways, what lies between, and the entropy of q."""
        p, q = self.p, self.q
        return {
            "divergence": divergence(p, q), "cross_entropy": cross_entropy(p, q),
            "divergence_reverse": divergence(q, p), "cross_entropy_reverse": cross_entropy(q, p),
            "jensen_shannon": jensen_shannon(p, q), "entropy_against": entropy(q),
        }  # fmt: skip


@dataclass(frozen=True)
class Joint:
    """Entropies of two variables in bits: X chooses the row, Y the column."""

    joint: float
    x: float
    y: float

    @classmethod
    def of(cls, p: F64) -> "Joint":
        """From the table p(x, y), (X, Y)."""
        return cls(entropy(p), entropy(p.sum(axis=1)), entropy(p.sum(axis=0)))

    @property
    def y_given_x(self) -> float:
        """H(Y|X) = H(X,Y) - H(X)."""
        return max(0.0, self.joint - self.x)

    @property
    def x_given_y(self) -> float:
        """H(X|Y) = H(X,Y) - H(Y)."""
        return max(0.0, self.joint - self.y)

    @property
    def mutual_information(self) -> float:
        """I(X;Y) = H(X) + H(Y) - H(X,Y)."""
        return max(0.0, self.x + self.y - self.joint)

    @property
    def normalised(self) -> float | None:
        """2 I(X;Y) / (H(X) + H(Y)), 0 to 1; None where nothing is uncertain."""
        return 2 * self.mutual_information / (self.x + self.y) if self.x + self.y else None


class Spectrum(dict[int, int]):
    """How many symbols were counted once, twice and so on: count to number of symbols.

    All that an estimate of an entropy needs to know of a sample, and small: a sample of N has
    at most sqrt(2 N) different counts. Equal samples give equal sums, to the last bit.
    """

    @classmethod
    def of(cls, counts: Iterable[int]) -> "Spectrum":
        """From counts, of which those of zero do not matter."""
        spectrum = cls()
        spectrum.add(np.fromiter(counts, dtype=np.int64) if not isinstance(counts, np.ndarray) else counts)
        return spectrum

    def add(self, counts: Ints) -> None:
        """Takes in more symbols with their counts."""
        values, numbers = np.unique(counts[counts > 0], return_counts=True)
        for value, number in zip(values.tolist(), numbers.tolist(), strict=True):
            self[value] = self.get(value, 0) + number

    def moved(self, count: int, by: int) -> "Spectrum":
        """The spectrum after one symbol of this count has got another."""
        changed = Spectrum(self)
        if count:
            changed[count] -= 1
        if count + by:
            changed[count + by] = changed.get(count + by, 0) + 1
        return Spectrum({value: number for value, number in changed.items() if number})

    @property
    def total(self) -> int:
        """Size N of the sample."""
        return sum(value * number for value, number in self.items())

    @property
    def distinct(self) -> int:
        """Number of symbols that were seen."""
        return sum(self.values())


def plug_in(sample: Spectrum) -> float:
    """Maximum likelihood: the entropy of the relative frequencies, sum c/N log2 (N/c), in bits."""
    total = sample.total
    return math.fsum(number * (count / total) * math.log2(total / count) for count, number in sorted(sample.items()))


def miller_madow(sample: Spectrum) -> float:
    """Maximum likelihood + (M - 1) / 2N nats, M symbols seen. Miller (1955)."""
    return plug_in(sample) + (sample.distinct - 1) / (2 * sample.total) / UNITS["nats"]


def grassberger(sample: Spectrum) -> float:
    """ln N - 1/N sum c G(c) nats with G(c) = psi(c) + (-1)^c / 2 (psi((c+1)/2) - psi(c/2)). Grassberger (2003).

    By the recurrences there, G(c) = psi(floor(c/2) + 1/2) + ln 2.
    """
    return _in_place_of_log(sample, lambda count: digamma(count // 2 + 0.5) + math.log(2))


def grassberger_1988(sample: Spectrum) -> float:
    """ln N - 1/N sum c (psi(c) + (-1)^c / (c (c + 1))) nats. Grassberger (1988)."""
    return _in_place_of_log(sample, lambda count: digamma(count) + (-1) ** (count % 2) / (count * (count + 1)))


def _in_place_of_log(sample: Spectrum, function: Callable[[int], float]) -> float:
    """The entropy in bits with another function of the count in place of its logarithm; at least 0."""
    total = sample.total
    mean = math.fsum(number * (count / total) * function(count) for count, number in sorted(sample.items()))
    return max(0.0, (math.log(total) - mean) / UNITS["nats"])


CORRECTIONS: Mapping[str, Callable[[Spectrum], float]] = {
    "none": plug_in,
    "miller-madow": miller_madow,
    "grassberger": grassberger,
    "grassberger-1988": grassberger_1988,
}


def digamma(x: float) -> float:
    """psi(x), the derivative of ln Gamma, for x > 0: recurrence up to 10, then the asymptotic series."""
    below = 0.0
    while x < 10:
        below -= 1 / x
        x += 1
    square = 1 / (x * x)
    series = square * (1 / 12 - square * (1 / 120 - square * (1 / 252 - square * (1 / 240 - square / 132))))
    return below + math.log(x) - 0.5 / x - series
