"""Prompts of items by a template or a named format, with what is right for each."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lmkit.commands.loading import models as opening
from lmkit.commands.prompt import template_options, templates
from lmkit.commands.records import items
from lmkit.errors import UsageError
from lmkit.prompting import named_templates
from lmkit.prompting.examples import OUTPUTS
from lmkit.prompting.slot_templates import FilledTemplate

FilledPrompt = Iterator[tuple[items.Item, FilledTemplate, Mapping[str, Any], Sequence[str]]]


def filler_of(template: str, task: str | None = None, answers: str = "text") -> "TemplateFiller":
    """What makes prompts by a template, a file of one (@FILE), or a named format. Raises UsageError, DataError."""
    if template in named_templates.FORMATS:
        return _Named(template_options.Style(template, task), answers)
    if task is not None:
        raise UsageError("--task is for named formats")
    return TemplateFiller(templates.renderer(template))


class TemplateFiller:
    """Makes prompts of items by a template of slots or of Jinja2, as `of` does of several."""

    columns: Sequence[str] = ("input", "output")

    def __init__(self, render: templates.Render) -> None:
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

    def __init__(self, style: template_options.Style, answers: str) -> None:
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
