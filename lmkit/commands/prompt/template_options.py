"""Named formats for commands: a format with its task, and the prompts that it makes of an item."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any

import typer

from lmkit.commands.loading import models as opening
from lmkit.commands.records.items import Item
from lmkit.errors import UsageError
from lmkit.prompting import named_templates
from lmkit.prompting.slot_templates import FilledTemplate

Task = Annotated[
    str | None,
    typer.Option(
        "--task", metavar="TEXT", show_default=False,
        help="For `t5` the prefix of inputs, such as summarize, else the record's `task`; for `gpt1` similarity: "
        "each pair in both orders.",
    ),
]  # fmt: skip


@dataclass(frozen=True)
class Style:
    """A format of `formats.FORMATS` by its name. Raises UsageError for a task that it has not."""

    name: str
    task: str | None = None

    def __post_init__(self) -> None:
        allowed = self.name == "t5" or (self.name == "gpt1" and self.task == named_templates.SIMILARITY)
        if self.task is not None and not allowed:
            raise UsageError(f"--task {self.task!r} is not for {self.name}", hint="t5 has tasks, and gpt1 similarity")

    @property
    def format(self) -> named_templates.Format:
        """What the table says of it."""
        return named_templates.FORMATS[self.name]

    def prompts(self, item: Item) -> list[tuple[Item, FilledTemplate]]:
        """The prompts of an item. Raises DataError naming its place."""
        with opening.error_context(item.place):
            return [(given, named_templates.render(self.format, given.fields)) for given in self._given(item)]

    def _given(self, item: Item) -> list[Item]:
        """The item with its task, or the two orders of a pair, with names of their own and the `pair` they are of."""
        if self.task is None:
            return [item]
        if self.name == "t5":
            return [replace(item, fields={**item.fields, "task": self.task.removesuffix(":")})]
        return [
            replace(item, fields={**fields, "pair": item.id, "order": order}, id=f"{item.id}-{order}")
            for order, fields in named_templates.both_orders(item.fields)
        ]


def examples() -> list[Mapping[str, Any]]:
    """Each format with the fields that it takes and an example."""
    return [
        {
            "name": name, "fields": ", ".join(style.example),
            "example": named_templates.render(style, style.example).text,
        }
        for name, style in named_templates.FORMATS.items()
    ]  # fmt: skip
