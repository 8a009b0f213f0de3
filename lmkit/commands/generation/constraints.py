"""Options that hold generated texts to a grammar or check their format: what they ask for, and how it came out."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lmkit.commands.options.standard import choice
from lmkit.errors import DataError, UnmetError, UsageError
from lmkit.io import size_limits, streams
from lmkit.isolation import LimitError

if TYPE_CHECKING:
    from lmkit.generation.constraints import ConstraintState, Grammars
    from lmkit.generation.engine import Completion
    from lmkit.generation.grammars import Grammar

NAMED = 10  # texts that are named in a message

JsonSchema = Annotated[
    str | None,
    typer.Option(
        "--json-schema", metavar="FILE|JSON", show_default=False,
        help='Only JSON that this schema allows, written as `{"a": [1, 2]}`.',
    ),
]  # fmt: skip
Regex = Annotated[
    str | None,
    typer.Option(
        "--regex", metavar="PATTERN", show_default=False,
        help="Only texts that match as a whole, without look-around and backreferences.",
    ),
]  # fmt: skip
Choices = Annotated[
    list[str] | None,
    typer.Option("--choice", metavar="TEXT", show_default=False, help="Only this text; repeat for several."),
]
GrammarFile = Annotated[
    str | None,
    typer.Option(
        "--grammar",
        metavar="FILE",
        show_default=False,
        help="Only texts of this grammar, in llguidance's form of Lark.",
    ),
]
Format = Annotated[
    str | None,
    typer.Option(
        "--format", metavar="json|csv", callback=choice("json", "csv"), show_default=False,
        help="Check that each text is `json`, or `csv` with as many fields in each row; status 1 where one is not.",
    ),
]  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class ConstraintOptions:
    """The options that say what texts are held to. Raises UsageError for several grammars."""

    json_schema: JsonSchema = None
    regex: Regex = None
    choice: Choices = None
    grammar: GrammarFile = None
    format: Format = None

    def __post_init__(self) -> None:
        if len(self.options) > 1:
            raise UsageError(f"{' and '.join(self.options)} exclude each other")

    @property
    def options(self) -> list[str]:
        """Those that were given, one at most."""
        given = {
            "--json-schema": self.json_schema, "--regex": self.regex, "--choice": self.choice or None,
            "--grammar": self.grammar,
        }  # fmt: skip
        return [name for name, value in given.items() if value is not None]

    @property
    def file(self) -> str | None:
        """The file that one of them names."""
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

    def about(self) -> "_About":
        """Says of what is wrong with the grammar where it is: a file, or an option, which makes it a usage error."""
        return _About(self.file, "".join(self.options))


class _About:
    """Puts the name of a file or option in front of what is wrong with it."""

    def __init__(self, file: str | None, option: str) -> None:
        self.file, self._option = file, option

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: object, _trace: object) -> None:
        if isinstance(error, LimitError):
            raise LimitError(f"{self._option}: {error}") from None
        if isinstance(error, DataError):
            if self.file is None:
                raise UsageError(f"{self._option}: {error}", hint=error.hint) from None
            raise DataError(f"{streams.display(self.file)}: {error}", hint=error.hint) from None


def _decoded(name: str) -> str:
    try:
        return bytes(streams.read_limited(name, size_limits.DOCUMENT)).removeprefix(streams.BOM).decode()
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
        raise DataError(f"not JSON that can be read ({str(error).partition(';')[0]})") from None


class ConstraintReport:
    """Gives texts their constraints, and keeps account of those that came out otherwise than they should."""

    def __init__(self, model: Any, asked: ConstraintOptions) -> None:
        self._model = model
        self._asked = asked
        self._grammar = asked.wanted()
        self._format = asked.format
        self._grammars: Grammars | None = None
        self._texts = 0
        self._cut: list[str] = []
        self._misshapen: list[str] = []
        if self._grammar is not None:
            self.constraint()  # what is wrong with it is told before anything is written

    def constraint(self, record: Mapping[str, Any] | None = None) -> "ConstraintState | None":
        """What the next text is held to: by its record where that says so, else by the options.

        Raises DataError, or UsageError, for a grammar that is wrong or that the model's tokens can't spell.
        """
        own = self._known().constraint_of(record) if record else None
        if own is not None:
            return own
        if self._grammar is None:
            return None
        with self._asked.about():
            return self._known().constraint(self._grammar)

    def _known(self) -> "Grammars":
        if self._grammars is None:
            from lmkit.generation.constraints import Grammars

            self._grammars = Grammars(self._model)
        return self._grammars

    def take(self, done: "Completion", name: object) -> None:
        """Looks at a text, which goes by a name."""
        self._texts += 1
        if not self.said(done).get("complete", True):
            self._cut.append(str(name))
        if self._format is not None:
            from lmkit.generation.output_formats import is_format

            if not is_format(self._format, done.text):
                self._misshapen.append(str(name))

    def said(self, done: "Completion") -> dict[str, bool]:
        """Whether a text is complete, as its record says it; nothing of one that is held to nothing."""
        constraint: Any = done.request.constraint
        if constraint is None:
            return {}
        return {"complete": self._known().matches(constraint.grammar, done.text)}

    def close(self) -> None:
        """Raises UnmetError where some text is not as asked for."""
        wrong = []
        if self._cut:
            wrong.append(
                f"{len(self._cut)} of {self._texts} texts were cut before they were complete: {_few(self._cut)}"
            )
        if self._misshapen:
            what = f"not valid {'JSON' if self._format == 'json' else 'CSV'}"
            wrong.append(f"{len(self._misshapen)} of {self._texts} texts are {what}: {_few(self._misshapen)}")
        if wrong:
            hint = "a larger --max-tokens lets texts be completed" if self._cut else None
            raise UnmetError("; ".join(wrong), hint=hint)


def _few(names: Sequence[str]) -> str:
    """Names of texts, not too many."""
    shown = ", ".join(names[:NAMED])
    return f"id {shown}" + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")
