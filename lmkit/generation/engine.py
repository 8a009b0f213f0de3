"""Texts generated token by token: several at once, each the same as alone, reported in order as they grow."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from typing import Any, NamedTuple, Protocol

from lmkit.errors import LmkitError
from lmkit.generation import batching
from lmkit.generation.prompt_encoding import ends_of
from lmkit.generation.sampler import AdaptiveFilter, Constraint, NoCandidateError, Position
from lmkit.generation.stop_strings import StopStringMatcher
from lmkit.protocols import I32, LanguageModel, State


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
    source: I32 | None = None
    """What the text is a target of, where the model is an encoder-decoder's."""

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
    rank: int = 0
    """Its place among the texts of one request, as searches find several."""

    def nats(self, model: LanguageModel) -> float:
        """Its log-probability, the end's included, under the model; scored alone, so that it is always the same."""
        return float(batching.score_after(model, self.request.state, [*self.ids, *self.closing]).sum())


class TextDelta(NamedTuple):
    """More of the text that is reported at the moment."""

    request: Request
    text: bytes


class Failed(NamedTuple):
    """A text that no token can follow, or a request that could not be made; all texts before it are reported."""

    error: LmkitError
    request: Request | None = None


Event = TextDelta | Completion | Failed


class TextGenerator(Protocol):
    """Generates texts: by `Generator`, or by a search."""

    def run(self, requests: Iterable[Request | Failed]) -> Iterator[Event]:
        """What becomes of requests, in their order; of one that could not be made, that."""


def completions(events: Iterable[Event]) -> Iterator[Completion]:
    """The texts among events as they are done. Raises what the first that failed did so by."""
    for event in events:
        if isinstance(event, Failed):
            raise event.error
        if isinstance(event, Completion):
            yield event


@dataclass
class ActiveSequence:
    """A text that grows token by token."""

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

    def take(self, tokens: "Step", ends: Sequence[int], most: int) -> None:
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


Step = Sequence[int] | NoCandidateError
"""The next tokens of a row (at least one), or an error if no token can follow."""


def attempted(step: Callable[[], Sequence[int]]) -> Step:
    """What a row's step gives, or that it has none."""
    try:
        return step()
    except NoCandidateError as failure:
        return failure


class Stepper(Protocol):
    """Continues with rows."""

    def step(self) -> Sequence[Step]:
        """The next tokens of each row."""

    def keep(self, rows: Sequence[int]) -> None:
        """Keep only these rows, after the tokens that the last step gave."""

    def join(self, rows: Sequence[ActiveSequence]) -> None:
        """More rows."""


class Generator:
    """Generates texts with a model, at most `batch` at once; `growing`: they are reported as they grow."""

    def __init__(
        self, model: LanguageModel, stepper: Stepper, *, most: int, stops: Sequence[bytes] = (), batch: int = 1,
        growing: bool = True,
    ) -> None:  # fmt: skip
        self.stepper = stepper
        self._model, self._growing = model, growing
        self._most, self._stops, self._batch = most, stops, batch
        self._ends = ends_of(model.form)

    def run(self, requests: Iterable[Request | Failed]) -> Iterator[Event]:
        """Each request's text as it grows, and when it is done or failed; in the order of the requests."""
        waiting = iter(requests)
        active: list[GeneratingText] = []
        unreported: list[GeneratingText | Failed] = []
        while True:
            new = [self._row(request) for request in islice(waiting, self._batch - len(active))]
            begun = [row for row in new if isinstance(row, GeneratingText) and not row.finish_reason]
            if begun:
                self.stepper.join(begun)
            active += begun
            unreported += new
            if not unreported:
                return
            going: list[int] = []
            if active:
                for row, tokens in zip(active, self.stepper.step(), strict=True):
                    row.take(tokens, self._ends, self._most)
                going = [index for index, row in enumerate(active) if not row.finish_reason]
            active = [active[index] for index in going]
            yield from self._events(unreported)
            self.stepper.keep(going)

    def _row(self, request: Request | Failed) -> GeneratingText | Failed:
        if isinstance(request, Failed):
            return request
        transcript = StopStringMatcher(self._model.tokenizer, self._model.form, self._stops)
        row = GeneratingText(request, transcript=transcript)
        if request.constraint is not None and request.constraint.finished:  # nothing is all that it may be
            row.finish_reason = "stop"
        return row

    def _events(self, unreported: list[GeneratingText | Failed]) -> Iterator[Event]:
        """What can be reported of the rows that came first; those reported to their end are left out."""
        while unreported:
            row = unreported[0]
            if isinstance(row, GeneratingText):
                if self._growing:
                    text = row.transcript.rest() if row.finish_reason else row.transcript.settled()
                    if text:
                        yield TextDelta(row.request, text)
                if not row.finish_reason:
                    return
            unreported.pop(0)
            yield row if isinstance(row, Failed) else _ending(row)


def _ending(row: GeneratingText) -> Completion | Failed:
    """How a text that has ended did so."""
    if row.failure is not None:
        return Failed(row.failure, row.request)
    return Completion(row.request, row.ids, row.transcript.text, row.finish_reason, row.trace, row.closing)
