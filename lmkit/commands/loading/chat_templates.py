"""Chat templates that commands name: built in, a file, a model's own; and the messages of records."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Any, Protocol

from lmkit.architectures.published_settings import NOTHING, Published, in_checkpoint, in_folder
from lmkit.commands.loading import models as opening
from lmkit.commands.options.standard import Run
from lmkit.errors import CheckpointError, DataError, UsageError
from lmkit.io import size_limits, streams, yaml_json
from lmkit.prompting import chat_templates
from lmkit.prompting.answered_records import request
from lmkit.prompting.examples import INPUTS
from lmkit.prompting.slot_templates import as_text
from lmkit.protocols import LanguageModel

SHOWN = 10  # messages with control tokens that are reported one by one
TURNS = ("prompt", *INPUTS)
PASSED = ("tools", "documents")
"""Fields of records that templates are given beside the messages."""


class TemplateModel(Protocol):
    """A model that may have chat templates."""

    @property
    def name(self) -> str:
        """Its file or folder."""

    @property
    def published(self) -> Published:
        """What its makers publish beside its weights: templates, special tokens by name."""

    def source(self, name: str | None) -> chat_templates.Source:
        """A template by its name, None for the default one. Raises CheckpointError where it has none."""


@dataclass
class TemplateFile:
    """A model by the name of its file or folder, of which no weights are read."""

    name: str

    @cached_property
    def published(self) -> Published:
        """See `TemplateModel.published`."""
        from lmkit import checkpoint, registry
        from lmkit.io import gguf

        with opening.error_context(self.name):
            if opening.is_folder(self.name):
                return in_folder(opening.open_folder(self.name))
            data = opening.read_model(self.name)
            if opening.is_gguf(self.name, data):
                found: Published = registry.weights_in_gguf(*gguf.read(self.name), self.name).published
                return found
            content = checkpoint.parse(data)
            return in_checkpoint(content.config, content.tokenizer)

    def source(self, name: str | None) -> chat_templates.Source:
        """See `TemplateModel.source`."""
        with opening.error_context(self.name):
            if opening.is_folder(self.name):
                return chat_templates.source_in(opening.open_folder(self.name), name)
            names = opening.open_tokenizer(self.name).names if self.published.chat_templates else ()
            return _source(self.published, names, name)


@dataclass
class OpenedModel:
    """A model that is open."""

    name: str
    model: LanguageModel

    @cached_property
    def published(self) -> Published:
        """See `TemplateModel.published`."""
        from lmkit.architectures.neural_model import NeuralModel

        return self.model.weights.published if isinstance(self.model, NeuralModel) else NOTHING

    def source(self, name: str | None) -> chat_templates.Source:
        """See `TemplateModel.source`."""
        with opening.error_context(self.name):
            return _source(self.published, getattr(self.model.tokenizer, "names", {}), name)


def _source(published: Published, special: Iterable[bytes], name: str | None) -> chat_templates.Source:
    if not published.chat_templates:
        raise CheckpointError("the checkpoint has no chat template", hint="choose one with --template")
    return chat_templates.source_of(published, [piece.decode(errors="replace") for piece in special], name)


def open_chat(
    model: TemplateModel | None, name: str | None, variables: Mapping[str, Any], today: date | None
) -> chat_templates.Chat:
    """The template that --model and --template name.

    Raises UsageError, CheckpointError for a model without one, DataError for a file.
    """
    own: Sequence[str] = () if model is None else sorted(model.published.chat_templates)
    if model is not None and (name is None or name in own):
        source = model.source(name)
        alike = (chat for chat in chat_templates.BUILT_IN.values() if chat.jinja == source.text)
        built_in = None if variables or today else next(alike, None)  # which needs no Jinja2
        return built_in or source.chat(variables, today, streams.display(model.name))
    if name is None:
        raise UsageError(
            "no template", hint=f"give -m MODEL, or --template {'|'.join(chat_templates.BUILT_IN)} or a file"
        )
    if name in chat_templates.BUILT_IN:
        if variables or today:
            raise UsageError(f"--set and --date need a Jinja2 template, and {name} is built in")
        return chat_templates.BUILT_IN[name]
    if name != streams.STDIN and not os.path.exists(name):
        known = ", ".join([*own, *chat_templates.BUILT_IN])
        raise UsageError(f"--template {name!r} is neither a file or folder nor one of {known}")
    start = streams.read_start(name, 9) if name != streams.STDIN and not opening.is_folder(name) else b""
    if opening.is_folder(name) or (_is_checkpoint(start) and b"\0" in start):
        return TemplateFile(name).source(None).chat(variables, today, name)
    values = {} if model is None else model.published.special_tokens
    try:
        text = yaml_json.text(name, size_limits.TEMPLATE)
        return chat_templates.Source(text, values).chat(variables, today, streams.display(name))
    except DataError as error:
        shown = streams.display(name)
        raise DataError(str(error) if str(error).startswith(shown) else f"{shown}: {error}", hint=error.hint) from None


def _is_checkpoint(start: bytes) -> bool:
    from lmkit.checkpoint import is_checkpoint

    return is_checkpoint(start)


def messages_of(fields: Mapping[str, Any], system: str | None) -> chat_templates.Messages:
    """The messages of a record, behind a system message if there is one. Raises DataError where it has none."""
    if "messages" in fields:
        messages = chat_templates.messages_in(fields["messages"])
    elif "instruction" in fields or isinstance(fields.get("prompt"), list):
        messages = request({**fields, "system": None})
    else:
        name = next((one for one in TURNS if one in fields), None)
        if name is None:
            raise DataError("the record has neither `messages` nor a `prompt`")
        messages = [{"role": chat_templates.USER, "content": as_text(fields[name], name)}]
    own = fields.get("system")
    if own is None:
        own = None if system is None else streams.argument_text(system)
    return messages if own is None else chat_templates.begun_by(as_text(own, "system"), messages)


@dataclass
class ControlTokenGuard:
    """Finds a template's control tokens in messages, breaks them up with a warning, or refuses them."""

    run: Run
    marks: tuple[str, ...]
    strict: bool = False
    escape: bool = True
    _conversations: int = 0

    def passed(self, place: str, messages: chat_templates.Messages) -> chat_templates.Messages:
        """The messages as they may be rendered; a warning names the place, if any. Raises DataError if `strict`."""
        found = next(chat_templates.marks_in(messages, self.marks), None)
        if found is None:
            return messages
        number, mark = found
        where = f"{place}: message {number}" if place else "the message"
        said = f"{where} contains {mark}, a control token of the template"
        if self.strict:
            raise DataError(said, hint="leave out --strict to have it broken up with a space")
        self._conversations += 1
        if self._conversations <= SHOWN:
            self.run.terminal.notice(f"{said}, {'broken up with a space' if self.escape else 'left as it is'}")
        return chat_templates.escaped(messages, self.marks) if self.escape else messages

    def close(self) -> None:
        """Reports how many more there were."""
        if self._conversations > SHOWN:
            more = self._conversations - SHOWN
            self.run.terminal.notice(f"{more} more conversations contain control tokens of the template")
