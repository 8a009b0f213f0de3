"""Steps of texts: one text after another, or many at once with the same result.

Models do several rows at once faster than one, but round differently. Where rounding could decide which
token is drawn, the text is run alone up to there, and what it gives then counts; so every text is the one
that it would be alone, whatever is run beside it.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from lmkit.generation import batching
from lmkit.generation.candidates import Candidates
from lmkit.generation.engine import ActiveSequence, Step, attempted
from lmkit.generation.sampler import NoCandidateError, Position, Sampler
from lmkit.protocols import F64, Floats, LanguageModel, State, has_exact_states

CACHED = 1 << 24
"""Numbers in the distributions kept, of states that are met again."""


class ExactState:
    """A text run by single steps: what counts where there is doubt."""

    def __init__(self, model: LanguageModel, row: ActiveSequence) -> None:
        self._model, self._row = model, row
        self._state = row.request.state
        self._count = 0

    def state(self, more: Sequence[int] = ()) -> State:
        """Return the state after all tokens of the row so far, and after more that follow them."""
        for token in [*self._row.ids[self._count :], *more[max(0, self._count - len(self._row.ids)) :]]:
            self._state = self._model.advance(self._state, token)
        self._count = max(self._count, len(self._row.ids) + len(more))
        return self._state


StepTracer = Callable[[F64, Candidates, int], Any]
"""From the model's log-probabilities (V,), the candidates and the token drawn to what is kept of a step."""


class SequentialStepper:
    """Steps of single states, which may be watched."""

    def __init__(self, model: LanguageModel, chooser: Sampler, watch: StepTracer | None = None) -> None:
        self._model, self._chooser, self._watch = model, chooser, watch
        self._rows: list[tuple[ActiveSequence, ExactState]] = []
        self._known: dict[State, tuple[F64, Candidates]] = {}
        self._keeps = not chooser.penalties and _is_key(model.start())

    def join(self, rows: Sequence[ActiveSequence]) -> None:
        """See `Stepper.join`."""
        self._rows += [(row, ExactState(self._model, row)) for row in rows]

    def keep(self, rows: Sequence[int]) -> None:
        """See `Stepper.keep`."""
        if len(rows) < len(self._rows):
            self._rows = [self._rows[row] for row in rows]

    def step(self) -> list[Step]:
        """See `Stepper.step`."""
        return [attempted(partial(self._next, row, alone)) for row, alone in self._rows]

    def states(self) -> list[State]:
        """The state after all tokens of each row so far."""
        return [alone.state() for _, alone in self._rows]

    def _next(self, row: ActiveSequence, alone: ExactState) -> list[int]:
        place, constraint = row.place, row.request.constraint
        raw, candidates = self._candidates(alone.state(), place)
        token = int(self._chooser.draw(candidates, [place])[0][0])
        while constraint is not None and not constraint.can_continue(token):
            candidates = self._chooser.candidates(raw[None], [place])
            token = int(self._chooser.draw(candidates, [place])[0][0])
        if self._watch is not None:
            row.trace.append(self._watch(raw, candidates, token))
        return [token]

    def _candidates(self, state: State, place: Position) -> tuple[F64, Candidates]:
        """Return what may come next; of states met again it is remembered, where it depends on nothing else."""
        if not self._keeps or place.constraint is not None or place.control is not None:
            return self._computed(state, place)
        known = self._known.get(state)
        if known is None:
            known = self._computed(state, place)
            if len(self._known) >= min(1024, CACHED // len(known[0])):
                self._known.clear()
            self._known[state] = known
        return known

    def _computed(self, state: State, place: Position) -> tuple[F64, Candidates]:
        raw = self._model.next(state)
        return raw, self._chooser.candidates(raw[None], [place])


def _is_key(state: State) -> bool:
    """Whether states can be looked up, as those of few tokens can."""
    try:
        hash(state)
    except TypeError:
        return False
    return True


class BatchedStepper:
    """Steps of many rows at once."""

    def __init__(self, model: LanguageModel, chooser: Sampler) -> None:
        self._model, self._chooser = model, chooser
        self._rows = batching.rows_of(model, [])
        self._alone: list[tuple[ActiveSequence, ExactState]] = []

    def join(self, rows: Sequence[ActiveSequence]) -> None:
        """See `Stepper.join`."""
        self._rows.join([row.request.state for row in rows])
        self._alone += [(row, ExactState(self._model, row)) for row in rows]

    def step(self) -> list[Step]:
        """See `Stepper.step`."""
        logs = self._rows.next()
        error = float(batching.errors(self._model, logs).max())
        try:
            return [[token] for token in self._chosen(logs, range(len(self._alone)), error)]
        except NoCandidateError:
            rows = range(len(self._alone))
            return [attempted(partial(self._chosen, logs[row : row + 1], [row], error)) for row in rows]

    def _chosen(self, logs: Floats, rows: Sequence[int], error: float) -> list[int]:
        """A token of each of some rows. Raises NoCandidateError."""
        places = [self._alone[row][0].place for row in rows]
        tokens, sure = self._chooser(logs, places, error)
        for index in np.flatnonzero(~sure).tolist():
            exact = self._model.next(self._exact_state(rows[index]))
            tokens[index] = self._chooser(exact[None], [places[index]])[0][0]
        found: list[int] = tokens.tolist()
        return found

    def _exact_state(self, row: int) -> State:
        """The state of a row as single steps give it."""
        return self._rows.state(row) if has_exact_states(self._rows) else self._alone[row][1].state()

    def keep(self, rows: Sequence[int]) -> None:
        """See `Stepper.keep`."""
        if len(rows) < len(self._alone):
            self._rows.take(rows)
            self._alone = [self._alone[row] for row in rows]
        if rows:
            self._rows.advance([row.ids[-1] for row, _ in self._alone])
