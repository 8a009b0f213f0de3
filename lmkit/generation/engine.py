"""Texts generated token by token: several at once, each the same as alone, told in order as they grow.

Models do several rows at once faster than one, but round differently. Where rounding could decide which
token is drawn, the text is run alone up to there, and what it gives then counts; so every text is the one
that it would be alone, whatever is run beside it.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from typing import Any, NamedTuple, Protocol

import numpy as np

from lmkit.generation import batching
from lmkit.generation.candidates import Candidates
from lmkit.generation.prompt_encoding import ends_of
from lmkit.generation.sampler import AdaptiveFilter, Constraint, NoCandidateError, Position, Sampler
from lmkit.generation.stop_strings import StopStringMatcher
from lmkit.protocols import F64, I32, Floats, State

CACHED = 1 << 24
"""Numbers in the distributions kept, of states that are met again."""


@dataclass(frozen=True)
class Request:
    """One text to be generated: after which prompt, and from which stream of random numbers."""

    stream: int
    prompt: I32
    after: Callable[[], State]
    """Gives the state after the prompt, when and where the text is begun."""
    constraint: Constraint | None = None
    label: Any = None
    """Whatever the caller knows it by."""
    control: AdaptiveFilter | None = None
    """Where there is one, the text is to be run by `SequentialStepper`."""

    @cached_property
    def state(self) -> State:
        """The state after the prompt."""
        return self.after()


@dataclass(frozen=True)
class Completion:
    """One continuation: its ids without the one that ended it, and why it ended (`eos`, `stop`, `length`)."""

    request: Request
    ids: list[int]
    text: bytes
    finish_reason: str
    trace: list[Any]
    closing: tuple[int, ...]
    """The token that ended it, if one did."""

    def nats(self, model: Any) -> float:
        """Its log-probability, the end's included, under the model; scored alone, so that it is always the same."""
        return float(batching.score_after(model, self.request.state, [*self.ids, *self.closing]).sum())


class TextDelta(NamedTuple):
    """More of the text that is told at the moment."""

    request: Request
    text: bytes


@dataclass
class ActiveSequence:
    """A text that goes on token by token."""

    request: Request
    ids: list[int] = field(default_factory=list)
    trace: list[Any] = field(default_factory=list)

    @cached_property
    def place(self) -> Position:
        """Where its next token is chosen, now and later: it knows the row's own list of tokens."""
        request = self.request
        return Position(request.stream, request.prompt, self.ids, request.constraint, request.control)


@dataclass(kw_only=True)
class GeneratingText(ActiveSequence):
    """A row that knows when it ends."""

    transcript: StopStringMatcher
    finish_reason: str = ""
    closing: tuple[int, ...] = ()
    failure: NoCandidateError | None = None

    def take(self, tokens: Sequence[int] | NoCandidateError, ends: Sequence[int], most: int) -> None:
        """Adds tokens until it ends: by a token that ends texts, a stop string, its constraint or its length."""
        if isinstance(tokens, NoCandidateError):
            self.finish_reason, self.failure = "failure", tokens
            return
        constraint, control = self.request.constraint, self.request.control
        for token in tokens:
            if token in ends:
                self.finish_reason, self.closing = "eos", (token,)
                return
            self.ids.append(token)
            if constraint is not None:
                constraint.add(token)
            if control is not None:
                control.add(token)
            if self.transcript.add(token) or (constraint is not None and constraint.finished):
                self.finish_reason = "stop"
            elif len(self.ids) == most:
                self.finish_reason = "length"
            if self.finish_reason:
                return


class Stepper(Protocol):
    """Goes on with rows."""

    def step(self) -> Sequence[Sequence[int] | NoCandidateError]:
        """The next tokens of each row, one at least, or that there is none. Those of one row alone may raise that."""

    def keep(self, rows: Sequence[int]) -> None:
        """Only these rows go on, behind the tokens that the last step gave."""

    def join(self, rows: Sequence[ActiveSequence]) -> None:
        """More rows."""


class ExactState:
    """A text run by single steps: what counts where there is doubt."""

    def __init__(self, model: Any, row: ActiveSequence) -> None:
        self._model, self._row = model, row
        self._state = row.request.state
        self._count = 0

    def state(self, more: Sequence[int] = ()) -> State:
        """The state after all tokens of the row so far, and after those with which it will go on."""
        for token in [*self._row.ids[self._count :], *more[max(0, self._count - len(self._row.ids)) :]]:
            self._state = self._model.advance(self._state, token)
        self._count = max(self._count, len(self._row.ids) + len(more))
        return self._state


StepTracer = Callable[[F64, Candidates, int], Any]
"""Told of the model's log-probabilities (V,), the candidates and the token drawn: what is kept of a step."""


class SequentialStepper:
    """Steps of single states, which may be watched."""

    def __init__(self, model: Any, chooser: Sampler, watch: StepTracer | None = None) -> None:
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

    def step(self) -> list[list[int] | NoCandidateError]:
        """See `Stepper.step`."""
        return [self._next(row, alone) for row, alone in self._rows]

    def _next(self, row: ActiveSequence, alone: ExactState) -> list[int] | NoCandidateError:
        try:
            return [self._token(row, alone)]
        except NoCandidateError as failure:
            return failure

    def _token(self, row: ActiveSequence, alone: ExactState) -> int:
        place, constraint = row.place, row.request.constraint
        raw, candidates = self._candidates(alone.state(), place)
        token = int(self._chooser.draw(candidates, [place])[0][0])
        while constraint is not None and not constraint.leads_on(token):
            candidates = self._chooser.candidates(raw[None], [place])
            token = int(self._chooser.draw(candidates, [place])[0][0])
        if self._watch is not None:
            row.trace.append(self._watch(raw, candidates, token))
        return token

    def _candidates(self, state: State, place: Position) -> tuple[F64, Candidates]:
        """What may come next; of states met again it is known, where it hangs on nothing else."""
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

    def __init__(self, model: Any, chooser: Sampler) -> None:
        self._model, self._chooser = model, chooser
        self._rows = batching.rows_of(model, [])
        self._alone: list[tuple[ActiveSequence, ExactState]] = []

    def join(self, rows: Sequence[ActiveSequence]) -> None:
        """See `Stepper.join`."""
        self._rows.join([row.request.state for row in rows])
        self._alone += [(row, ExactState(self._model, row)) for row in rows]

    def step(self) -> list[list[int] | NoCandidateError]:
        """See `Stepper.step`."""
        logs = self._rows.next()
        error = float(batching.errors(self._model, logs).max())
        try:
            return [[token] for token in self._chosen(logs, self._alone, error)]
        except NoCandidateError:
            return [self._next(logs[row : row + 1], alone, error) for row, alone in enumerate(self._alone)]

    def _next(
        self, log: Floats, alone: tuple[ActiveSequence, ExactState], error: float
    ) -> list[int] | NoCandidateError:
        try:
            return self._chosen(log, [alone], error)
        except NoCandidateError as failure:
            return failure

    def _chosen(self, logs: Floats, rows: Sequence[tuple[ActiveSequence, ExactState]], error: float) -> list[int]:
        """A token of each row. Raises NothingFollows."""
        places = [row.place for row, _ in rows]
        tokens, sure = self._chooser(logs, places, error)
        for index in np.flatnonzero(~sure).tolist():
            exact = self._model.next(rows[index][1].state())
            tokens[index] = self._chooser(exact[None], [places[index]])[0][0]
        found: list[int] = tokens.tolist()
        return found

    def keep(self, rows: Sequence[int]) -> None:
        """See `Stepper.keep`."""
        if len(rows) < len(self._alone):
            self._rows.take(rows)
            self._alone = [self._alone[row] for row in rows]
        if rows:
            self._rows.advance([row.ids[-1] for row, _ in self._alone])


class Generator:
    """Generates texts with a model, at most `batch` at once; `growing`: they are told of as they grow."""

    def __init__(
        self, model: Any, stepper: Stepper, *, most: int, stops: Sequence[bytes] = (), batch: int = 1,
        growing: bool = True,
    ) -> None:  # fmt: skip
        self._model, self._stepper, self._growing = model, stepper, growing
        self._most, self._stops, self._batch = most, stops, batch
        self._ends = ends_of(model.form)

    def run(self, requests: Iterable[Request]) -> Iterator[TextDelta | Completion]:
        """Each request's text as it grows, and when it is done; in the order of the requests.

        Raises NothingFollows at the first that nothing can follow, when all before it are told.
        """
        waiting = iter(requests)
        active: list[GeneratingText] = []
        untold: list[GeneratingText] = []
        while True:
            new = [self._row(request) for request in islice(waiting, self._batch - len(active))]
            begun = [row for row in new if not row.finish_reason]
            if begun:
                self._stepper.join(begun)
            active += begun
            untold += new
            if not untold:
                return
            going: list[int] = []
            if active:
                for row, tokens in zip(active, self._stepper.step(), strict=True):
                    row.take(tokens, self._ends, self._most)
                going = [index for index, row in enumerate(active) if not row.finish_reason]
            active = [active[index] for index in going]
            yield from self._told(untold)
            self._stepper.keep(going)

    def _row(self, request: Request) -> GeneratingText:
        row = GeneratingText(
            request, transcript=StopStringMatcher(self._model.tokenizer, self._model.form, self._stops)
        )
        if request.constraint is not None and request.constraint.finished:  # nothing is all that it may be
            row.finish_reason = "stop"
        return row

    def _told(self, untold: list[GeneratingText]) -> Iterator[TextDelta | Completion]:
        """What can be told of the rows that came first; those told to their end are left out."""
        while untold:
            row = untold[0]
            if self._growing:
                text = row.transcript.rest() if row.finish_reason else row.transcript.settled()
                if text:
                    yield TextDelta(row.request, text)
            if not row.finish_reason:
                return
            if row.failure is not None:
                raise row.failure
            yield Completion(row.request, row.ids, row.transcript.text, row.finish_reason, row.trace, row.closing)
            untold.pop(0)
