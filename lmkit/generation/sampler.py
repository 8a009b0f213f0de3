"""The choice of the next token: what is forbidden, penalties, filters, and the race of what is left.

Shapes: B places, V vocabulary.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from lmkit.errors import DataError
from lmkit.generation import gumbel_noise, top_k
from lmkit.generation.candidates import Candidates
from lmkit.generation.filters import Chain
from lmkit.protocols import F32, I32, Bool, Floats


class NoCandidateError(DataError):
    """No token is allowed at this position of a text."""

    def __init__(
        self, message: str = "no token can follow: all have probability zero", *, hint: str | None = None
    ) -> None:
        super().__init__(message, hint=hint)


class Constraint(Protocol):
    """What may follow in a text so that the whole will be valid; changed in place."""

    def allowed(self) -> Bool:
        """Which tokens may come next, (V,); the one that ends texts only where the whole is valid.

        Raises DataError where none may.
        """

    def can_continue(self, token: int) -> bool:
        """Whether the text can end or continue after an allowed token; one after which it can't is allowed no more."""

    def add(self, token: int) -> None:
        """Add a token to the text."""

    @property
    def finished(self) -> bool:
        """Whether the text is valid and nothing but its end may follow."""


class AdaptiveFilter(Protocol):
    """What narrows a text's candidates by what was drawn before; changed in place. Needs exact numbers."""

    def keep(self, given: Candidates) -> Candidates:
        """What may come next of one row's candidates."""

    def add(self, token: int) -> None:
        """The token that was drawn of what was kept last."""


class Position(NamedTuple):
    """Where a token is chosen: in which text, after which tokens."""

    stream: int
    prompt: I32
    ids: Sequence[int]
    constraint: Constraint | None = None
    control: AdaptiveFilter | None = None


class Penalty(Protocol):
    """A change of log-probabilities that depends on the tokens before."""

    @property
    def growth(self) -> float:
        """How many times larger it may make errors of log-probabilities."""

    def __call__(self, logs: Floats, places: Sequence[Position]) -> Floats:
        """From log-probabilities (B, V) and where they hold to others, not normalised; in place."""


class Sampler:
    """Names the next token of each of some places."""

    def __init__(
        self, chain: Chain, *, never: Sequence[int] = (), penalties: Sequence[Penalty] = (), greedy: bool = False
    ) -> None:
        self.chain = chain
        self.penalties = penalties
        self._never = list(never)
        self._greedy = greedy
        self._growth = math.prod(penalty.growth for penalty in penalties)
        self._ahead = gumbel_noise.NoisePrefetch()
        self._forbidden: F32 = np.zeros(0, dtype=np.float32)

    def candidates(self, logs: Floats, places: Sequence[Position], error: float = 0.0) -> Candidates:
        """What may come next at each place, given log-probabilities (B, V). Raises NoCandidateError."""
        if logs.shape[1] != len(self._forbidden):
            self._forbidden = np.zeros(logs.shape[1], dtype=np.float32)
            self._forbidden[self._never] = -np.inf
        logs = logs + self._forbidden
        for row, place in enumerate(places):
            if place.constraint is not None:
                allowed = place.constraint.allowed()
                np.copyto(logs[row, : len(allowed)], -np.inf, where=~allowed)
                logs[row, len(allowed) :] = -np.inf
        for penalty in self.penalties:
            logs = penalty(logs, places)
        if -math.inf in np.maximum.reduce(logs, axis=1).tolist():
            hint = "penalties may have left none: see --no-repeat-ngram and --penalty-scope" if self.penalties else None
            raise NoCandidateError(hint=hint)
        left = self.chain(logs, error * self._growth)
        return left if len(places) > 1 or places[0].control is None else places[0].control.keep(left)

    def draw(self, candidates: Candidates, places: Sequence[Position]) -> tuple[Any, Any]:
        """One token of each place's candidates, (B,), and whether it is the one whatever errors their logs have."""
        logs = candidates.logs
        if self._greedy:
            won, sure = _highest(logs, candidates.error)
        else:
            streams, steps = [place.stream for place in places], [len(place.ids) for place in places]
            size = len(self._forbidden)
            if size <= gumbel_noise.SMALL:
                late = self._ahead.late(streams, steps, size)
                late = late if candidates.ids is None else top_k.taken(late, candidates.ids)
                won, sure = _highest(logs - late, candidates.error)
            else:
                won, sure = gumbel_noise.draw(logs, streams, steps, candidates.ids, candidates.error)
        if candidates.sure is not None:
            sure &= candidates.sure[np.arange(len(won)), won]
        return candidates.token(won), sure

    def __call__(self, logs: Floats, places: Sequence[Position], error: float = 0.0) -> tuple[Any, Any]:
        """As `draw`, of the candidates; where the constraint finds that a token leads nowhere, of the others."""
        tokens, sure = self.draw(self.candidates(logs, places, error), places)
        for row, place in enumerate(places):
            while place.constraint is not None and sure[row] and not place.constraint.can_continue(int(tokens[row])):
                again = self.candidates(logs[row : row + 1], [place], error)
                tokens[row : row + 1], sure[row : row + 1] = self.draw(again, [place])
        return tokens, sure


def _highest(logs: Floats, error: float) -> tuple[Any, Any]:
    """Each row's highest number, the first of several, and whether it is so whatever the errors."""
    won = logs.argmax(axis=1)
    if not error:
        return won, won >= 0
    close = logs >= np.maximum.reduce(logs, axis=1, keepdims=True) - 2 * error
    return won, np.count_nonzero(close, axis=1) == 1
