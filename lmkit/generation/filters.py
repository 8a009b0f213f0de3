"""Filters of what may come next: from candidates to fewer candidates, one filter after another.

A new one is a function here and an option of the same name in `commands.options.sampling`. Knows no model and no
randomness.

Shapes: B rows, K candidates, V vocabulary.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np

from lmkit.errors import UsageError
from lmkit.generation import top_k as top_k_selection
from lmkit.generation.candidates import (
    Candidates,
    Spread,
    at_least,
    cut,
    entropy_error,
    highest_of,
    is_certain,
    margin_of,
    ranked,
    reaching,
    short,
)
from lmkit.protocols import Floats

ROUNDING = 1e-7
"""How far a mass may fall short of one asked for and still reach it: models keep numbers in float32 or read them
from a few decimals, so that a probability of one half may be .499999995."""
NEAR = 1e-6
"""How far a log-probability may fall short of a bound and still reach it, for the same reason."""
SHORT = {"temp": "temperature"}
"""Other names that an order may have."""

Apply = TypeVar("Apply", bound=Callable[[Candidates, Any], Candidates])


class Filter(NamedTuple):
    """A filter and the value at which it keeps everything."""

    apply: Callable[[Candidates, Any], Candidates]
    off: float


FILTERS: dict[str, Filter] = {}
"""Each filter by its name, in the order in which they are applied if nothing else is asked for."""


def sampling_filter(*, off: float) -> Callable[[Apply], Apply]:
    """Make a function a filter, which is off at a value; its name has hyphens for underscores."""

    def registered(apply: Apply) -> Apply:
        FILTERS[apply.__name__.replace("_", "-")] = Filter(apply, off)
        return apply

    return registered


@sampling_filter(off=1.0)
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


@sampling_filter(off=0)
def top_k(given: Candidates, k: int) -> Candidates:
    """The k most probable tokens, exactly k of them; 0 keeps all. Fan et al. (2018)."""
    if k == 0 or k >= given.logs.shape[1]:
        return given
    margin = margin_of(given)
    if (found := _top_of_short(given, k, margin)) is not None:
        return found
    left = ranked(given, lambda row: top_k_selection.highest(given.logs[row], k, margin))
    logs = left.logs
    if not margin:
        return Candidates(left.ids[:, :k], logs[:, :k])
    certain = logs if left.sure is None else -np.sort(-np.where(left.sure, logs, -np.inf), axis=1)
    after = logs[:, k : k + 1] if logs.shape[1] > k else -np.inf
    return cut(left, logs >= certain[:, k - 1 : k] - margin, logs > after + margin)


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


@sampling_filter(off=1.0)
def top_p(given: Candidates, p: float) -> Candidates:
    """The smallest set of most probable tokens whose mass reaches p, never empty. Holtzman et al. (2020)."""
    if p >= 1:
        return given
    given, needed, margin = short(given), max(p - ROUNDING, 1e-300), margin_of(given)
    spread = Spread.of(given)
    left = ranked(given, lambda row: spread.reaching(row, given.logs[row], needed, margin))
    masses = spread.masses if left is given else np.exp(left.logs - spread.highest)
    return cut(left, *reaching(left.logs, masses, spread, left.sure, needed, margin))


@sampling_filter(off=0.0)
def min_p(given: Candidates, share: float) -> Candidates:
    """Tokens at least `share` times as probable as the most probable: p >= share max p. Nguyen et al. (2024)."""
    if share <= 0:
        return given
    given, below = short(given), math.log(share) - NEAR
    highest = highest_of(given)
    certain = highest if given.sure is None else np.where(given.sure, given.logs, -np.inf).max(axis=1, keepdims=True)
    error = margin_of(given) / 2
    return at_least(given, certain - error + below, highest + error + below)


@sampling_filter(off=1.0)
def typical(given: Candidates, p: float) -> Candidates:
    """The smallest set, of tokens whose surprisal is nearest to the entropy, whose mass reaches p.

    |-log p - H| rises along the set; ties go to the more probable, then to the lower id. Meister et al. (2023).
    """
    if p >= 1:
        return given
    if not is_certain(given):  # the entropy is not known
        return given._replace(sure=np.zeros_like(given.sure))
    given, needed, margin = short(given), max(p - ROUNDING, 1e-300), margin_of(given)
    spread = Spread.of(given)
    entropies = spread.entropies
    just = spread.log_totals - entropies  # the log of a token whose surprisal is the entropy
    wide = 2 * (entropy_error(entropies, margin) + margin) if margin else None

    left = ranked(
        given,
        lambda row: spread.reaching(
            row, -np.abs(given.logs[row] - just[row]), needed, margin, 0.0 if wide is None else float(wide[row, 0])
        ),
    )
    far = np.abs(left.logs - just)
    order = np.argsort(far, axis=1, kind="stable")
    masses = spread.masses if left is given else np.exp(left.logs - spread.highest)
    scores, masses = -top_k_selection.taken(far, order), top_k_selection.taken(masses, order)
    kept, surely = reaching(scores, masses, spread, None, needed, margin, wide)
    kept &= masses > 0
    back = np.argsort(np.where(kept, order, left.logs.shape[1]), axis=1, kind="stable")
    order = top_k_selection.taken(order, back)  # those kept first, as they were
    ids, logs = (top_k_selection.taken(each, order) for each in (left.ids, left.logs))
    surely = None if surely is None else top_k_selection.taken(surely, back)
    return cut(Candidates(ids, logs, None, given.error), top_k_selection.taken(kept, back), surely)


@sampling_filter(off=0.0)
def epsilon(given: Candidates, least: float) -> Candidates:
    """Tokens of probability `least` or more, and the most probable. Hewitt et al. (2022)."""
    if least <= 0:
        return given
    given, error, bound = short(given), margin_of(given) / 2, math.log(least) - NEAR
    spread = Spread.of(given)
    with np.errstate(divide="ignore"):  # where none is certain
        low = spread.highest + np.log(spread.certain)
    return at_least(given, low - error + bound, spread.log_totals + error + bound)


@sampling_filter(off=0.0)
def eta(given: Candidates, least: float) -> Candidates:
    """Tokens of probability min(e, sqrt(e) exp(-H)) or more, e = `least`, and the most probable.

    H is the entropy in nats. Hewitt et al. (2022).
    """
    if least <= 0:
        return given
    given, margin = short(given), margin_of(given)
    spread = Spread.of(given)
    totals, entropies, log = spread.log_totals, spread.entropies, math.log(least)
    low = high = totals + np.minimum(log, log / 2 - entropies) - NEAR
    if margin:
        off = entropy_error(entropies, margin) if is_certain(given) else np.inf
        low = totals + np.minimum(log, log / 2 - entropies - off) - NEAR - margin / 2
        high = totals + np.minimum(log, log / 2 - np.maximum(entropies - off, 0)) - NEAR + margin / 2
    return at_least(given, low, high)


class Filtering:
    """The filters that are asked for, each by its name and off unless asked for.

    `order` names filters with commas between; those in use must be there. None: the order of FILTERS.
    """

    def __init__(self, *, order: str | None = None, **values: float) -> None:
        self._order = order
        self.values = {name: values.pop(name.replace("-", "_"), found.off) for name, found in FILTERS.items()}
        assert not values, values

    @property
    def used(self) -> list[str]:
        """The names of the filters that are on, in their usual order."""
        return [name for name, value in self.values.items() if value != FILTERS[name].off]

    @property
    def names(self) -> list[str]:
        """The names in the order in which the filters are applied. Raises UsageError for a wrong order."""
        if self._order is None:
            return self.used
        names = [SHORT.get(name.strip(), name.strip()) for name in self._order.split(",")]
        for name in names:
            if name not in FILTERS:
                raise UsageError(f"--order {self._order!r}: {name!r} is not one of {', '.join(FILTERS)}")
            if names.count(name) > 1:
                raise UsageError(f"--order {self._order!r} names {name} twice")
        for name in self.used:
            if name not in names:
                raise UsageError(f"--order {self._order!r} leaves out {name}, which is in use")
        return names

    def chain(self) -> "Chain":
        """The filters, ready to be applied. Raises UsageError."""
        return Chain([(name, self.values[name]) for name in self.names])


class Chain:
    """Filters one after another, each of what the one before left."""

    def __init__(self, steps: Sequence[tuple[str, float]] = ()) -> None:
        self.names = [name for name, _ in steps]
        self._steps = [(FILTERS[name].apply, value) for name, value in _swift(steps)]

    def __call__(self, logs: Floats, error: float = 0.0) -> Candidates:
        """What is left of distributions (B, V) whose log-probabilities are wrong by `error` at most."""
        left = Candidates(None, logs, None, error)
        for apply, value in self._steps:
            left = apply(left, value)
        return left


def _swift(steps: Sequence[tuple[str, float]]) -> list[tuple[str, float]]:
    """The same filters with less work: the k most probable are the same at any temperature, and fewer to divide."""
    swift = [(name, value) for name, value in steps if value != FILTERS[name].off]
    for place in range(len(swift) - 1):
        (first, heat), (second, _) = swift[place : place + 2]
        if (first, second) == ("temperature", "top-k") and heat > 0:
            swift[place : place + 2] = reversed(swift[place : place + 2])
    return swift
