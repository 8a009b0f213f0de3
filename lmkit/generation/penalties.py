"""Penalties of tokens that were there before: log-probabilities changed before the filters see them.

No token is exempt: the ends of lines and documents are tokens as any other, and models that write lines
repeat themselves line by line. Who wants line ends to be free keeps the scope small.

Shapes: B places, V vocabulary, T tokens in the scope.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from lmkit.generation.sampler import Position
from lmkit.protocols import Floats, Ints

Scope = Literal["all", "output"] | int
"""Which tokens count: the prompt and the output, the output alone, or the last so many of the two."""


def in_scope(place: Position, scope: Scope) -> Ints:
    """The tokens that count at a place, (T,), in their order."""
    if scope == "output" or not len(place.prompt):
        ids = place.ids[-scope:] if isinstance(scope, int) else place.ids
        return np.array(ids, dtype=np.int64)
    if scope == "all":
        return np.concatenate([place.prompt, np.array(place.ids, dtype=np.int64)])
    assert isinstance(scope, int)
    before = max(scope - len(place.ids), 0)
    prompt = place.prompt[max(len(place.prompt) - before, 0) :] if before else place.prompt[:0]
    return np.concatenate([prompt, np.array(place.ids[-scope:], dtype=np.int64)])


@dataclass(frozen=True)
class Repetition:
    """l theta of tokens that were there before; l is negative, so theta > 1 makes them less probable.

    Keskar et al. (2019) divide positive logits and multiply negative ones; log-probabilities are all negative.
    """

    theta: float
    scope: Scope = "all"

    @property
    def growth(self) -> float:
        """How many times larger errors may become."""
        return max(1.0, self.theta)

    def __call__(self, logs: Floats, places: Sequence[Position]) -> Floats:
        """See `sampler.Penalty`."""
        for row, place in zip(logs, places, strict=True):
            seen = in_scope(place, self.scope)
            row[seen] = row[seen] * self.theta
        return logs


@dataclass(frozen=True)
class Presence:
    """l - a [c > 0] - b c of tokens that were there c times: a the presence, b the frequency penalty.

    The formula of OpenAI's API.
    """

    presence: float
    frequency: float
    scope: Scope = "all"
    growth: float = 1.0

    def __call__(self, logs: Floats, places: Sequence[Position]) -> Floats:
        """See `sampler.Penalty`."""
        for row, place in zip(logs, places, strict=True):
            seen = in_scope(place, self.scope)
            if not self.frequency:
                row[seen] = row[seen] - self.presence
                continue
            tokens, counts = np.unique(seen, return_counts=True)
            row[tokens] -= (self.presence + self.frequency * counts).astype(row.dtype)
        return logs


@dataclass(frozen=True)
class NoRepeat:
    """No n-gram of `size` tokens twice: what would complete one again is impossible."""

    size: int
    scope: Scope = "all"
    growth: float = 1.0

    def __call__(self, logs: Floats, places: Sequence[Position]) -> Floats:
        """See `sampler.Penalty`."""
        for row, place in zip(logs, places, strict=True):
            row[_completions(in_scope(place, self.scope), self.size)] = -np.inf
        return logs


def _completions(ids: Ints, size: int) -> Ints:
    """The tokens that followed each earlier occurrence of the last size - 1 of ids (T,)."""
    if len(ids) < size:
        return ids[:0]
    begins = np.arange(len(ids) - size + 1)
    for place in range(size - 1):
        begins = begins[ids[begins + place] == ids[len(ids) - size + 1 + place]]
    return ids[begins + size - 1]
