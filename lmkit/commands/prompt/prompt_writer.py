"""Prompts made one after another, a record for each: items are read as they come, examples are held in memory."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lmkit.commands.loading import models as opening
from lmkit.commands.options.standard import Run
from lmkit.commands.prompt.demonstrations import DemonstrationSelector
from lmkit.commands.records import examples as example_records
from lmkit.errors import UsageError
from lmkit.io.record_reader import form_of
from lmkit.io.records import to_json
from lmkit.io.streams import Output
from lmkit.prompting.examples import Example, labels_of
from lmkit.prompting.slot_templates import ANSWER

LISTED = 20
"""Most distinct outputs that are listed as labels."""
RESERVED_FIELDS = ("prompt", "joint", "input", "shots", "dropped", "slot")
"""Fields that say something of the prompt they stand with, which an item's own would contradict."""


@dataclass(frozen=True)
class LengthOptions:
    """The options about how long a prompt may be."""

    model: str | None
    max_tokens: int | None
    room: int

    def check(self) -> None:
        """Raises UsageError for options that make no sense together."""
        if (self.model is None) != (self.max_tokens is None):
            raise UsageError("--max-tokens and --model go together: its tokens are what is counted")
        if self.max_tokens is None and self.room:
            raise UsageError("--room goes with --max-tokens")
        if self.max_tokens is not None and self.room >= self.max_tokens:
            raise UsageError(f"--room {self.room} leaves nothing of --max-tokens {self.max_tokens}")

    def budget(self) -> Any:
        """What keeps to it; None where any length will do."""
        from lmkit.prompting.token_budget import Budget
        from lmkit.prompting.token_counts import size_in

        if self.model is None or self.max_tokens is None:
            return None
        if opening.is_folder(self.model):
            size = size_in(opening.open_tokenizer(self.model), None)
        else:
            opened = opening.open_any(self.model)
            size = size_in(opening.tokenizer_of(opened, self.model), getattr(opened, "form", None))
        return Budget(self.max_tokens - self.room, size)


class PromptWriter:
    """Makes prompts of items by one layout; with a chooser they show examples, within a budget."""

    def __init__(self, layout: Any, chooser: DemonstrationSelector | None, budget: Any, labels: Sequence[str]) -> None:
        self._layout, self._chooser, self._budget, self._labels = layout, chooser, budget, list(labels)

    def record(self, item: Example) -> dict[str, Any]:
        """An item's record. Raises DataError, naming its place, for too few examples and for too little room."""
        chosen = self._chooser.chosen(item) if self._chooser else []
        arranged = self._chooser.arranged if self._chooser else lambda shots, _item: shots
        if self._budget is None:
            shots = arranged(chosen, item)
            laid = self._layout.lay(shots, item)
        else:
            with opening.error_context(item.place):
                laid, shots = self._budget.fitted(self._layout, arranged, chosen, item)
        record: dict[str, Any] = {"id": item.name, "prompt": laid.text}
        record |= {"joint": laid.joint} if laid.joint else {}
        record |= {"gold": item.output} if item.output is not None else {}
        record |= {"input": item.input}
        record |= {"shots": [shot.name for shot in shots]} if self._chooser else {}
        record |= {"labels": self._labels} if self._labels else {}
        record |= {"dropped": len(chosen) - len(shots)} if len(shots) < len(chosen) else {}
        record |= {"slot": None} if ANSWER in laid.text else {}
        return record | {
            key: value for key, value in item.record.items() if key not in record and key not in RESERVED_FIELDS
        }

    def write(self, run: Run, items: Iterable[Example], out: Output) -> None:
        """Writes the record of each item as they come, and tells how many examples there was room for."""
        for item in items:
            out.line(to_json(self.record(item)))
        if self._budget is not None and self._budget.kept:
            run.terminal.notice(f"kept {', '.join(_kept(self._budget.kept))}")


def _kept(counts: Mapping[tuple[int, int], int]) -> Iterator[str]:
    """How many examples were kept in how many prompts, most examples first; what is counted is said once."""
    for place, ((kept, asked), prompts) in enumerate(sorted(counts.items(), reverse=True)):
        nouns = ("", "") if place else (" examples", " prompt" if prompts == 1 else " prompts")
        yield f"{kept} of {asked}{nouns[0]} in {prompts}{nouns[1]}"


def read(run: Run, shots: str, form: str, fields: example_records.Fields, errors: str) -> list[Example]:
    """The examples of SHOTS. Raises DataError for one without an output."""
    form = form_of(shots, form, "tsv")
    if form == "text":  # lines of a .txt file have their outputs behind a tab
        form = "tsv"
    return list(example_records.examples(run, shots, form, labelled=True, fields=fields, errors=errors))


def labels_in(examples: Sequence[Example]) -> list[str]:
    """The distinct outputs of examples, in order of first appearance; none where they are too many to be labels."""
    labels = labels_of(examples)
    return labels if len(labels) <= LISTED else []
