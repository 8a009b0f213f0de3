"""Hypotheses of a search: what each continues, its probability, and what single steps say of that.

Sums of several steps at once may be wrong by some error; `ExactScorer` replaces them by those of single steps.

Shapes: B texts, V vocabulary.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from lmkit.generation.stop_strings import StopStringMatcher
from lmkit.protocols import F64, Floats, LanguageModel, State


@dataclass(eq=False, slots=True)
class Hypothesis:
    """A text: the one it continues, its last token, its nats and how wrong these may be."""

    before: Self | None
    token: int
    length: int
    nats: float
    error: float
    row: int = 0
    """Where its model's state is, among the rows run side by side."""
    transcript: StopStringMatcher | None = None
    """What it spells, where stop strings are looked for."""
    reason: str = ""
    """Why it ended, once it has."""
    state: State = None
    """By single steps, where that was asked for."""

    def tokens(self) -> list[int]:
        """All its tokens, one that ended it included."""
        found = []
        step: Hypothesis | None = self
        while step is not None and step.before is not None:
            found.append(step.token)
            step = step.before
        return found[::-1]


class Exact:
    """What single steps give; tokens of `never` are impossible."""

    def __init__(self, model: LanguageModel, never: Sequence[int]) -> None:
        self._model, self._never = model, list(never)

    def logs(self, hypothesis: Hypothesis) -> F64:
        """Log-probabilities of what may follow, (V,); the hypothesis' own sum becomes exact too."""
        self._walk(hypothesis)
        return self._next(hypothesis)

    def settle(self, hypothesis: Hypothesis) -> None:
        """Makes a sum exact."""
        if hypothesis.error:
            assert hypothesis.before is not None
            self._walk(hypothesis.before)
            self._sum(hypothesis)

    def _next(self, hypothesis: Hypothesis) -> F64:
        logs: F64 = self._model.next(hypothesis.state).copy()
        logs[self._never] = -np.inf
        return logs

    def _sum(self, hypothesis: Hypothesis) -> None:
        before = hypothesis.before
        assert before is not None
        hypothesis.nats = before.nats + float(self._next(before)[hypothesis.token])
        hypothesis.error = 0.0

    def _walk(self, hypothesis: Hypothesis) -> None:
        """Gives it a state, by single steps from the nearest before it that has one."""
        behind = []
        step = hypothesis
        while step.state is None:
            behind.append(step)
            assert step.before is not None
            step = step.before
        for step in reversed(behind):
            assert step.before is not None
            if step.error:
                self._sum(step)
            step.state = self._model.advance(step.before.state, step.token)


def doubtful(values: Floats, errors: Floats, cut: int) -> Any:
    """Which of some values, best first, may lie on the other side of a cut behind the first `cut`, as places.

    Nothing where all values near the cut are exact: their order then is what it is.
    """
    if not 0 < cut < len(values) or not errors.any():
        return np.zeros(0, dtype=np.int64)
    lowest = (values - errors)[:cut].min()
    highest = (values + errors)[cut:].max()
    near = np.concatenate(((values - errors)[:cut] <= highest, (values + errors)[cut:] >= lowest))
    return np.flatnonzero(near) if lowest <= highest and (errors[near] > 0).any() else np.zeros(0, dtype=np.int64)


def leading(values: F64, errors: F64, count: int) -> tuple[Any, bool]:
    """Flat places of values (B, V), best first, ties by place: all that may be among the first `count`.

    Also whether these are all that are possible. errors (B,) are those of each row's values.
    """
    flat = values.ravel()
    margin = 2 * float(errors.max(initial=0.0))
    threshold = -np.inf
    if count < len(flat):
        threshold = np.partition(flat, len(flat) - count)[len(flat) - count] - margin
    places = np.flatnonzero((flat >= threshold) & (flat > -np.inf))
    places = places[np.argsort(-flat[places], kind="stable")]
    if not margin and len(places) > count:
        return places[:count], False
    return places, bool(threshold == -np.inf)
