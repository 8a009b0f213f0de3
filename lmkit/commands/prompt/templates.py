"""Templates as commands are given them: a text, or a file of one, with slots or in Jinja2."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from lmkit.commands.options import prompting
from lmkit.errors import DataError, UsageError
from lmkit.io import size_limits, streams, yaml_json
from lmkit.prompting import slot_templates
from lmkit.prompting.examples import INPUTS
from lmkit.prompting.slot_templates import FilledTemplate

JINJA = (".j2", ".jinja", ".jinja2")
Render = Callable[[Sequence[Mapping[str, Any]]], Iterator[FilledTemplate]]


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
        if (name or "").endswith(JINJA) or "{{" in text or "{%" in text:
            return _by_jinja(text, "--template" if name is None else streams.display(name))
        parsed = slot_templates.parse(text)
    except DataError as error:
        if name is None:
            raise UsageError(f"--template: {error}", hint=error.hint) from None
        raise DataError(f"{streams.display(name)}: {error}", hint=error.hint) from None
    if not parsed.slots and name is not None:
        raise DataError(f"{streams.display(name)}: no [X] in the template, and nothing of Jinja2")
    if not parsed.slots:
        hint = f"--template @{template} reads the file" if os.path.exists(template) else "--list shows named formats"
        raise UsageError(f"no [X] in the template {template!r}, and no format has that name", hint=hint)
    return lambda records: (parsed.fill(partial(slot_templates.text_in, record)) for record in records)


def _by_jinja(text: str, name: str) -> Render:
    from lmkit.prompting.jinja_sandbox import LimitedTemplate

    template = LimitedTemplate(text, name=name)

    def values(record: Mapping[str, Any]) -> Mapping[str, Any]:
        own = next((record[name] for name in INPUTS if name in record), None)
        return {**record, **({} if own is None else {"X": own})}

    return partial(slot_templates.located_each, lambda records: template.render_each(map(values, records)))
