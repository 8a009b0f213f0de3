"""`lmkit data format --style chat`: conversations as messages; and conversations in the format of instructions."""

from typing import Any

from lmkit.commands.loading import models as opening
from lmkit.commands.records.items import OWN, Item
from lmkit.prompting import answered_records
from lmkit.prompting.chat_templates import BUILT_IN
from lmkit.prompting.slot_templates import FilledTemplate

COLUMNS = ("instruction", "input", "output")
GONE = ("instruction", "question", "input", "system", "prompt", *answered_records.ANSWERS)
"""Fields that messages say."""


def as_messages(item: Item) -> dict[str, Any]:
    """Return the record of an item as messages, the last an answer; an input follows its instruction.

    Raises DataError with the item's place.
    """
    with opening.error_context(item.place):
        messages = answered_records.joined_inputs(answered_records.conversation(item.fields))
    record = {"id": item.id, "messages": messages}
    left = {key: value for key, value in item.fields.items() if key not in (*record, *OWN, *GONE)}
    return {**record, **left}


def as_instruction(item: Item) -> tuple[FilledTemplate, str]:
    """Return the prompt of a conversation in the format of instructions, and its last answer. Raises DataError."""
    with opening.error_context(item.place):
        messages = answered_records.conversation(item.fields)
        return BUILT_IN["instruct"].render(messages[:-1]), str(messages[-1]["content"])
