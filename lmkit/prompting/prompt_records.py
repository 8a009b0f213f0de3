"""Prompts of items by a layout, as records: with the examples that they show, within a budget of tokens."""

from collections.abc import Mapping, Sequence
from typing import Any

from lmkit.errors import LmkitError
from lmkit.prompting.demonstrations import DemonstrationSelector
from lmkit.prompting.example_selection import Arrangement
from lmkit.prompting.examples import Example, labels_of
from lmkit.prompting.layout import Prompt, PromptLayout
from lmkit.prompting.slot_templates import ANSWER
from lmkit.prompting.token_budget import Budget

LISTED = 20
"""Most distinct outputs that are listed as labels."""
RESERVED_FIELDS = ("prompt", "joint", "input", "shots", "dropped", "slot")
"""Fields about the prompt of their record, which an item's own would contradict."""


class PromptRecords:
    """Makes the records of items by one layout; with a selector they show examples."""

    def __init__(
        self, layout: PromptLayout, selector: DemonstrationSelector | None, budget: Budget | None,
        examples: Sequence[Example] = (),
    ) -> None:  # fmt: skip
        self._layout, self._selector, self._budget = layout, selector, budget
        labels = labels_of(examples)
        self._labels = labels if len(labels) <= LISTED else []

    @property
    def kept(self) -> Mapping[tuple[int, int], int]:
        """In how many prompts the budget let so many examples be of so many."""
        return {} if self._budget is None else self._budget.kept

    def record(self, item: Example) -> dict[str, Any]:
        """An item's record. Raises DataError, naming its place, for too few examples and for too little room."""
        chosen = self._selector.chosen(item) if self._selector else []
        arranged = self._selector.arranged if self._selector else lambda shots, _item: shots
        if self._budget is None:
            shots = arranged(chosen, item)
            laid = self._layout.lay(shots, item)
        else:
            laid, shots = self._fitted(self._budget, arranged, chosen, item)
        record: dict[str, Any] = {"id": item.name, "prompt": laid.text}
        record |= {"joint": laid.joint} if laid.joint else {}
        record |= {"gold": item.output} if item.output is not None else {}
        record |= {"input": item.input}
        record |= {"shots": [shot.name for shot in shots]} if self._selector else {}
        record |= {"labels": self._labels} if self._labels else {}
        record |= {"dropped": len(chosen) - len(shots)} if len(shots) < len(chosen) else {}
        record |= {"slot": None} if ANSWER in laid.text else {}
        return record | {
            key: value for key, value in item.record.items() if key not in record and key not in RESERVED_FIELDS
        }

    def _fitted(
        self, budget: Budget, arranged: Arrangement, chosen: list[Example], item: Example
    ) -> tuple[Prompt, list[Example]]:
        try:
            return budget.fitted(self._layout, arranged, chosen, item)
        except LmkitError as error:
            raise type(error)(f"{item.place}: {error}", hint=error.hint) from None
