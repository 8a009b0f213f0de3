"""Records as conversations with answers: instructions, prompts with outputs, messages. Knows no files.

A record has `messages`, each with `role` and `content`, or an `instruction` (and `input`), or a `prompt`, with an
`output`. Users and the assistant take turns, behind at most one system message.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from lmkit.errors import DataError
from lmkit.prompting.chat_templates import (
    ASSISTANT,
    SYSTEM,
    USER,
    Messages,
    check_turns,
    escaped,
    marks_in,
    messages_in,
)
from lmkit.prompting.slot_templates import as_text

ANSWERS = ("output", "response", "completion", "label", "answer")
"""Names that the answer to an instruction or a prompt goes by."""


def conversation(fields: Mapping[str, Any]) -> Messages:
    """Return the conversation of a record, whose last message is an answer. Raises DataError for anything else."""
    if "messages" in fields:
        messages = checked(messages_in(fields["messages"]))
        if messages[-1]["role"] != ASSISTANT:
            raise DataError("no answer: the last message is not the assistant's")
        return messages
    asked = request(fields)
    name = next((one for one in ANSWERS if fields.get(one) is not None), None)
    if name is None:
        raise DataError("no output", hint=f"an answer is one of {', '.join(ANSWERS)}, or the last of `messages`")
    return checked([*asked, {"role": ASSISTANT, "content": as_text(fields[name], name)}])


def request(fields: Mapping[str, Any]) -> Messages:
    """Return the messages before an answer: those of `prompt`, or an instruction as a user's. Raises DataError."""
    own = fields.get("prompt", fields.get("instruction", fields.get("question")))
    if isinstance(own, list):
        return messages_in(own)
    if own is None:
        raise DataError("the record has neither `messages` nor an `instruction` nor a `prompt`")
    user: dict[str, Any] = {"role": USER, "content": as_text(own, "instruction")}
    if "instruction" in fields and fields.get("input") not in (None, ""):
        user["input"] = as_text(fields["input"], "input")
    system = fields.get("system")
    return [user] if system in (None, "") else [{"role": SYSTEM, "content": as_text(system, "system")}, user]


def checked(messages: Messages) -> Messages:
    """Return the messages. Raises DataError where roles do not take turns, or a message has no text."""
    check_turns(messages)
    for number, message in enumerate(messages, 1):
        if not isinstance(message.get("content"), str):
            raise DataError(f"message {number} has no text `content`")
    if messages[0]["role"] == ASSISTANT:
        raise DataError("the first message is the assistant's, an answer to nothing")
    return messages


def joined_inputs(messages: Messages) -> Messages:
    """Return the messages with each `input` behind its content, for templates that have no block for it."""
    return [
        {**{key: value for key, value in message.items() if key != "input"},
         "content": f"{message['content']}\n\n{message['input']}"}
        if message.get("input") else message
        for message in messages
    ]  # fmt: skip


def without_marks(messages: Messages, marks: Sequence[str]) -> tuple[Messages, str | None]:
    """Return the messages without a template's own marks in what they say, and the first such mark, if there was one.

    A mark is broken up by a space behind its first character.
    """
    inputs = [{"content": message["input"]} for message in messages if isinstance(message.get("input"), str)]
    mark = next((mark for _, mark in marks_in([*messages, *inputs], marks)), None)
    if mark is None:
        return messages, None
    changed = escaped(messages, marks)
    return [
        {**one, "input": escaped([{"content": one["input"]}], marks)[0]["content"]}
        if isinstance(one.get("input"), str) else one
        for one in changed
    ], mark  # fmt: skip


def preference(fields: Mapping[str, Any]) -> tuple[Messages, Messages]:
    """Return a prompt with the chosen answer, and with the rejected one. Raises DataError for anything else.

    Each answer is a text, or a list of messages; without a prompt those that both lists begin with are the prompt.
    """
    sides = []
    for name in ("chosen", "rejected"):
        value = fields.get(name)
        if value is None:
            raise DataError(f"no `{name}` answer", hint="a pair has a `prompt`, a `chosen` and a `rejected` answer")
        said = messages_in(value) if isinstance(value, list) else [
            {"role": ASSISTANT, "content": as_text(value, name)}
        ]  # fmt: skip
        sides.append(said)
    has_prompt = any(name in fields for name in ("messages", "prompt", "instruction", "question"))
    if has_prompt:
        asked = messages_in(fields["messages"]) if "messages" in fields else request(fields)
        sides = [[*asked, *said] for said in sides]
    chosen, rejected = (checked(side) for side in sides)
    if chosen == rejected:
        raise DataError("`chosen` and `rejected` are the same answer, which prefers nothing")
    for name, side in (("chosen", chosen), ("rejected", rejected)):
        if side[-1]["role"] != ASSISTANT or len(side) < 2:
            raise DataError(f"`{name}` is no answer of the assistant to a prompt")
    if list(chosen[:-1]) != list(rejected[:-1]):
        raise DataError("`chosen` and `rejected` answer different prompts")
    return chosen, rejected
