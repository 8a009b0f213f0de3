"""Conversations that outgrow a model's context: the oldest exchanges are left out. Knows no model."""

from collections.abc import Callable

from lmkit.errors import DataError
from lmkit.prompting.chat_templates import SYSTEM, USER, Messages

Size = Callable[[Messages], int]
"""Tokens of the prompt of some messages."""
FREED = 4
"""A conversation that is too long is cut until this share of the room is free, so that the next turns fit too."""


def fitted(messages: Messages, size: Size, most: int, longest: int) -> Messages:
    """The messages, or those that are left where their prompt has more than `most` tokens.

    Whole exchanges are left out, oldest first, until a fourth of the room is free; an exchange begins with a user's
    message. The system message and the last exchange stay. Raises DataError where these alone have more than
    `longest` tokens.
    """
    if size(messages) <= most:
        return messages
    system = messages[:1] if messages[0]["role"] == SYSTEM else []
    rest = messages[len(system) :]
    begins = [place for place, message in enumerate(rest) if place and message["role"] == USER] or [0]
    low, high = 0, len(begins) - 1  # the first beginning from which on all fits is sought, the last where none does
    while low < high:
        middle = (low + high) // 2
        if size([*system, *rest[begins[middle] :]]) <= most - most // FREED:
            high = middle
        else:
            low = middle + 1
    kept = [*system, *rest[begins[low] :]]
    if low == len(begins) - 1 and (least := size(kept)) > longest:
        raise DataError(
            f"{least} tokens of the last message{' and the system message' if system else ''} exceed the {longest} "
            "that the context leaves beside an answer",
            hint="a shorter message fits",
        )
    return kept
