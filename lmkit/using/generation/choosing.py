"""The choice of the next token: what is forbidden, penalties, filters, and the race of what is left.

Shapes: B places, V vocabulary.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from lmkit.errors import DataError
from lmkit.protocols import I32, Bool, Floats
from lmkit.using.generation import noise
from lmkit.using.generation.filters import Candidates, Chain


class Constraint(Protocol):
    """What a text may go on with so that the whole will be valid; changed in place."""

    def allowed(self) -> Bool:
        """Which tokens may come next, (V,); the one that ends texts only where the whole is valid.

        Raises DataError where none may.
        """

    def leads_on(self, token: int) -> bool:
        """Whether the text can end or go on behind an allowed token; one of which it can't is allowed no more."""

    def add(self, token: int) -> None:
        """The text goes on with a token."""

    @property
    def finished(self) -> bool:
        """Whether the text is valid and nothing but its end may follow."""


class Place(NamedTuple):
    """Where a token is chosen: in which text, after which tokens."""

    stream: int
    prompt: I32
    ids: Sequence[int]
    constraint: Constraint | None = None


Penalty = Callable[[Floats, Sequence[Place]], Floats]
"""From log-probabilities (B, V) and where they hold to others, not normalised; in place."""


class Chooser:
    """Names the next token of each of some places."""

    def __init__(
        self, chain: Chain, *, never: Sequence[int] = (), penalties: Sequence[Penalty] = (), greedy: bool = False
    ) -> None:
        self.chain = chain
        self.penalties = penalties
        self._never = list(never)
        self._greedy = greedy

    def candidates(self, logs: Floats, places: Sequence[Place], error: float = 0.0) -> Candidates:
        """What may come next at each place, given log-probabilities (B, V). Raises DataError where nothing may."""
        logs = logs.copy()
        logs[:, self._never] = -np.inf
        for row, place in enumerate(places):
            if place.constraint is not None:
                allowed = place.constraint.allowed()
                np.copyto(logs[row, : len(allowed)], -np.inf, where=~allowed)
                logs[row, len(allowed) :] = -np.inf
        for penalty in self.penalties:
            logs = penalty(logs, places)
        if (logs.max(axis=1, initial=-np.inf) == -np.inf).any():
            raise DataError("the model gives no token that could follow here")
        return self.chain(logs, error)

    def draw(self, candidates: Candidates, places: Sequence[Place]) -> tuple[Any, Any]:
        """One token of each place's candidates, (B,), and whether it is the one whatever errors their logs have."""
        logs = candidates.logs
        if self._greedy:
            won, sure = _highest(logs, candidates.error)
        else:
            ids = np.arange(logs.shape[1]) if candidates.ids is None else candidates.ids
            steps = [len(place.ids) for place in places]
            numbers = noise.uniforms([place.stream for place in places], steps, ids)
            won, sure = noise.race(logs, numbers, candidates.error)
        if candidates.sure is not None:
            sure &= candidates.sure[np.arange(len(won)), won]
        return candidates.token(won), sure

    def __call__(self, logs: Floats, places: Sequence[Place], error: float = 0.0) -> tuple[Any, Any]:
        """As `draw`, of the candidates; where the constraint finds that a token leads nowhere, of the others."""
        tokens, sure = self.draw(self.candidates(logs, places, error), places)
        for row, place in enumerate(places):
            while place.constraint is not None and sure[row] and not place.constraint.leads_on(int(tokens[row])):
                again = self.candidates(logs[row : row + 1], [place], error)
                tokens[row : row + 1], sure[row : row + 1] = self.draw(again, [place])
        return tokens, sure


def _highest(logs: Floats, error: float) -> tuple[Any, Any]:
    """Each row's highest number, the first of several, and whether it is so whatever the errors."""
    won = logs.argmax(axis=1)
    if not error:
        return won, np.ones(len(won), dtype=np.bool_)
    close = logs >= logs.max(axis=1, keepdims=True) - 2 * error
    return won, close.sum(axis=1) == 1
