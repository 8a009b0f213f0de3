"""Options of chat templates: which one, and the values that it is given."""

import json
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lmkit.commands.options.standard import UNRECORDED, suggested
from lmkit.errors import UsageError
from lmkit.io import streams

if TYPE_CHECKING:
    from lmkit.commands.loading.chat_templates import TemplateModel
    from lmkit.prompting.chat_templates import Chat

SYSTEM_HELP = "System message for conversations without one."
System = Annotated[
    str | None, typer.Option("--system", metavar="TEXT", show_default=False, help=SYSTEM_HELP)
]  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class ChatTemplateOptions:
    """The options of chat templates."""

    template: Annotated[
        str | None,
        typer.Option(
            "--template",
            metavar="NAME|FILE|FOLDER",
            show_default=False,
            callback=suggested("llama2", "llama2-meta", "chatml", "instruct"),
            help="Chat template: a name in MODEL, `llama2`, `llama2-meta`, `chatml`, `instruct`, a file, a model.",
        ),
        UNRECORDED,
    ] = None
    values: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            show_default=False,
            help="Variable of a Jinja2 template: JSON, or else text. Repeat for several.",
        ),
    ] = None
    day: Annotated[
        str | None,
        typer.Option("--date", metavar="YYYY-MM-DD", show_default=False, help="Current date for Jinja2 templates."),
    ] = None  # fmt: skip

    def chat(self, model: "TemplateModel | None") -> "Chat":
        """The template asked for, else the model's own. Raises UsageError, CheckpointError, DataError."""
        from lmkit.commands.loading.chat_templates import open_chat

        return open_chat(model, self.template, self._variables, self._today)

    @cached_property
    def _variables(self) -> dict[str, Any]:
        """The values of --set: JSON where it is that, else text. Raises UsageError."""
        found = {}
        for one in self.values or []:
            name, equals, value = streams.argument_text(one).partition("=")
            if not equals or not name.isidentifier():
                raise UsageError(f"--set {one!r}: expected NAME=VALUE")
            try:
                found[name] = json.loads(value)
            except (ValueError, RecursionError):
                found[name] = value
        return found

    @property
    def _today(self) -> date | None:
        try:
            return None if self.day is None else date.fromisoformat(self.day)
        except ValueError:
            raise UsageError(
                f"--date {self.day!r} is not a date", hint="use YYYY-MM-DD, such as --date 2024-07-26"
            ) from None
