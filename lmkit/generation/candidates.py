"""Candidates for the next token, as far as errors of their log-probabilities leave it sure which they are.

Ties go to the lower id. Where log-probabilities are wrong by some error at most, a set keeps all that might belong
to it, and marks those that surely do. Knows no model, no filter and no randomness.

Shapes: B rows, K candidates, V vocabulary.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from lmkit.generation import top_k
from lmkit.protocols import F64, I64, Floats

LOWEST = -1e4  # a log-probability below this has a mass of 0 in any float


class Candidates(NamedTuple):
    """Tokens that may come next.

    ids    (B, K) most probable first, ties by id; or none where they are all the vocabulary's, in its order
    logs   (B, K) log-probabilities up to a constant, -inf for what was dropped
    sure   (B, K) whether a kept token would be kept whatever the errors are; none: all would
    error  how wrong the logs may be, in nats
    """

    ids: Any
    logs: Floats
    sure: Any = None
    error: float = 0.0

    def token(self, places: Any) -> Any:
        """The ids at one place of each row, (B,)."""
        return places if self.ids is None else self.ids[np.arange(len(places)), places]

    def spread(self, size: int) -> Floats:
        """The logs of all tokens of a vocabulary, (B, V)."""
        if self.ids is None:
            return self.logs
        logs = np.full((len(self.logs), size), -np.inf)
        row, place = np.nonzero(self.logs > -np.inf)
        logs[row, self.ids[row, place]] = self.logs[row, place]
        return logs


def margin_of(given: Candidates) -> float:
    """How far apart two logs must be for their order to be sure; 0 where they are exact."""
    return 2 * given.error * (1 + 1e-9) + 1e-9 if given.error else 0.0


def growth_of(margin: float) -> float:
    """How many times more or less a mass may be, of that of all."""
    return float(np.exp(min(margin, 700.0)) * (1 + 1e-6)) if margin else 1.0


def is_certain(given: Candidates) -> bool:
    """Whether the set is known for sure."""
    return given.sure is None or bool((given.sure | (given.logs == -np.inf)).all())


def short(given: Candidates) -> Candidates:
    """The candidates, ranked unless they are a long vocabulary."""
    return given if given.ids is None and given.logs.shape[1] > top_k.LONG else ranked(given)


def highest_of(given: Candidates) -> Any:
    """The highest of each row's logs, (B, 1)."""
    return given.logs.max(axis=1, keepdims=True) if given.ids is None else given.logs[:, :1]


def ranked(given: Candidates, shortlist: Callable[[int], I64] | None = None) -> Candidates:
    """The candidates, most probable first; of a long vocabulary only those that a row's shortlist names."""
    if given.ids is not None:
        return given
    rows = None
    if shortlist is not None and given.logs.shape[1] > top_k.LONG:
        rows = [shortlist(row) for row in range(len(given.logs))]
    ids, logs = top_k.ranked(given.logs, rows)
    return Candidates(ids, logs, None if given.sure is None else top_k.taken(given.sure, ids), given.error)


class Spread(NamedTuple):
    """How mass is spread over rows: masses (B, K) relative to the highest's, of which total lies (B, 1) in all.

    certain  (B, 1) the total of those that surely belong
    """

    logs: Any
    highest: Any
    masses: Any
    totals: Any
    certain: Any

    @classmethod
    def of(cls, given: Candidates) -> "Spread":
        """That of some candidates."""
        highest = highest_of(given)
        masses = np.exp(given.logs - highest)
        totals = masses.sum(axis=1, keepdims=True, dtype=np.float64)
        if given.sure is None:
            return cls(given.logs, highest, masses, totals, totals)
        certain = np.where(given.sure, masses, 0).sum(axis=1, keepdims=True, dtype=np.float64)
        return cls(given.logs, highest, masses, totals, certain)

    @property
    def log_totals(self) -> F64:
        """log sum exp l, (B, 1)."""
        found: F64 = self.highest + np.log(self.totals)
        return found

    @property
    def entropies(self) -> F64:
        """- sum p log p, in nats, (B, 1)."""
        shifted = self.logs - self.highest
        np.maximum(shifted, LOWEST, out=shifted)
        shifted *= self.masses
        mean = shifted.sum(axis=1, keepdims=True, dtype=np.float64) / self.totals
        found: F64 = np.log(self.totals) - mean
        return found

    def reaching(self, row: int, scores: Any, needed: float, margin: float, wide: float | None = None) -> I64:
        """A row's shortlist of the highest scores (V,) whose share of all mass is `needed`."""
        mass = needed * float(self.totals[row, 0]) * growth_of(margin)
        return top_k.reaching(scores, self.masses[row], mass, margin if wide is None else wide)


def entropy_error(entropies: F64, margin: float) -> F64:
    """How wrong entropies may be: p changes by a factor of e^m at most, log p by m."""
    found: F64 = math.expm1(min(margin, 700.0)) * entropies + margin
    return found


def reaching(
    scores: Any, masses: Any, spread: Spread, sure: Any, needed: float, margin: float, wide: Any = None
) -> tuple[Any, Any]:
    """Which of scores (B, K), falling, may be needed to reach a share of all mass, and which surely are.

    `wide` is how far apart scores must be for their order to be sure, the margin if not given.
    """
    upto = masses.cumsum(axis=1)
    if not margin:
        return upto - masses < needed * spread.totals, None
    wide = margin if wide is None else wide
    growth = growth_of(margin)
    certain = upto if sure is None else np.where(sure, masses, 0).cumsum(axis=1)
    enough = certain >= needed * growth * spread.totals
    last = np.where(enough, scores, -np.inf).max(axis=1, keepdims=True)
    least = needed / growth * spread.certain
    after = np.where(upto >= least, scores, -np.inf).max(axis=1, keepdims=True)
    apart = np.ones(scores.shape, dtype=np.bool_)
    apart[:, :-1] = scores[:, 1:] < scores[:, :-1] - wide  # sure to come before all that follow
    return scores >= last - wide, (upto - masses < least) & (apart | (scores > after + wide))


def at_least(given: Candidates, low: Any, high: Any) -> Candidates:
    """The candidates whose logs reach a bound that lies between low and high, (B, 1), and the most probable."""
    margin = margin_of(given)
    highest = highest_of(given)
    if given.sure is not None:
        highest = np.where(given.sure, given.logs, -np.inf).max(axis=1, keepdims=True)
    least = np.minimum(low - margin / 2, highest - margin)
    left = ranked(given, lambda row: top_k.at_least(given.logs[row], float(least[row, 0])))
    logs = left.logs
    if not margin:
        kept = logs >= low
        kept[:, 0] = True
        return cut(left, kept, None)
    surely = logs >= high + margin / 2
    surely[:, 0] |= logs[:, 0] > logs[:, 1] + margin if logs.shape[1] > 1 else True
    return cut(left, logs >= least, surely)


def cut(given: Candidates, kept: Any, surely: Any) -> Candidates:
    """Ranked candidates without those not kept, which come after all that are."""
    if given.error:
        kept &= given.logs > -np.inf
    if len(kept) == 1:
        width = int(np.count_nonzero(kept))
        logs = given.logs[:, :width]
    else:
        width = int(np.count_nonzero(kept, axis=1).max())
        logs = np.where(kept[:, :width], given.logs[:, :width], -np.inf)
    sure = given.sure if surely is None else surely if given.sure is None else given.sure & surely
    return Candidates(given.ids[:, :width], logs, None if sure is None else sure[:, :width], given.error)
