"""Examples: texts with what is right for them, and which of them are one. Knows no prompts, no files and no models."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from lmkit.data.normal_form import normal_form

INPUTS = ("input", "text", "question")
"""Names that the text of an item goes by in records; the first of them that is there counts."""
OUTPUTS = ("output", "label", "answer")
"""Names that what is right for it goes by."""


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
    reasoning: str | None = None
    """The reasoning that leads to its output, if given."""

    @property
    def name(self) -> Any:
        """What it is called: its id, or else its number."""
        return self.number if self.id is None else self.id

    @cached_property
    def key(self) -> str:
        """Its name as a text: 7, 7.0 and "7" are one, as random draws of `lmkit sample` have it."""
        name = self.name
        return str(int(name)) if isinstance(name, float) and name.is_integer() else str(name)

    @cached_property
    def form(self) -> str:
        """Its text in `normal_form`."""
        return normal_form(self.input)


def same_item(one: Example, other: Example) -> bool:
    """Whether two are one and the same: of one id, or of one text in `normal_form`."""
    return (one.id is not None and other.id is not None and one.key == other.key) or one.form == other.form


def labels_of(examples: Iterable[Example]) -> list[str]:
    """The distinct outputs, in order of first appearance."""
    return list(dict.fromkeys(example.output for example in examples if example.output is not None))


class Pool:
    """Examples among which those that an item is are found at once: their ids and texts are looked up, not compared.

    `apart` leaves out examples that are the same as one before, and counts them in `repeated`.
    """

    def __init__(self, examples: Iterable[Example], *, apart: bool = False) -> None:
        self._by_text: dict[str, list[int]] = {}
        self._by_id: dict[str, list[int]] = {}
        kept: list[Example] = []
        self.repeated = 0
        for example in examples:
            if apart and self._places(example):
                self.repeated += 1
                continue
            self._by_text.setdefault(example.form, []).append(len(kept))
            if example.id is not None:
                self._by_id.setdefault(example.key, []).append(len(kept))
            kept.append(example)
        self.examples: Sequence[Example] = tuple(kept)

    def __len__(self) -> int:
        return len(self.examples)

    def _places(self, item: Example) -> list[int]:
        by_id = self._by_id.get(item.key, []) if item.id is not None else []
        return self._by_text.get(item.form, []) + by_id

    def same(self, item: Example) -> frozenset[int]:
        """The places of the examples that are the item, as `same_item` tells."""
        return frozenset(self._places(item))
