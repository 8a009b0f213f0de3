"""Options that hold generated texts to a grammar or check their format, and the grammar that they ask for."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lmkit.commands.options.standard import choice as one_of
from lmkit.errors import DataError, UsageError
from lmkit.io import size_limits, streams, text_files
from lmkit.isolation import LimitError

if TYPE_CHECKING:
    from lmkit.generation.grammars import Grammar


@dataclass(frozen=True, kw_only=True)
class ConstraintOptions:
    """The options of constraints. Raises UsageError for several grammars."""

    json_schema: Annotated[
        str | None,
        typer.Option(
            "--json-schema",
            metavar="FILE|JSON",
            show_default=False,
            help='Generate only JSON that matches this schema, spaced as in `{"a": [1, 2]}`.',
        ),
    ] = None
    regex: Annotated[
        str | None,
        typer.Option(
            "--regex",
            metavar="PATTERN",
            show_default=False,
            help="Generate only texts that match PATTERN completely (no look-around, no backreferences).",
        ),
    ] = None
    choice: Annotated[
        list[str] | None,
        typer.Option(
            "--choice", metavar="TEXT", show_default=False, help="Generate only TEXT. Repeat for several choices."
        ),
    ] = None
    grammar: Annotated[
        str | None,
        typer.Option(
            "--grammar",
            metavar="FILE",
            show_default=False,
            help="Generate only texts of this grammar, in llguidance's variant of Lark.",
        ),
    ] = None
    format: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="json|csv",
            callback=one_of("json", "csv"),
            show_default=False,
            help="Check that each text is `json`, or `csv` with equally long rows; exit status 1 if one is not.",
        ),
    ] = None

    def __post_init__(self) -> None:
        if len(self.options) > 1:
            raise UsageError(f"{' and '.join(self.options)} exclude each other")

    @property
    def options(self) -> list[str]:
        """The options that were given, one at most."""
        given = {
            "--json-schema": self.json_schema, "--regex": self.regex, "--choice": self.choice or None,
            "--grammar": self.grammar,
        }  # fmt: skip
        return [name for name, value in given.items() if value is not None]

    @property
    def file(self) -> str | None:
        """The file that an option names."""
        schema = self.json_schema
        return schema if schema is not None and not schema.lstrip().startswith(("{", "[")) else self.grammar

    def wanted(self) -> "Grammar | None":
        """The grammar that is asked for. Raises DataError for a file that can't be read."""
        if not self.options:
            return None
        from lmkit.generation import grammars

        grammars.engine()
        text = (self.json_schema or "") if self.file is None else _decoded(self.file)
        with self.about():
            if self.regex is not None:
                return grammars.Grammar("regex", streams.argument_text(self.regex))
            if self.choice:
                return grammars.Grammar("choice", [streams.argument_text(text) for text in self.choice])
            if self.grammar is not None:
                return grammars.Grammar("grammar", text)
            return grammars.grammar_in({"json_schema": _parsed(text if self.file else streams.argument_text(text))})

    @contextmanager
    def about(self) -> Iterator[None]:
        """Puts the name of a file before an error in its grammar; an error in an option is a usage error."""
        option = "".join(self.options)
        try:
            yield
        except LimitError as error:
            raise LimitError(f"{option}: {error}") from None
        except DataError as error:
            if self.file is None:
                raise UsageError(f"{option}: {error}", hint=error.hint) from None
            raise DataError(f"{streams.display(self.file)}: {error}", hint=error.hint) from None


def _decoded(name: str) -> str:
    try:
        return bytes(streams.read_limited(name, size_limits.DOCUMENT)).removeprefix(text_files.BOM).decode()
    except UnicodeDecodeError as error:
        raise DataError(
            f"{streams.display(name)}: not UTF-8: byte 0x{error.object[error.start]:02x} at {error.start + 1}"
        ) from None


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise DataError(f"not JSON: {error.msg} (line {error.lineno}, column {error.colno})") from None
    except RecursionError:
        raise DataError("JSON nested too deeply") from None
    except ValueError as error:  # a number of thousands of digits
        raise DataError(f"unreadable JSON ({str(error).partition(';')[0]})") from None
