"""Filters of what may come next: from candidates to fewer candidates. Knows no model and no randomness.

Ties go to the lower id. A filter may be told that its log-probabilities are wrong by some error at most:
it then keeps all that might belong to the set, and marks those that surely do.

Shapes: B rows, K candidates, V vocabulary.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from lmkit.generation import top_k as top_k_selection
from lmkit.protocols import F64, I64, Floats

ROUNDING = 1e-7
"""How far a mass may fall short of one asked for and still reach it: models keep numbers in float32 or read them
from a few decimals, so that a probability of one half may be .499999995."""
NEAR = 1e-6
"""How far a log-probability may fall short of a bound and still reach it, for the same reason."""
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


Filter = Callable[[Candidates], Candidates]


def temperature(given: Candidates, value: float) -> Candidates:
    """l / T; T = 0 leaves the most probable token alone."""
    if value == 0:
        return top_k(given, 1)
    logs = given.logs
    rounding = 0.0
    if logs.dtype != np.float64:
        if logs.shape[1] <= top_k_selection.LONG:
            logs = logs.astype(np.float64)
        elif given.error:
            rounding = 1e-5  # of numbers that lie up to 60 nats apart, which is all that can be drawn
    with np.errstate(over="ignore"):
        tempered = (logs - logs.max(axis=1, keepdims=True)) / value
    return given._replace(logs=tempered, error=(given.error + rounding) / value)


def top_k(given: Candidates, k: int) -> Candidates:
    """The k most probable tokens, exactly k of them; 0 keeps all. Fan et al. (2018)."""
    if k == 0 or k >= given.logs.shape[1]:
        return given
    margin = _margin(given)
    if (found := _top_of_short(given, k, margin)) is not None:
        return found
    left = _ranked(given, lambda row: top_k_selection.highest(given.logs[row], k, margin))
    logs = left.logs
    if not margin:
        return Candidates(left.ids[:, :k], logs[:, :k])
    certain = logs if left.sure is None else -np.sort(-np.where(left.sure, logs, -np.inf), axis=1)
    after = logs[:, k : k + 1] if logs.shape[1] > k else -np.inf
    return _cut(left, logs >= certain[:, k - 1 : k] - margin, logs > after + margin)


def _top_of_short(given: Candidates, k: int, margin: float) -> Candidates | None:
    """`top_k` of a short vocabulary where no tie need be broken, so that nothing is ranked; else nothing."""
    logs = given.logs
    if given.ids is not None or given.sure is not None or logs.shape[1] > top_k_selection.LONG:
        return None
    rising = np.sort(logs, axis=1)
    least, after = rising[:, -k, None], rising[:, -k - 1, None]
    if margin:
        return Candidates(None, np.where(logs >= least - margin, logs, -np.inf), logs > after + margin, given.error)
    if np.count_nonzero(least > after) < len(logs):
        return None
    return Candidates(None, np.where(logs >= least, logs, -np.inf))


def top_p(given: Candidates, p: float) -> Candidates:
    """The smallest set of most probable tokens whose mass reaches p, never empty. Holtzman et al. (2020)."""
    if p >= 1:
        return given
    given, needed, margin = _short(given), max(p - ROUNDING, 1e-300), _margin(given)
    spread = _Spread.of(given)
    left = _ranked(given, lambda row: spread.reaching(row, given.logs[row], needed, margin))
    masses = spread.masses if left is given else np.exp(left.logs - spread.highest)
    return _cut(left, *_reaching(left.logs, masses, spread, left.sure, needed, margin))


def min_p(given: Candidates, share: float) -> Candidates:
    """Tokens at least `share` times as probable as the most probable: p >= share max p. Nguyen et al. (2024)."""
    if share <= 0:
        return given
    given, below = _short(given), math.log(share) - NEAR
    highest = _highest(given)
    certain = highest if given.sure is None else np.where(given.sure, given.logs, -np.inf).max(axis=1, keepdims=True)
    error = _margin(given) / 2
    return _at_least(given, certain - error + below, highest + error + below)


def typical(given: Candidates, p: float) -> Candidates:
    """The smallest set, of tokens whose surprisal is nearest to the entropy, whose mass reaches p.

    |-log p - H| rises along the set; ties go to the more probable, then to the lower id. Meister et al. (2023).
    """
    if p >= 1:
        return given
    if not _settled(given):  # the entropy is not known
        return given._replace(sure=np.zeros_like(given.sure))
    given, needed, margin = _short(given), max(p - ROUNDING, 1e-300), _margin(given)
    spread = _Spread.of(given)
    entropies = spread.entropies
    just = spread.log_totals - entropies  # the log of a token whose surprisal is the entropy
    wide = 2 * (_entropy_error(entropies, margin) + margin) if margin else None

    left = _ranked(
        given,
        lambda row: spread.reaching(
            row, -np.abs(given.logs[row] - just[row]), needed, margin, 0.0 if wide is None else float(wide[row, 0])
        ),
    )
    far = np.abs(left.logs - just)
    order = np.argsort(far, axis=1, kind="stable")
    masses = spread.masses if left is given else np.exp(left.logs - spread.highest)
    scores, masses = -top_k_selection.taken(far, order), top_k_selection.taken(masses, order)
    kept, surely = _reaching(scores, masses, spread, None, needed, margin, wide)
    kept &= masses > 0
    back = np.argsort(np.where(kept, order, left.logs.shape[1]), axis=1, kind="stable")
    order = top_k_selection.taken(order, back)  # those kept first, as they were
    ids, logs = (top_k_selection.taken(each, order) for each in (left.ids, left.logs))
    surely = None if surely is None else top_k_selection.taken(surely, back)
    return _cut(Candidates(ids, logs, None, given.error), top_k_selection.taken(kept, back), surely)


def epsilon(given: Candidates, least: float) -> Candidates:
    """Tokens of probability `least` or more, and the most probable. Hewitt et al. (2022)."""
    if least <= 0:
        return given
    given, error, bound = _short(given), _margin(given) / 2, math.log(least) - NEAR
    spread = _Spread.of(given)
    with np.errstate(divide="ignore"):  # where none is certain
        low = spread.highest + np.log(spread.certain)
    return _at_least(given, low - error + bound, spread.log_totals + error + bound)


def eta(given: Candidates, least: float) -> Candidates:
    """Tokens of probability min(e, sqrt(e) exp(-H)) or more, e = `least`, and the most probable.

    H is the entropy in nats. Hewitt et al. (2022).
    """
    if least <= 0:
        return given
    given, margin = _short(given), _margin(given)
    spread = _Spread.of(given)
    totals, entropies, log = spread.log_totals, spread.entropies, math.log(least)
    low = high = totals + np.minimum(log, log / 2 - entropies) - NEAR
    if margin:
        off = _entropy_error(entropies, margin) if _settled(given) else np.inf
        low = totals + np.minimum(log, log / 2 - entropies - off) - NEAR - margin / 2
        high = totals + np.minimum(log, log / 2 - np.maximum(entropies - off, 0)) - NEAR + margin / 2
    return _at_least(given, low, high)


# What they share.


def _margin(given: Candidates) -> float:
    """How far apart two logs must be for their order to be sure; 0 where they are exact."""
    return 2 * given.error * (1 + 1e-9) + 1e-9 if given.error else 0.0


def _growth(margin: float) -> float:
    """How many times more or less a mass may be, of that of all."""
    return float(np.exp(min(margin, 700.0)) * (1 + 1e-6)) if margin else 1.0


def _settled(given: Candidates) -> bool:
    """Whether the set is known for sure."""
    return given.sure is None or bool((given.sure | (given.logs == -np.inf)).all())


def _short(given: Candidates) -> Candidates:
    """The candidates, ranked unless they are a long vocabulary."""
    return given if given.ids is None and given.logs.shape[1] > top_k_selection.LONG else _ranked(given)


def _highest(given: Candidates) -> Any:
    """The highest of each row's logs, (B, 1)."""
    return given.logs.max(axis=1, keepdims=True) if given.ids is None else given.logs[:, :1]


def _ranked(given: Candidates, shortlist: Callable[[int], I64] | None = None) -> Candidates:
    """The candidates, most probable first; of a long vocabulary only those that a row's shortlist names."""
    if given.ids is not None:
        return given
    rows = None
    if shortlist is not None and given.logs.shape[1] > top_k_selection.LONG:
        rows = [shortlist(row) for row in range(len(given.logs))]
    ids, logs = top_k_selection.ranked(given.logs, rows)
    return Candidates(ids, logs, None if given.sure is None else top_k_selection.taken(given.sure, ids), given.error)


class _Spread(NamedTuple):
    """How mass is spread over rows: masses (B, K) relative to the highest's, of which total lies (B, 1) in all.

    certain  (B, 1) the total of those that surely belong
    """

    logs: Any
    highest: Any
    masses: Any
    totals: Any
    certain: Any

    @classmethod
    def of(cls, given: Candidates) -> "_Spread":
        """That of some candidates."""
        highest = _highest(given)
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
        mass = needed * float(self.totals[row, 0]) * _growth(margin)
        return top_k_selection.reaching(scores, self.masses[row], mass, margin if wide is None else wide)


def _entropy_error(entropies: F64, margin: float) -> F64:
    """How wrong entropies may be: p changes by a factor of e^m at most, log p by m."""
    found: F64 = math.expm1(min(margin, 700.0)) * entropies + margin
    return found


def _reaching(
    scores: Any, masses: Any, spread: _Spread, sure: Any, needed: float, margin: float, wide: Any = None
) -> tuple[Any, Any]:
    """Which of scores (B, K), falling, may be needed to reach a share of all mass, and which surely are.

    `wide` is how far apart scores must be for their order to be sure, the margin if not given.
    """
    upto = masses.cumsum(axis=1)
    if not margin:
        return upto - masses < needed * spread.totals, None
    wide = margin if wide is None else wide
    growth = _growth(margin)
    certain = upto if sure is None else np.where(sure, masses, 0).cumsum(axis=1)
    enough = certain >= needed * growth * spread.totals
    last = np.where(enough, scores, -np.inf).max(axis=1, keepdims=True)
    least = needed / growth * spread.certain
    after = np.where(upto >= least, scores, -np.inf).max(axis=1, keepdims=True)
    apart = np.ones(scores.shape, dtype=np.bool_)
    apart[:, :-1] = scores[:, 1:] < scores[:, :-1] - wide  # sure to come before all that follow
    return scores >= last - wide, (upto - masses < least) & (apart | (scores > after + wide))


def _at_least(given: Candidates, low: Any, high: Any) -> Candidates:
    """The candidates whose logs reach a bound that lies between low and high, (B, 1), and the most probable."""
    margin = _margin(given)
    highest = _highest(given)
    if given.sure is not None:
        highest = np.where(given.sure, given.logs, -np.inf).max(axis=1, keepdims=True)
    least = np.minimum(low - margin / 2, highest - margin)
    left = _ranked(given, lambda row: top_k_selection.at_least(given.logs[row], float(least[row, 0])))
    logs = left.logs
    if not margin:
        kept = logs >= low
        kept[:, 0] = True
        return _cut(left, kept, None)
    surely = logs >= high + margin / 2
    surely[:, 0] |= logs[:, 0] > logs[:, 1] + margin if logs.shape[1] > 1 else True
    return _cut(left, logs >= least, surely)


def _cut(given: Candidates, kept: Any, surely: Any) -> Candidates:
    """Ranked candidates less those not kept, which stand behind all that are."""
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
