"""Requests of prompts, and the generator that runs them; failures are raised with the place that they are from."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from functools import cache, partial
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from lmkit.commands.loading import models as opening
from lmkit.commands.options.generation import OutputOptions, SpeculativeOptions
from lmkit.commands.options.sampling import SamplingOptions
from lmkit.commands.records.prompts import Prompt
from lmkit.data import keyed_random
from lmkit.errors import LmkitError
from lmkit.generation import prompt_encoding, workers
from lmkit.generation.engine import Completion, Failed, Generator, Request, Stepper, TextDelta, TextGenerator
from lmkit.generation.step_trace import step_tracer
from lmkit.generation.steppers import BatchedStepper, SequentialStepper
from lmkit.protocols import I32, ConditionalModel, LanguageModel, State, is_conditional, supports_batching

if TYPE_CHECKING:
    from lmkit.generation.search_plan import SearchPlan


TOGETHER = 256
"""Sources that an encoder reads together."""


@dataclass(frozen=True)
class GeneratorBuilder:
    """Builds generators of texts of one length; `batch` texts at once at most, where that can be.

    `growing`: texts are reported as they grow. `processes` may share them.
    """

    model: LanguageModel
    most: int
    stops: Sequence[bytes]
    batch: int
    growing: bool
    processes: int

    def searching(self, plan: "SearchPlan", options: SamplingOptions) -> TextGenerator:
        """A generator that searches. Raises CheckpointError where the model can't be searched that way."""
        never = prompt_encoding.never(self.model, unknown=options.unknown)
        return plan.generator(self.model, most=self.most, stops=self.stops, never=never, penalties=options.penalties())

    def sampling(self, options: SamplingOptions, drafts: SpeculativeOptions, shown: OutputOptions) -> Generator:
        """A generator that draws, or takes the most probable token. Raises CheckpointError for a wrong draft."""
        model, batch = self.model, self.batch
        sampler = options.sampler(prompt_encoding.never(model, unknown=options.unknown))
        stepper: Stepper
        if drafts.asked:
            from lmkit.commands.generation import speculative

            stepper = speculative.stepper(drafts, model, sampler)
        elif shown.traced or options.mirostat is not None:
            tracer = step_tracer(model, most=shown.logprobs, explain=shown.explain) if shown.traced else None
            stepper = SequentialStepper(model, sampler, tracer)
        else:
            kind = BatchedStepper if supports_batching(model) and batch > 1 else SequentialStepper
            make = partial(kind, model, sampler)
            stepper = make()
            if batch > 1 and workers.pay(self.processes, batch):
                stepper = workers.Workers(
                    model, make, most=self.most, stops=self.stops, count=self.processes, before=opening.one_thread
                )
        batch = batch if isinstance(stepper, BatchedStepper | workers.Workers) else 1
        return Generator(model, stepper, most=self.most, stops=self.stops, batch=batch, growing=self.growing)


class RequestId(NamedTuple):
    """What a request came from: which sample of which prompt."""

    prompt: Prompt
    sample: int

    @property
    def id(self) -> Any:
        """What a record of it is known by; without a FILE samples are counted."""
        return self.prompt.id if self.prompt.place else self.sample


def id_of(done: Completion) -> RequestId:
    """What a text is known by; several of one request, as beams give them, are numbered."""
    label: RequestId = done.request.label
    return label._replace(sample=label.sample + done.rank)


@dataclass(frozen=True)
class RequestBuilder:
    """Makes requests of prompts, `number` of each."""

    model: LanguageModel
    seed: int
    number: int = 1
    window: bool = False
    more: Callable[[Prompt], Mapping[str, Any]] = lambda _prompt: {}
    """What else the request of each text of a prompt has, such as a constraint."""
    model_for: Callable[[Prompt], LanguageModel | None] = lambda _prompt: None
    """The model of a prompt that has one of its own, whose states advance beside those of the others."""

    def requests(self, group: Iterable[Prompt]) -> Iterator[Request | Failed]:
        """The requests of each prompt, up to one that can't be read or that the model can't see."""
        if is_conditional(self.model):
            yield from self._of_sources(self.model, group)
            return
        try:
            for prompt in group:
                with _place_of(prompt):
                    model = self.model_for(prompt) or self.model
                    ids = prompt_encoding.seen(model, prompt.text, window=self.window)
                after = cache(partial(prompt_encoding.state_after, model, ids))
                yield from self._of(prompt, ids, after)
        except LmkitError as error:
            yield Failed(error)

    def _of_sources(self, model: ConditionalModel, group: Iterable[Prompt]) -> Iterator[Request | Failed]:
        """Requests of targets; the encoder reads some prompts together, when the first of their texts is begun."""
        import numpy as np

        waiting = iter(group)
        failure: LmkitError | None = None
        nothing = np.zeros(0, dtype=np.int32)
        while failure is None:
            prompts: list[Prompt] = []
            try:
                for prompt in islice(waiting, TOGETHER):
                    prompts.append(prompt)  # what is wrong with one comes after those before it
            except LmkitError as error:
                failure = error
            sources, wrong = self._sources(model, prompts)
            failure = failure if wrong is None else wrong
            starts = cache(partial(_starts, model, sources))
            for place, (prompt, source) in enumerate(zip(prompts, sources, strict=False)):
                try:
                    yield from self._of(prompt, nothing, partial(_at, starts, place), source)
                except LmkitError as error:
                    yield Failed(error)
                    return
            if not prompts:
                break
        if failure is not None:
            yield Failed(failure)

    def _sources(self, model: ConditionalModel, prompts: Sequence[Prompt]) -> "tuple[Sequence[I32], LmkitError | None]":
        """The sources of prompts, up to the first that the model can't read, and what is wrong with that."""
        with suppress(LmkitError):
            return model.source_ids_many([prompt.text for prompt in prompts], window=self.window), None
        sources: list[I32] = []
        try:
            for prompt in prompts:
                with _place_of(prompt):
                    sources.append(model.source_ids(prompt.text, window=self.window))
        except LmkitError as error:
            return sources, error
        return sources, None

    def _of(self, prompt: Prompt, ids: I32, after: Callable[[], State], source: I32 | None = None) -> Iterator[Request]:
        """The requests of a prompt. Raises what is wrong with one of them."""
        for sample in range(self.number):
            stream = keyed_random.stream_of(self.seed, prompt.key, sample)
            with _place_of(prompt):
                more = self.more(prompt)
            yield Request(stream, ids, after, label=RequestId(prompt, sample), source=source, **more)


def _starts(model: ConditionalModel, sources: Sequence[I32]) -> list[State]:
    """The states before targets of sources."""
    return [each.start() for each in model.for_sources(sources)]


def _at(states: Callable[[], list[State]], place: int) -> State:
    return states()[place]


def _place_of(prompt: Prompt) -> AbstractContextManager[None]:
    """Puts a prompt's place in front of what is wrong with it."""
    return opening.error_context(prompt.place) if prompt.place else nullcontext()


def run_requests(
    generator: TextGenerator, builder: RequestBuilder, groups: Iterable[Iterable[Prompt]]
) -> Iterator[TextDelta | Completion]:
    """Yield what becomes of each prompt, in order. Raises what the first that fails does so by."""
    for group in groups:
        for event in generator.run(builder.requests(group)):
            if isinstance(event, Failed):
                with _place_of(event.request.label.prompt) if event.request is not None else nullcontext():
                    raise event.error
            yield event
