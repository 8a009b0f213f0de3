"""Smoothing: from the counts of the n-grams after a context to their probabilities and the context's backoff weight.

Every method answers one question, `context`: given the counts of n-grams grouped by context and
the lower-order probability of each, what is p(w | h) of each n-gram, and by what weight b(h) is
the lower-order distribution multiplied for words not listed after h. So all of them become the
same backoff model. Discounts are estimated per order from counts of counts. Knows no files.

Notation: c count of an n-gram, C sum of counts after its context, T number of distinct words
after it, n_r number of n-grams seen r times. M n-grams, H contexts.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from lmkit.protocols import F64, I64

FALLBACK = (0.5, 1.0, 1.5)
"""Discounts where none can be estimated; the values that lmplz falls back to."""


class Groups:
    """Which n-grams share a context: the n-grams of one context lie together.

    `starts` I64[H]: where each context begins among M n-grams.
    """

    def __init__(self, starts: I64, size: int) -> None:
        self.starts = starts
        self.sizes = np.diff(starts, append=size)

    def sum(self, values: F64 | I64) -> F64:
        """Sum over the n-grams of each context, (H,)."""
        sums: F64 = np.add.reduceat(values, self.starts).astype(np.float64)
        return sums

    def spread(self, values: F64) -> F64:
        """Each context's value for each of its n-grams, (M,)."""
        return np.repeat(values, self.sizes)


class Smoothing(Protocol):
    """One order's smoothing, its parameters already estimated."""

    @property
    def parameters(self) -> Sequence[float]:
        """What was estimated or set, in the method's own order; may be empty."""

    def context(self, counts: I64, groups: Groups, lower: F64, kept: F64 | None) -> tuple[F64, F64]:
        """p(w | h) of each n-gram, (M,), and b(h) of each context, (H,).

        `lower` (M,) holds p(w | h') under the shorter context h'; `kept` (M,) is 0 for n-grams
        that are pruned, 1 for others, None where all are kept: a pruned n-gram's share goes to b(h).
        """


def _interpolate(share: F64, weight: F64, groups: Groups, lower: F64, kept: F64 | None) -> tuple[F64, F64]:
    """p = share + b(h) p(w | h'), the shares of pruned n-grams added to b(h)."""
    if kept is not None:
        weight = weight + groups.sum(share * (1.0 - kept))
        share = share * kept
    return share + groups.spread(weight) * lower, weight


@dataclass(frozen=True)
class Discounted:
    """Absolute discounting: p = (c - D(c)) / C + b(h) p(w | h'), b(h) = sum of D(c) / C.

    `parameters` are the discounts of counts 1, 2, ...; the last serves all higher counts.
    Kneser and Ney (1995); Chen and Goodman (1998), eqs. 26 to 29, for three discounts.
    """

    parameters: Sequence[float]

    def context(self, counts: I64, groups: Groups, lower: F64, kept: F64 | None) -> tuple[F64, F64]:
        """See `Smoothing.context`."""
        table = np.array([0.0, *self.parameters])
        discount = table[np.minimum(counts, len(self.parameters))]
        total = groups.sum(counts)
        weight = groups.sum(discount) / total
        return _interpolate((counts - discount) / groups.spread(total), weight, groups, lower, kept)


@dataclass(frozen=True)
class WittenBell:
    """p = (c + T p(w | h')) / (C + T). Witten and Bell (1991), method C; Chen and Goodman (1998), eq. 17."""

    parameters: Sequence[float] = ()

    def context(self, counts: I64, groups: Groups, lower: F64, kept: F64 | None) -> tuple[F64, F64]:
        """See `Smoothing.context`."""
        types = groups.sum((counts > 0).astype(np.int64))
        total = groups.sum(counts) + types
        return _interpolate(counts / groups.spread(total), types / total, groups, lower, kept)


@dataclass(frozen=True)
class MaximumLikelihood:
    """p = c / C; what was not seen after a context has probability 0."""

    parameters: Sequence[float] = ()

    def context(self, counts: I64, groups: Groups, lower: F64, kept: F64 | None) -> tuple[F64, F64]:
        """See `Smoothing.context`."""
        share = counts / groups.spread(groups.sum(counts))
        return _interpolate(share, np.zeros(len(groups.starts)), groups, lower, kept)


@dataclass(frozen=True)
class AddK:
    """p = (c + k) / (C + k V), as interpolation with the uniform distribution 1 / V over V words.

    Lidstone's law; Laplace's with k = 1. `vocabulary` is V.
    """

    parameters: Sequence[float]
    vocabulary: int

    def context(self, counts: I64, groups: Groups, lower: F64, kept: F64 | None) -> tuple[F64, F64]:
        """See `Smoothing.context`."""
        added = self.parameters[0] * self.vocabulary
        total = groups.sum(counts) + added
        return _interpolate(counts / groups.spread(total), added / total, groups, lower, kept)


@dataclass(frozen=True)
class Katz:
    """Katz (1987): p = d_c c / C for words seen after h, the rest of the mass by lower-order probability.

    `parameters` are d_1, d_2, ...; counts beyond are trusted (d = 1). Where nothing is left for
    unseen words, C counts one more.
    """

    parameters: Sequence[float]

    def context(self, counts: I64, groups: Groups, lower: F64, kept: F64 | None) -> tuple[F64, F64]:
        """See `Smoothing.context`."""
        ratios = np.array([0.0, *self.parameters, 1.0])
        ratio = ratios[np.minimum(counts, len(self.parameters) + 1)]
        total = groups.sum(counts)
        seen = groups.sum(ratio * counts)
        total = np.where(seen >= total * (1 - 1e-12), total + 1, total)
        share = ratio * counts / groups.spread(total)
        listed = counts > 0 if kept is None else (counts > 0) & (kept > 0)
        share = np.where(listed, share, 0.0)
        left = 1.0 - groups.sum(share)
        reached = 1.0 - groups.sum(np.where(listed, lower, 0.0))
        weight = np.where(reached > 1e-12, left / np.maximum(reached, 1e-300), 0.0)
        # Where every word is listed nothing can be left over: the shares take it.
        grown = np.where(reached > 1e-12, 1.0, 1.0 / np.maximum(1.0 - left, 1e-300))
        return np.where(listed, share * groups.spread(grown), groups.spread(weight) * lower), weight


@dataclass(frozen=True)
class StupidBackoff:
    """Scores c / C, else a times the shorter context's; not a distribution. Brants et al. (2007), eq. 5."""

    parameters: Sequence[float]

    def context(self, counts: I64, groups: Groups, lower: F64, kept: F64 | None) -> tuple[F64, F64]:
        """See `Smoothing.context`."""
        share = counts / groups.spread(groups.sum(counts))
        weight = np.full(len(groups.starts), self.parameters[0])
        listed = counts > 0 if kept is None else (counts > 0) & (kept > 0)
        return np.where(listed, share, groups.spread(weight) * lower), weight


BUCKETS = 24


def bucket(totals: F64 | I64) -> I64:
    """The class of contexts seen C times that share a weight: 1, 2 to 3, 4 to 7, and so on."""
    exponents = np.frexp(np.maximum(totals, 1).astype(np.float64))[1]  # exact, as logarithms need not be
    return np.minimum(exponents.astype(np.int64) - 1, BUCKETS - 1)


@dataclass(frozen=True)
class JelinekMercer:
    """p = l(C) c / C + (1 - l(C)) p(w | h'), a weight for each class of C; see `bucket`.

    Jelinek and Mercer (1980); Chen and Goodman (1998), eq. 12.
    """

    parameters: Sequence[float]

    def context(self, counts: I64, groups: Groups, lower: F64, kept: F64 | None) -> tuple[F64, F64]:
        """See `Smoothing.context`."""
        total = groups.sum(counts)
        own = np.array(self.parameters)[bucket(total)]
        return _interpolate(counts * groups.spread(own / total), 1.0 - own, groups, lower, kept)


@dataclass
class Discounts:
    """Estimates discounts from counts of counts, and remembers where it had to fall back."""

    notes: list[str] = field(default_factory=list)

    def _fall_back(self, order: int, why: str, values: Sequence[float]) -> Sequence[float]:
        shown = " ".join(f"{value:g}" for value in values)
        self.notes.append(f"order {order}: {why}, so {shown}")
        return values

    def modified(self, order: int, n: Sequence[int]) -> Sequence[float]:
        """D_j = j - (j+1) Y n_{j+1} / n_j with Y = n_1 / (n_1 + 2 n_2), j = 1, 2, 3.

        `n[r]` is n_r. Chen and Goodman (1998), eq. 26, and lmplz's conditions: n_1 to n_3 are
        not zero and 0 <= D_j <= j; else all three fall back.
        """
        missing = [r for r in (1, 2, 3) if n[r] == 0]
        if missing:
            return self._fall_back(order, f"no n-gram with adjusted count {missing[0]}", FALLBACK)
        y = n[1] / (n[1] + 2 * n[2])
        values = [j - (j + 1) * y * n[j + 1] / n[j] for j in (1, 2, 3)]
        if not all(0 <= value <= j for j, value in enumerate(values, 1)):
            return self._fall_back(order, "counts of counts out of proportion", FALLBACK)
        return values

    def single(self, order: int, n: Sequence[int]) -> Sequence[float]:
        """D = n_1 / (n_1 + 2 n_2). Ney, Essen and Kneser (1994)."""
        if n[1] == 0 or n[2] == 0:
            return self._fall_back(order, f"no n-gram seen {'once' if n[1] == 0 else 'twice'}", FALLBACK[:1])
        return [n[1] / (n[1] + 2 * n[2])]

    def good_turing(self, order: int, n: Sequence[int], most: int = 5) -> Sequence[float]:
        """d_r = (r*/r - A) / (1 - A), r* = (r+1) n_{r+1} / n_r, A = (k+1) n_{k+1} / n_1, r = 1 to k.

        Katz (1987), eq. 15, for the largest k <= `most` with all n_r > 0 and 0 < d_r < 1.
        """
        for k in range(most, 0, -1):
            if all(n[r] > 0 for r in range(1, k + 2)):
                a = (k + 1) * n[k + 1] / n[1]
                if a < 1:
                    values = [((r + 1) * n[r + 1] / (r * n[r]) - a) / (1 - a) for r in range(1, k + 1)]
                    if all(0 < value < 1 for value in values):
                        return values
        return self._fall_back(order, "counts of counts out of proportion", FALLBACK[:1])
