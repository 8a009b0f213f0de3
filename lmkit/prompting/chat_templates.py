r"""Conversations as prompts: Llama 2's form, ChatML, and templates of Hugging Face's transformers. Knows no files.

llama2       <s>[INST] <<SYS>>\n{system}\n<</SYS>>\n\n{user} [/INST] {assistant}</s><s>[INST] {user} [/INST]
llama2-meta  the same as Meta's code writes it: texts without space around them, and a space before </s>
chatml       <|im_start|>{role}\n{text}<|im_end|>\n for each turn, then <|im_start|>assistant\n
instruct     the named format of instructions, in the manner of Alpaca; a user's message may have an `input`
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import groupby
from typing import TYPE_CHECKING, Any

from lmkit.architectures.published_settings import (
    OLD_TEMPLATE,
    TEMPLATE,
    TOKENIZER,
    Published,
    content,
    in_folder,
    json_in,
)
from lmkit.errors import CheckpointError, DataError
from lmkit.isolation import LimitError
from lmkit.prompting import builtin_templates
from lmkit.prompting.jinja_sandbox import LimitedTemplate
from lmkit.prompting.slot_templates import FilledTemplate, ended

if TYPE_CHECKING:
    from lmkit.checkpoint import Buffer

Message = Mapping[str, Any]
Messages = Sequence[Message]
SYSTEM, USER, ASSISTANT, TOOL = "system", "user", "assistant", "tool"
LLAMA2_MARKS = ("[INST]", "[/INST]", "<<SYS>>", "<</SYS>>", "<s>", "</s>")
CHATML_MARKS = ("<|im_start|>", "<|im_end|>")
_MARK = re.compile(r"<\|[^<>|\s]+\|>|<</?[A-Z]+>>|\[/?[A-Z_]{2,}\]|<(?:start|end|begin)_of_[a-z_]+>|</?s>|<[a-z]os>")
_TAG = re.compile(r"<(/?)([a-z][a-z0-9_]+)>")
FILES = (TEMPLATE, OLD_TEMPLATE, TOKENIZER)
TOOLS = "tool_use"
"""The name of the template that transformers takes for conversations with tools."""


@dataclass(frozen=True)
class Chat:
    """A form of conversations: `write` makes a text of messages, and of whether the assistant is next to speak."""

    write: Callable[[Messages, bool, Mapping[str, Any]], str]
    marks: tuple[str, ...]
    """Texts that separate the turns; inside a message they would be taken for that."""
    write_each: Callable[[Sequence[tuple[Messages, bool, Mapping[str, Any]]]], Iterator[str]] | None = None
    """The same of several conversations, where that is quicker."""
    jinja: str = ""
    """The template in Jinja2, as a checkpoint keeps it."""

    def texts(self, turns: Sequence[tuple[Messages, bool, Mapping[str, Any]]]) -> Iterator[str]:
        """The text of each of several conversations; those before one that fails come before its DataError."""
        return self.write_each(turns) if self.write_each is not None else (self.write(*turn) for turn in turns)

    def end_of_turn(self) -> str:
        """The text that ends an assistant's turn: what follows an answer up to its first mark; empty where none does.

        An answer is rendered to see it. Raises LimitError of a template that takes too long.
        """
        said = "answer to see what follows it"
        question = {"role": USER, "content": "question"}
        try:
            written = self.write([question, {"role": ASSISTANT, "content": said}], False, {})
        except LimitError:
            raise
        except DataError:  # such as of a template that asks for a system message
            return ""
        end = written.rpartition(said)[2].lstrip()
        begins = [(place, -len(mark), mark) for mark in self.marks if (place := end.find(mark)) >= 0]
        return min(begins)[2] if begins else ""

    def render_each(self, turns: Sequence[tuple[Messages, bool, Mapping[str, Any]]]) -> Iterator[FilledTemplate]:
        """The prompt of each of several conversations; those before one that fails come before its DataError."""
        return map(ended, self.texts(turns))

    def render(
        self, messages: Messages, *, going_on: bool = True, values: Mapping[str, Any] | None = None
    ) -> FilledTemplate:
        """The prompt that asks for the assistant's next turn, or just what was said, if not `going_on`.

        `values` are what else a record tells a template, such as its `tools`. Raises DataError.
        """
        return ended(self.write(messages, going_on, values or {}))


def messages_in(value: Any) -> Messages:
    """Messages, each with a `role`. Raises DataError where it is no list of such."""
    if not isinstance(value, list) or not value:
        raise DataError("`messages` is not a list of messages")
    for number, message in enumerate(value, 1):
        if not isinstance(message, Mapping) or not isinstance(message.get("role"), str):
            raise DataError(f"message {number} has no `role`")
    found: Messages = value
    return found


def check_turns(messages: Messages) -> None:
    """Raises DataError where users and assistants do not speak in turn, or a system message is not the first.

    A tool speaks after an assistant or another tool, the assistant after a user or a tool.
    """
    before = None
    for number, message in enumerate(messages, 1):
        role = message["role"]
        if role not in (SYSTEM, USER, ASSISTANT, TOOL):
            raise DataError(f"message {number} has the role {role!r}, expected system, user, assistant or tool")
        if role == SYSTEM and number > 1:
            raise DataError(f"message {number} has the role system, which only the first message may have")
        if role in (USER, ASSISTANT) and role == before:
            raise DataError(f"message {number} has the role {role!r}, as the one before: roles must alternate")
        if role == TOOL and before not in (ASSISTANT, TOOL):
            raise DataError(f"message {number} has the role 'tool' without an assistant's message before it")
        before = role


def begun_by(system: str, messages: Messages) -> Messages:
    """The conversation with a system's message in front, unless it has one."""
    return messages if messages[0]["role"] == SYSTEM else [{"role": SYSTEM, "content": system}, *messages]


# What is built in.


def _text(message: Mapping[str, Any], number: int) -> str:
    content = message.get("content")
    if not isinstance(content, str):
        raise DataError(f"message {number} has no text `content`")
    return content


def _llama2(messages: Messages, *, meta: bool) -> str:
    texts = [_text(message, number) for number, message in enumerate(messages, 1)]
    if meta:
        texts = [text.strip() for text in texts]
    first = messages[0]["role"] == SYSTEM
    for number, message in enumerate(messages[first:], 1 + first):
        wanted = USER if (number - first) % 2 else ASSISTANT
        if message["role"] != wanted:
            raise DataError(f"message {number} has the role {message['role']!r}, expected {wanted!r}")
    if len(messages) == first:
        raise DataError("the conversation has only a system message")
    system = f"<<SYS>>\n{texts[0]}\n<</SYS>>\n\n" if first else ""
    written, end = "", " </s>" if meta else "</s>"
    for place, text in enumerate(texts[first:]):
        written += f"{text}{end}" if place % 2 else f"<s>[INST] {'' if place else system}{text} [/INST] "
    return written


def _chatml(messages: Messages, going_on: bool) -> str:
    check_turns(messages)
    written = ""
    for number, message in enumerate(messages, 1):
        written += f"<|im_start|>{message['role']}\n{_text(message, number)}<|im_end|>\n"
    return written + ("<|im_start|>assistant\n" if going_on else "")


def _instruct(messages: Messages) -> str:
    written = ""
    for number, message in enumerate(messages, 1):
        text, given = _text(message, number), message.get("input")
        if message["role"] == SYSTEM and number == 1:
            written += f"{text}\n\n"
        elif message["role"] == USER:
            first = number == 1 or messages[number - 2]["role"] == SYSTEM
            written += builtin_templates.instruct(text, given if isinstance(given, str) else None, first=first)
        elif message["role"] == ASSISTANT:
            written += f"{text}{builtin_templates.TURN_END}"
        else:
            raise DataError(f"message {number} has the role {message['role']!r}, expected user or assistant")
    return written


def _built_in(name: str, write: Callable[[Messages, bool], str], marks: tuple[str, ...]) -> Chat:
    return Chat(lambda messages, on, _: write(messages, on), marks, jinja=builtin_templates.SOURCES[name])


BUILT_IN: Mapping[str, Chat] = {
    "llama2": _built_in("llama2", lambda messages, _: _llama2(messages, meta=False), LLAMA2_MARKS),
    "llama2-meta": _built_in("llama2-meta", lambda messages, _: _llama2(messages, meta=True), LLAMA2_MARKS),
    "chatml": _built_in("chatml", _chatml, CHATML_MARKS),
    "instruct": _built_in("instruct", lambda messages, _: _instruct(messages), builtin_templates.INSTRUCT_MARKS),
}


# Templates of transformers.


@dataclass(frozen=True)
class Source:
    """A template of transformers, and the names and values that go with it, such as `bos_token`."""

    text: str
    values: Mapping[str, Any] = field(default_factory=dict)
    special: tuple[str, ...] = ()
    """Special tokens that the template may not even mention."""
    with_tools: str | None = None
    """The template for conversations with `tools`, if it is another."""

    def chat(self, more: Mapping[str, Any], today: date | None, name: str = "the chat template") -> Chat:
        """Return the form that the template gives. `more`: values; `today`: its date; `name`: its name in messages."""
        template = LimitedTemplate(self.text, name=name, chat=True, today=today)
        with_tools = template
        if self.with_tools is not None:
            with_tools = LimitedTemplate(self.with_tools, name=name, chat=True, today=today)
        given: dict[str, Any] = {"tools": None, "documents": None, **self.values, **more}

        def filled(messages: Messages, going_on: bool, values: Mapping[str, Any]) -> Mapping[str, Any]:
            return {**given, **values, "messages": messages, "add_generation_prompt": going_on}

        def write(messages: Messages, going_on: bool, values: Mapping[str, Any]) -> str:
            all_given = filled(messages, going_on, values)
            return (template if all_given["tools"] is None else with_tools).render(all_given)

        def write_each(turns: Sequence[tuple[Messages, bool, Mapping[str, Any]]]) -> Iterator[str]:
            every = (filled(*turn) for turn in turns)
            for plain, some in groupby(every, lambda values: values["tools"] is None):
                yield from (template if plain else with_tools).render_each(some)

        tokens = [value for name, value in given.items() if name.endswith("_token") and isinstance(value, str)]
        texts = _MARK.findall(self.text + (self.with_tools or ""))
        marks = dict.fromkeys(mark.strip() for mark in (*texts, *tokens, *without_tags(self.special)))
        return Chat(write, tuple(mark for mark in marks if len(mark) > 1), write_each, jinja=self.text)


def source_of(published: Published, special: Sequence[str] = (), name: str | None = None) -> Source:
    """A model's template by its name, or the one that transformers takes where none is named.

    `special`: special tokens that a message must not have either. Raises CheckpointError where there is none.
    """
    text = published.template(name)
    with_tools = published.chat_templates.get(TOOLS) if name is None else None
    return Source(text, published.special_tokens, tuple(special), with_tools)


def source_in(files: "Mapping[str, Buffer]", name: str | None = None) -> Source:
    """The template of a model's folder, as transformers finds it. Raises CheckpointError where there is none."""
    published = in_folder(files)
    if not published.chat_templates:
        raise CheckpointError(f"no chat template in the folder: expected one in {', '.join(FILES)}")
    added = json_in(files, TOKENIZER).get("added_tokens_decoder")
    listed = added.values() if isinstance(added, dict) else ()
    special = [content(one) for one in listed if isinstance(one, dict) and one.get("special")]
    return source_of(published, tuple(filter(None, special)), name)


# Messages that contain a format's own marks.


def without_tags(names: Iterable[str]) -> list[str]:
    """The names of special tokens that a message must not have: all but pairs of tags such as <think> and </think>.

    Those mark parts within a turn, which an answer is free to have; tokenizers call them added, but not special.
    """
    every = list(names)
    found = {name: tag for name in every if (tag := _TAG.fullmatch(name))}
    other = {name: f"<{'' if tag[1] else '/'}{tag[2]}>" for name, tag in found.items()}
    return [name for name in every if other.get(name) not in found]


def marks_in(messages: Messages, marks: Sequence[str]) -> Iterator[tuple[int, str]]:
    """The marks within messages, each with the number of its message."""
    for number, message in enumerate(messages, 1):
        said = "\0".join(_texts(message.get("content")))
        for mark in marks:
            if mark in said:
                yield number, mark


def escaped(messages: Messages, marks: Sequence[str]) -> Messages:
    """The messages with a space behind the first character of each mark, which no longer is a mark: `[ /INST]`."""
    pattern = re.compile("|".join(re.escape(mark) for mark in sorted(marks, key=len, reverse=True)) or "(?!)")

    def changed(value: Any) -> Any:
        if isinstance(value, str):
            while pattern.search(value):  # what is left over may be a mark again
                value = pattern.sub(lambda found: f"{found[0][0]} {found[0][1:]}", value)
            return value
        if isinstance(value, list):
            return [changed(one) for one in value]
        return {key: changed(one) for key, one in value.items()} if isinstance(value, Mapping) else value

    return [{**message, "content": changed(message.get("content"))} for message in messages]


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | Mapping):
        for one in value.values() if isinstance(value, Mapping) else value:
            yield from _texts(one)
