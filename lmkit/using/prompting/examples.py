"""Examples: texts with what is right for them. Knows no prompts, no files and no models."""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Example:
    """A text, and what is right for it where that is known."""

    input: str
    output: str | None = None
    id: Any = None
    """What its record is known by; None where it has no name."""
    number: int = 0
    """Which of its file it is, from 1."""
    place: str = ""
    """Where it was read, for messages."""
    record: Mapping[str, Any] = field(default_factory=dict)
    """What else its record has."""

    @property
    def name(self) -> Any:
        """What it is called: its id, or else its number."""
        return self.number if self.id is None else self.id


def normal_form(text: str) -> str:
    """A text without what makes no other text of it: case, kinds of characters (NFKC), amounts of white space."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def same_item(one: Example, other: Example) -> bool:
    """Whether two are one and the same: of one id, or of one text in `normal_form`."""
    if one.id is not None and other.id is not None and str(one.id) == str(other.id):
        return True
    return normal_form(one.input) == normal_form(other.input)
