"""Runs of a generator over prompts: requests made as they are wanted, failures told with the place they are from."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Any, NamedTuple, TypeGuard

from lmkit.commands.loading import models as opening
from lmkit.commands.records.prompts import Prompt
from lmkit.data import keyed_random
from lmkit.errors import LmkitError
from lmkit.generation import prompt_encoding
from lmkit.generation.engine import Completion, Generator, Request, TextDelta
from lmkit.generation.sampler import NoCandidateError


class RequestId(NamedTuple):
    """What a request came from: which sample of which prompt."""

    prompt: Prompt
    sample: int

    @property
    def id(self) -> Any:
        """What a record of it is known by; without a FILE samples are counted."""
        return self.prompt.id if self.prompt.place else self.sample


@dataclass(frozen=True)
class RequestBuilder:
    """Makes requests of prompts, `number` of each."""

    model: Any
    seed: int
    number: int = 1
    window: bool = False
    more: Callable[[Prompt], Mapping[str, Any]] = lambda _prompt: {}
    """What else the request of each text of a prompt has, such as a constraint."""

    def requests(self, group: Iterable[Prompt]) -> Iterator[Request]:
        """The requests of each prompt. Raises DataError, with the prompt's place, where the model can't see one."""
        for prompt in group:
            with _place_of(prompt):
                ids = prompt_encoding.seen(self.model, prompt.text, window=self.window)
            after = cache(partial(prompt_encoding.state_after, self.model, ids))
            for sample in range(self.number):
                stream = keyed_random.stream_of(self.seed, prompt.key, sample)
                with _place_of(prompt):
                    more = self.more(prompt)
                yield Request(stream, ids, after, label=RequestId(prompt, sample), **more)


def _place_of(prompt: Prompt) -> AbstractContextManager[None]:
    """Puts a prompt's place in front of what is wrong with it."""
    return opening.error_context(prompt.place) if prompt.place else nullcontext()


class Until:
    """Items up to the first that fails, whose failure is kept while those before it are worked on."""

    def __init__(self, items: Iterator[Request]) -> None:
        self._items = items
        self.failure: LmkitError | None = None

    def __iter__(self) -> Iterator[Request]:
        try:
            yield from self._items
        except LmkitError as error:
            self.failure = error


def is_finished(event: TextDelta | Completion) -> TypeGuard[Completion]:
    """Whether a text is told to be done."""
    return isinstance(event, Completion)


def run_requests(
    generator: Generator, asking: RequestBuilder, groups: Iterable[Iterable[Prompt]]
) -> Iterator[TextDelta | Completion]:
    """Yield what becomes of each prompt, in order.

    Raises DataError as `RequestBuilder` does, and where nothing can follow.
    """
    for group in groups:
        requests = Until(asking.requests(group))
        yield from _named(generator, requests)
        if requests.failure is not None:
            raise requests.failure


def _named(generator: Generator, requests: Iterable[Request]) -> Iterator[TextDelta | Completion]:
    """The generator's events; several texts of one request, as beams give them, are numbered."""
    pending: dict[int, Prompt] = {}
    last: Request | None = None
    count = 0

    def noted() -> Iterator[Request]:
        for request in requests:
            pending[request.stream] = request.label.prompt
            yield request

    try:
        for event in generator.run(noted()):
            if isinstance(event, Completion):
                pending.pop(event.request.stream, None)
                count = count + 1 if event.request is last else 0
                last = event.request
                if count:
                    event = replace(event, request=replace(last, label=RequestId(last.label.prompt, count)))
            yield event
    except NoCandidateError as error:
        place = pending[error.stream].place if error.stream in pending else ""
        raise NoCandidateError(error.stream, place, error.hint) from None
