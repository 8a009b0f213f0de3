"""Templates as commands take them: a text, a file of one, or a named format; and the prompts of items by these."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated, Any

import typer

from lmkit.commands.loading import models as opening
from lmkit.commands.options import prompting
from lmkit.commands.records import items
from lmkit.errors import DataError, UsageError
from lmkit.io import size_limits, streams, yaml_json
from lmkit.prompting import named_templates, slot_templates
from lmkit.prompting.examples import INPUTS, OUTPUTS
from lmkit.prompting.slot_templates import FilledTemplate

JINJA = (".j2", ".jinja", ".jinja2")
Render = Callable[[Sequence[Mapping[str, Any]]], Iterator[FilledTemplate]]
FilledPrompt = Iterator[tuple[items.Item, FilledTemplate, Mapping[str, Any], Sequence[str]]]
Task = Annotated[
    str | None,
    typer.Option(
        "--task", metavar="TEXT", show_default=False,
        help="Task of a named template: for `t5` the prefix, such as `summarize` (default: the record's `task`); for "
        "`gpt1` `similarity`, which writes each pair in both orders.",
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
            raise UsageError(
                f"--task {self.task!r} does not apply to {self.name}",
                hint="`t5` takes any task, `gpt1` takes similarity",
            )

    @property
    def format(self) -> named_templates.Format:
        """Its entry in the table."""
        return named_templates.FORMATS[self.name]

    def prompts(self, item: items.Item) -> list[tuple[items.Item, FilledTemplate]]:
        """The prompts of an item. Raises DataError naming its place."""
        with opening.error_context(item.place):
            return [(given, named_templates.render(self.format, given.fields)) for given in self._given(item)]

    def _given(self, item: items.Item) -> list[items.Item]:
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


def filler_of(template: str, task: str | None = None, answers: str = "text") -> "TemplateFiller":
    """What makes prompts by a template, a file of one (@FILE), or a named format. Raises UsageError, DataError."""
    if template in named_templates.FORMATS:
        return _Named(Style(template, task), answers)
    if task is not None:
        raise UsageError("--task needs a named template")
    return TemplateFiller(renderer(template))


class TemplateFiller:
    """Makes prompts of items by a template of slots or of Jinja2, as `of` does of several."""

    columns: Sequence[str] = ("input", "output")

    def __init__(self, render: Render) -> None:
        self._render = render

    def of(self, given: Sequence[items.Item]) -> FilledPrompt:
        """Each item, its prompt, more fields of its record, and those that do not pass through."""
        prompts = self._render([item.fields for item in given])
        for item in given:
            with opening.error_context(item.place):
                filled = next(prompts)
            gold, said_by = items.output_in(item, OUTPUTS)
            yield item, filled, {} if gold is None else {"gold": gold}, [said_by or ""]


class _Named(TemplateFiller):
    """Makes prompts in a named format."""

    def __init__(self, style: Style, answers: str) -> None:
        self._style, self._answers = style, answers
        self.columns = style.format.columns

    def of(self, given: Sequence[items.Item]) -> FilledPrompt:
        """See `TemplateFiller.of`."""
        for item in given:
            yield from self._of_one(item)

    def _of_one(self, item: items.Item) -> FilledPrompt:
        for given, filled in self._style.prompts(item):
            gold, said_by = items.output_in(given, self._style.format.outputs)
            more: dict[str, Any] = {}
            if self._style.name == "t0-mcq":
                with opening.error_context(item.place):
                    gold = named_templates.right_choice(item.fields, self._answers)
                    more["candidates"] = named_templates.candidates(item.fields, self._answers)
            yield given, filled, {**({} if gold is None else {"gold": gold}), **more}, [said_by or ""]


def file_of(template: str) -> str | None:
    """The file that @FILE names, None for a text."""
    return template[1:] if template.startswith("@") else None


def renderer(template: str) -> Render:
    """What makes a prompt of each of several records, by a template of slots or of Jinja2, typed or in a @FILE.

    Raises UsageError for one that was typed wrong, DataError for one in a file. What it gives raises
    DataError, without a place, for records that it can't be filled with.
    """
    name = file_of(template)
    text = (
        prompting.unescaped(template) if name is None else yaml_json.text(name, size_limits.TEMPLATE).removesuffix("\n")
    )
    try:
        shown = "--template" if name is None else streams.display(name)
        made = text_renderer(text, shown, jinja=(name or "").endswith(JINJA))
    except DataError as error:
        if name is None:
            raise UsageError(f"--template: {error}", hint=error.hint) from None
        raise DataError(f"{streams.display(name)}: {error}", hint=error.hint) from None
    if made is None and name is not None:
        raise DataError(f"{streams.display(name)}: the template has neither [X] nor Jinja2")
    if made is None:
        hint = (
            f"use --template @{template} to read the file"
            if os.path.exists(template)
            else "--list shows the named templates"
        )
        raise UsageError(f"template {template!r} has no [X] and is not the name of a template", hint=hint)
    return made


def text_renderer(text: str, place: str, *, jinja: bool = False) -> Render | None:
    """What makes a prompt of each of several records by a template; None where nothing of a record is in it.

    Raises DataError for one that is wrong; `place` is where it is, for messages of Jinja2.
    """
    if jinja or "{{" in text or "{%" in text:
        return _by_jinja(text, place)
    parsed = slot_templates.parse(text)
    if not parsed.slots:
        return None
    return lambda records: (parsed.fill(partial(slot_templates.text_in, record)) for record in records)


def _by_jinja(text: str, name: str) -> Render:
    from lmkit.prompting.jinja_sandbox import LimitedTemplate

    template = LimitedTemplate(text, name=name)

    def values(record: Mapping[str, Any]) -> Mapping[str, Any]:
        own = next((record[name] for name in INPUTS if name in record), None)
        return {**record, **({} if own is None else {"X": own})}

    return partial(slot_templates.located_each, lambda records: template.render_each(map(values, records)))
