"""`lmkit data format --style chat`: conversations as messages; and conversations in the format of instructions."""

from collections.abc import Sequence
from typing import Any

from lmkit.commands.loading import models as opening
from lmkit.commands.records.items import OWN, Item, Items
from lmkit.errors import UsageError
from lmkit.io import outputs
from lmkit.io.records import to_json

COLUMNS = ("instruction", "input", "output")
GONE = ("instruction", "question", "input", "system", "prompt", "output", "response", "completion", "label", "answer")
"""Fields that messages say."""


def as_messages(item: Item) -> dict[str, Any]:
    """Return the record of an item as messages, the last an answer; an input follows its instruction.

    Raises DataError with the item's place.
    """
    from lmkit.prompting import answered_records

    with opening.error_context(item.place):
        messages = answered_records.joined_inputs(answered_records.conversation(item.fields))
    record = {"id": item.id, "messages": messages}
    left = {key: value for key, value in item.fields.items() if key not in (*record, *OWN, *GONE)}
    return {**record, **left}


def as_instruction(item: Item, *, bare: bool) -> str:
    """Return the line of a conversation in the format of instructions: its record, or the text. Raises DataError."""
    from lmkit.prompting import answered_records
    from lmkit.prompting.chat_templates import BUILT_IN

    with opening.error_context(item.place):
        messages = answered_records.conversation(item.fields)
        filled, said = BUILT_IN["instruct"].render(messages[:-1]), str(messages[-1]["content"])
    if bare:
        return f"{filled.text}{filled.joint}{said}"
    left = {key: value for key, value in item.fields.items() if key not in (*OWN, "id", "messages", "output")}
    return to_json({"id": item.id, **filled.fields(), "output": said, **left})


def write(source: Items, files: Sequence[str] | None, output: str | None, *, plain: bool) -> None:
    """Write items as messages. Raises UsageError where they are wanted `plain`, as text or for a task."""
    if plain:
        raise UsageError(
            "--task and --bare cannot be combined with --style chat",
            hint="`lmkit prompt chat --no-generation-prompt -b` renders messages as text",
        )
    with outputs.open_output(output) as out:
        for item in source.of(files):
            out.line(to_json(as_messages(item)))
