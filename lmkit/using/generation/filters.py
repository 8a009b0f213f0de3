"""Filters of what may come next: from candidates to fewer candidates. Knows no model and no randomness.

Ties go to the lower id. A filter may be told that its log-probabilities are wrong by some error at most:
it then keeps all that might belong to the set, and marks those that surely do.

Shapes: B rows, K candidates, V vocabulary.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lmkit.errors import UsageError
from lmkit.protocols import Floats

FILTERS = ("temperature", "top-k", "top-p")
"""In the order in which they are applied if nothing else is asked for."""
SHORT = {"temp": "temperature"}
ROUNDING = 1e-7
"""How far a mass may fall short of --top-p and still reach it: models keep numbers in float32 or read them from
a few decimals, so that a probability of one half may be .499999995."""


@dataclass(frozen=True)
class Candidates:
    """Tokens that may come next.

    ids    (B, K) rising in each row, or none where they are all the vocabulary's
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


Filter = Callable[[Candidates], Candidates]


def temperature(given: Candidates, value: float) -> Candidates:
    """l / T; T = 0 leaves the most probable token alone."""
    if value == 0:
        return top_k(given, 1)
    highest = given.logs.max(axis=1, keepdims=True)
    with np.errstate(over="ignore"):
        return replace(given, logs=(given.logs - highest) / value, error=given.error / value)


def top_k(given: Candidates, k: int) -> Candidates:
    """The k most probable tokens, exactly k of them; 0 keeps all. Fan et al. (2018)."""
    size = given.logs.shape[1]
    if k == 0 or k >= size:
        return given
    logs = given.logs
    threshold = np.partition(logs, size - k, axis=1)[:, size - k, None]
    if given.error:
        margin = 2 * given.error
        return _kept(given, logs >= threshold - margin, logs > threshold + margin)
    above = logs > threshold
    ties = logs == threshold
    kept = above | (ties & (np.cumsum(ties, axis=1) <= k - above.sum(axis=1, keepdims=True)))
    return _kept(given, kept, None)


def top_p(given: Candidates, p: float) -> Candidates:
    """The smallest set of most probable tokens whose mass reaches p, never empty. Holtzman et al. (2020)."""
    if p >= 1:
        return given
    order = np.argsort(-given.logs, axis=1, kind="stable")
    falling = np.take_along_axis(given.logs, order, axis=1).astype(np.float64)
    masses = np.exp(falling - falling[:, :1])
    masses /= masses.sum(axis=1, keepdims=True)
    before = np.cumsum(masses, axis=1) - masses
    margin = 2 * given.error
    kept = before < p - ROUNDING + margin
    kept[:, 0] = True
    found = np.empty_like(kept)
    np.put_along_axis(found, order, kept, axis=1)
    if not margin:
        return _kept(given, found, None)
    surely = before < p - ROUNDING - margin
    last = np.where(surely, falling, np.inf).min(axis=1, keepdims=True)
    return _kept(given, found | (given.logs >= last - margin), given.logs > last + margin)


def _kept(given: Candidates, kept: Any, surely: Any) -> Candidates:
    """Candidates less those not kept."""
    logs = np.where(kept, given.logs, -np.inf)
    sure = given.sure if surely is None else surely if given.sure is None else given.sure & surely
    return replace(given, logs=logs, sure=sure)


class Chain:
    """Filters one after another, each of what the one before left."""

    def __init__(self, steps: Sequence[tuple[str, Filter]]) -> None:
        self.names = [name for name, _ in steps]
        self._steps = [apply for _, apply in steps]

    def __call__(self, logs: Floats, error: float = 0.0) -> Candidates:
        """What is left of distributions (B, V) whose log-probabilities are wrong by `error` at most."""
        left = Candidates(None, logs, None, error)
        for apply in self._steps:
            left = apply(left)
        return left


def chain(*, temperature_: float = 1.0, k: int = 0, p: float = 1.0, order: str = ",".join(FILTERS)) -> Chain:
    """The filters in the order of a list such as `temperature,top-k,top-p`. Raises UsageError."""
    names = [SHORT.get(name.strip(), name.strip()) for name in order.split(",")]
    if sorted(names) != sorted(FILTERS):
        raise UsageError(f"--order {order!r} does not name each of {', '.join(FILTERS)} once")
    makers: dict[str, Filter] = {
        "temperature": lambda given: temperature(given, temperature_),
        "top-k": lambda given: top_k(given, k),
        "top-p": lambda given: top_p(given, p),
    }
    return Chain([(name, makers[name]) for name in names])
