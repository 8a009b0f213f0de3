"""The choice of the next token: what is forbidden, penalties, filters, and the race of what is left.

Shapes: B places, V vocabulary.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from lmkit.errors import DataError
from lmkit.protocols import I32, Bool, Floats
from lmkit.using.generation import noise
from lmkit.using.generation.chains import Chain
from lmkit.using.generation.filters import Candidates


class NothingFollows(DataError):
    """At some place of a text, told by its stream, no token may come next."""

    def __init__(self, stream: int, where: str = "", hint: str | None = None) -> None:
        place = f"{where}: " if where else ""
        super().__init__(f"{place}the model gives no token that could follow here", hint=hint)
        self.stream = stream


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


class Control(Protocol):
    """What narrows a text's candidates by what was drawn before; changed in place. Needs exact numbers."""

    def keep(self, given: Candidates) -> Candidates:
        """What may come next of one row's candidates."""

    def add(self, token: int) -> None:
        """The token that was drawn of what was kept last."""


class Place(NamedTuple):
    """Where a token is chosen: in which text, after which tokens."""

    stream: int
    prompt: I32
    ids: Sequence[int]
    constraint: Constraint | None = None
    control: Control | None = None


class Penalty(Protocol):
    """A change of log-probabilities that hangs on the tokens before."""

    @property
    def growth(self) -> float:
        """How many times larger it may make errors of log-probabilities."""

    def __call__(self, logs: Floats, places: Sequence[Place]) -> Floats:
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
        self._growth = math.prod(penalty.growth for penalty in penalties)
        self._ahead = noise.Ahead()
        self._size = 0

    def candidates(self, logs: Floats, places: Sequence[Place], error: float = 0.0) -> Candidates:
        """What may come next at each place, given log-probabilities (B, V). Raises NothingFollows where nothing may."""
        self._size = logs.shape[1]
        logs = logs.copy()
        if self._never:
            logs[:, self._never] = -np.inf
        for row, place in enumerate(places):
            if place.constraint is not None:
                allowed = place.constraint.allowed()
                np.copyto(logs[row, : len(allowed)], -np.inf, where=~allowed)
                logs[row, len(allowed) :] = -np.inf
        for penalty in self.penalties:
            logs = penalty(logs, places)
        highest = logs.max(axis=1, initial=-np.inf)
        if highest.min() == -np.inf:
            hint = "penalties may have left none: see --no-repeat-ngram and --penalty-scope" if self.penalties else None
            raise NothingFollows(places[int(highest.argmin())].stream, hint=hint)
        left = self.chain(logs, error * self._growth)
        return left if len(places) > 1 or places[0].control is None else places[0].control.keep(left)

    def draw(self, candidates: Candidates, places: Sequence[Place]) -> tuple[Any, Any]:
        """One token of each place's candidates, (B,), and whether it is the one whatever errors their logs have."""
        logs = candidates.logs
        if self._greedy:
            won, sure = _highest(logs, candidates.error)
        elif len(places) == 1 and not candidates.error and self._size <= noise.SMALL:
            late = self._ahead.late(places[0].stream, len(places[0].ids), self._size)
            times = logs[0] - (late if candidates.ids is None else late[candidates.ids[0]])
            won, sure = times.argmax(keepdims=True), np.ones(1, dtype=np.bool_)
        else:
            streams, steps = [place.stream for place in places], [len(place.ids) for place in places]
            won, sure = noise.draw(logs, streams, steps, candidates.ids, candidates.error)
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
