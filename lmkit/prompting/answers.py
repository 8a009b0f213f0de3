"""A model's answers in conversations: prompts by a chat template, cut to the context, run from known states.

Knows no files and no terminals.
"""

from codecs import getincrementaldecoder
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from lmkit.data import keyed_random
from lmkit.data.sequences import decode_text, encode_prompt
from lmkit.generation import prompt_encoding
from lmkit.generation.engine import Completion, Failed, Generator, Request, Step, TextDelta
from lmkit.generation.sampler import AdaptiveFilter, Constraint, Sampler
from lmkit.generation.state_reuse import StateReuse
from lmkit.generation.steppers import SequentialStepper
from lmkit.prompting.chat_templates import ASSISTANT, SYSTEM, Chat, Message, Messages, escaped
from lmkit.prompting.conversation import fitted
from lmkit.protocols import I32, LanguageModel, context_limit

INTERRUPTED = "interrupted"
NONE: Mapping[str, Any] = {}


class Answer(NamedTuple):
    """An answer when it is done: `eos` at the end of the turn, or `stop`, `length`, `interrupted`."""

    text: str
    tokens: int
    finish_reason: str
    left_out: int
    """Messages that the model was not shown, as the context has no room for them."""
    completion: Completion | None = None


class _StoppedError(Exception):
    """The answer is not to be continued."""


class _Stepper(SequentialStepper):
    """Steps that may be ended from outside."""

    def __init__(self, model: LanguageModel, sampler: Sampler, between: Callable[[], None]) -> None:
        super().__init__(model, sampler)
        self._between = between

    def step(self) -> list[Step]:
        self._between()
        return super().step()


@dataclass
class Answerer:
    """Answers the last message of conversations."""

    model: LanguageModel
    chat: Chat
    sampler: Sampler
    max_tokens: int
    stops: tuple[bytes, ...] = ()
    stopped: Callable[[], bool] = lambda: False
    """Whether the answer that is written is to end now."""
    control: Callable[[], AdaptiveFilter | None] = lambda: None
    _end: bytes = field(init=False)

    def __post_init__(self) -> None:
        """Raises DataError of a template that can't be rendered."""
        self._end = self.chat.end_of_turn().encode()
        self._limit = context_limit(self.model)
        self.most = self.max_tokens if self._limit is None else min(self.max_tokens, max(1, self._limit // 2))
        self._states = StateReuse(self.model, self._between)

    @property
    def run(self) -> int:
        """Tokens of the last prompt that were not known from texts before."""
        return self._states.run

    def _between(self) -> None:
        if self.stopped():
            raise _StoppedError

    def forget(self) -> None:
        """Run the next prompt from its beginning, so that the answer depends on nothing that was asked before."""
        self._states.clear()

    def _ids(self, prompt: bytes) -> I32:
        return self.model.form.begun(encode_prompt(self.model.tokenizer, self.model.form, prompt))

    def seen(self, messages: Messages, values: Mapping[str, Any] = NONE) -> Messages:
        """The messages that the model is shown. Raises DataError where the last one is too long."""
        if self._limit is None:
            return messages
        most = self._limit - self.most
        return fitted(messages, lambda some: len(self._ids(self._prompt(some, values)[0])), most, self._limit - 1)

    def _prompt(self, messages: Messages, values: Mapping[str, Any]) -> tuple[bytes, str]:
        """The prompt, and the space that begins the answer. Raises DataError."""
        filled = self.chat.render(escaped(messages, self.chat.marks), values=values)
        return filled.text.encode(errors="surrogateescape"), filled.joint

    def events(
        self, messages: Messages, stream: int, constraint: Constraint | None = None, values: Mapping[str, Any] = NONE
    ) -> Iterator[str | Answer]:
        """The answer as it grows, and when it is done; drawn from a stream of random numbers.

        Raises DataError for messages that the template refuses or the context has no room for, and NoCandidateError.
        """
        shown = self.seen(messages, values)
        prompt, joint = self._prompt(shown, values)
        ids = prompt_encoding.seen(self.model, prompt)
        stepper = _Stepper(self.model, self.sampler, self._between)
        stops = (*self.stops, self._end) if self._end else self.stops
        most = self.most if self._limit is None else min(self.most, self._limit - len(self.model.form.begun(ids)))
        generator = Generator(self.model, stepper, most=most, stops=stops)
        request = Request(stream, ids, lambda: self._states.after(ids), constraint, control=self.control())
        text = _GrowingText(joint)
        left_out = len(messages) - len(shown)
        try:
            for event in generator.run([request]):
                if isinstance(event, Failed):
                    raise event.error
                if isinstance(event, TextDelta):
                    yield from text.add(event.text)
                else:
                    self._keep(ids, event, stepper)
                    yield from text.end()
                    yield Answer(text.text, len(event.ids), self._reason(event), left_out, event)
        except _StoppedError:
            yield from text.end()
            yield Answer(text.text, 0, INTERRUPTED, left_out)

    def _keep(self, ids: I32, done: Completion, stepper: SequentialStepper) -> None:
        """Keep the state after an answer for the next prompt."""
        import numpy as np

        for state in stepper.states():
            self._states.keep(np.concatenate((ids, np.array(done.ids, dtype=np.int32))), state)

    def _reason(self, done: Completion) -> str:
        """Why an answer ended: the text that ends turns is no stop string to who reads it."""
        if done.finish_reason == "stop" and self._end:
            spelled = decode_text(self.model.tokenizer, self.model.form, done.ids)
            if spelled[len(done.text) :].startswith(self._end):
                return "eos"
        return done.finish_reason


class _GrowingText:
    """An answer's text in pieces of whole characters, without the space that the template puts before it."""

    def __init__(self, joint: str) -> None:
        self._decoder = getincrementaldecoder("utf-8")("replace")
        self._joint = joint
        self.text = ""

    def add(self, data: bytes, *, final: bool = False) -> Iterator[str]:
        piece = self._decoder.decode(data, final)
        if piece and self._joint:
            piece, self._joint = piece.removeprefix(self._joint), ""
        if piece:
            self.text += piece
            yield piece

    def end(self) -> Iterator[str]:
        return self.add(b"", final=True)


@dataclass
class Dialogue:
    """One conversation with a model. Once left out of the prompt, messages stay so, and the rest keeps its states."""

    answerer: Answerer
    seed: int
    key: str
    """Its name, by which it has its own random numbers, for each answer others."""
    messages: list[Message] = field(default_factory=list)
    turn: int = 0
    """Answers so far."""
    left_out: int = 0
    """Messages, behind a system message, that the model is no longer shown."""

    def begin(self, messages: Messages = ()) -> None:
        """Begin anew, with the messages of another conversation."""
        self.messages = list(messages)
        self.turn = sum(message["role"] == ASSISTANT for message in messages)
        self.left_out = 0
        self.answerer.forget()

    def answer(self, constraint: Constraint | None = None) -> Iterator[str | Answer]:
        """The answer to the last message as it grows, and when it is done; it is then the last message.

        An answer that was interrupted before its first character is left out. Raises as `Answerer.events` does.
        """
        system = self.messages[0]["role"] == SYSTEM
        shown = [*self.messages[:system], *self.messages[system + self.left_out :]]
        stream = keyed_random.stream_of(self.seed, self.key, self.turn)
        for event in self.answerer.events(shown, stream, constraint):
            if isinstance(event, Answer):
                self.left_out += event.left_out
                event = event._replace(left_out=self.left_out)
                self.turn += 1
                if event.text or event.finish_reason != INTERRUPTED:
                    self.messages.append({"role": ASSISTANT, "content": event.text})
            yield event
