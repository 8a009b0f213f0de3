"""A language model that is to be tuned on conversations: its weights, its template, and conversations as its tokens."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any, NamedTuple

from lmkit.commands.loading import models as opening
from lmkit.commands.loading.provenance import file_record
from lmkit.commands.options.chat_templates import ChatTemplateOptions
from lmkit.commands.options.standard import Run
from lmkit.errors import CheckpointError, DataError, UsageError
from lmkit.io import streams

if TYPE_CHECKING:
    from lmkit.architectures.adapters import ChatSettings
    from lmkit.architectures.neural_model import LoadedModel
    from lmkit.data.answer_sequences import AnswerSequence
    from lmkit.prompting.answer_masking import ConversationEncoder
    from lmkit.prompting.chat_templates import Chat, Messages

SHOWN = 10  # conversations with marks that are reported one by one


class Encoded(NamedTuple):
    """The sequences of one conversation, and where it was read."""

    sequences: "Sequence[AnswerSequence]"
    place: str
    id: Any


@dataclass(frozen=True)
class ConversationModel:
    """The weights to begin with, and the encoder of conversations; `parent` is their digest."""

    weights: "LoadedModel"
    parent: str
    encoder: "ConversationEncoder"

    @property
    def limit(self) -> int | None:
        """The most tokens that the model reads at once."""
        return self.weights.settings.sequence_limit

    def settings(self, end: int) -> "ChatSettings":
        """How the tuned model reads conversations: its template, and first of its ends the one that answers have."""
        from lmkit.architectures.adapters import ChatSettings
        from lmkit.generation.prompt_encoding import ends_of

        form = self.encoder.form
        if end not in ends_of(form) or end in form.ends:
            form = replace(form, ends=(end, *(one for one in form.ends if one != end)))
        published = self.weights.published
        return ChatSettings(
            form,
            replace(published, chat_templates={**published.chat_templates, "default": self.encoder.chat.jinja}),
        )


def open_base(model: str | None, templates: ChatTemplateOptions) -> ConversationModel:
    """Open the model to begin with, and its template or the one asked for.

    Raises UsageError, CheckpointError for what is no language model, DataError for a template.
    """
    from lmkit.architectures.neural_model import LoadedModel
    from lmkit.data.sequences import TextFormat
    from lmkit.prompting.answer_masking import ConversationEncoder

    if model is None:
        raise UsageError("no model to fine-tune", hint="name one with -m MODEL")
    if model == streams.STDIN:
        raise UsageError("the model to fine-tune is read from a file or folder, not from stdin")
    weights = opening.open_weights(model)
    if not isinstance(weights, LoadedModel):
        raise CheckpointError(f"{streams.display(model)}: an encoder, which answers nothing; expected a language model")
    form = weights.form
    if form.newline_id is not None:  # a conversation is a document of several lines
        form = replace(TextFormat.of("file", weights.tokenizer), ends=form.ends)
    return ConversationModel(
        weights, weights.digest, ConversationEncoder(_chosen(model, weights, templates), weights.tokenizer, form)
    )


def _chosen(model: str, weights: "LoadedModel", templates: ChatTemplateOptions) -> "Chat":
    """The template: the one asked for, the model's own, or that of instructions."""
    from lmkit.commands.loading.chat_templates import TemplateFile
    from lmkit.prompting.chat_templates import BUILT_IN

    if templates.template is None and not weights.published.chat_templates:
        return BUILT_IN["instruct"]
    found = templates.chat(TemplateFile(model))
    if not found.jinja:
        raise UsageError(f"--template {templates.template}: it can't be kept in a checkpoint")
    return found


class ConversationReader:
    """Encodes conversations for a model, and reports what was changed: marks, boundaries, and what is cut."""

    def __init__(self, run: Run, base: ConversationModel, truncate: str) -> None:
        from lmkit.prompting.builtin_templates import SOURCES

        self._run, self._base, self._truncate = run, base, truncate
        self._joins_inputs = base.encoder.chat.jinja != SOURCES["instruct"]
        self._marked = self._joints = self._cut = self._lost = self._dropped = 0
        self.end = -1
        """The token that ends the answers of the conversations so far."""

    def encode(self, found: "Sequence[tuple[Messages, str, Any]]", *, last: bool = False) -> list[Encoded]:
        """Return the sequences of messages, of which the `last` answer is learned or all are; within the context.

        Raises DataError with the place of a conversation that can't be rendered or is too long.
        """
        encoder = self._base.encoder
        asked = [self._rendered(messages, place) for messages, place, _ in found]
        texts = encoder.chat.texts([turn for messages in asked for turn in encoder.turns(messages, last=last)])
        made = []
        for messages, (_, place, name) in zip(asked, found, strict=True):
            with opening.error_context(place):
                encoded = encoder.encode(messages, texts, last=last)
                self._joints += encoded.joints
                self.end = int(encoded.sequences[-1].ids[-1])
                made.append(Encoded([*self._within(encoded.sequences)], place, name))
        return made

    def _rendered(self, messages: "Messages", place: str) -> "Messages":
        """The messages as a template may be given them."""
        from lmkit.prompting import answered_records

        changed, mark = answered_records.without_marks(messages, self._base.encoder.marks)
        if mark is not None:
            self._marked += 1
            if self._marked <= SHOWN:
                self._run.terminal.notice(
                    f"{place}: a message contains {mark}, a mark of the template; broken up with a space"
                )
        return answered_records.joined_inputs(changed) if self._joins_inputs else changed

    def _within(self, sequences: "Sequence[AnswerSequence]") -> "Iterator[AnswerSequence]":
        from lmkit.data import answer_sequences

        limit = self._base.limit
        for one in sequences:
            if limit is None or one.inputs <= limit:
                yield one
                continue
            if self._truncate == "refuse":
                raise DataError(
                    f"a conversation of {one.inputs} tokens exceeds the model's context of {limit}",
                    hint="--truncate drop leaves it out, start or end cuts it there",
                )
            kept = answer_sequences.cut(one, limit, self._truncate, int(self._base.encoder.form.bos == "always"))
            if kept is None:
                self._dropped += 1
                continue
            self._cut += 1
            self._lost += one.inputs - kept.inputs
            yield kept

    def close(self, what: str) -> None:
        """Report what was changed in conversations; `what` they are for."""
        told = self._run.terminal.notice
        if self._marked > SHOWN:
            told(f"{self._marked - SHOWN} more {what} conversations contain marks of the template")
        if self._joints:
            told(
                f"{self._joints:,} {what} answers would share a token with their prompt: encoded apart, as they are "
                "generated"
            )
        if self._cut:
            told(f"{self._cut:,} {what} conversations cut at the {self._truncate}: {self._lost:,} tokens lost")
        if self._dropped:
            told(f"{self._dropped:,} {what} conversations left out, beyond the context of {self._base.limit} tokens")
        self._marked = self._joints = self._cut = self._lost = self._dropped = 0


def record_of(name: str, sequences: "Sequence[AnswerSequence]") -> dict[str, Any]:
    """What the origin says of a file: its conversations as tokens, and the file as it is."""
    digest = sha256()
    for one in sequences:
        digest.update(one.ids.tobytes() + one.learned.tobytes())
    files = file_record(name)
    return {"examples": len(sequences), "sha256": digest.hexdigest(), **({"files": [files]} if files else {})}
