"""Options of the answers to choose from, and of the labels that they stand for."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lmkit.commands.loading import models as opening
from lmkit.commands.options.standard import Run, choice
from lmkit.commands.records.questions import distinct
from lmkit.errors import DataError, UsageError
from lmkit.io import streams, yaml_json

if TYPE_CHECKING:
    from lmkit.prompting.verbalizers import Verbalizer

Candidates = Annotated[
    list[str] | None,
    typer.Option(
        "--candidates", "--labels", metavar="LIST", show_default=False,
        help="The answers to choose from, parted by commas without the blanks there; repeated, each is one as it is.",
    ),
]  # fmt: skip
CandidatesFile = Annotated[
    str | None,
    typer.Option("--candidates-file", metavar="FILE", show_default=False, help="The answers, one a line."),
]
VerbalizerFile = Annotated[
    str | None,
    typer.Option(
        "--verbalizer", metavar="FILE", show_default=False,
        help="Labels of answers, JSON: each label with a list of words, or each word with its label.",
    ),
]  # fmt: skip
Aggregate = Annotated[
    str,
    typer.Option(
        "--aggregate", metavar="WAY", callback=choice("sum", "max"),
        help="A label's score: `sum` of its words' probabilities, or their `max`.",
    ),
]  # fmt: skip
Strict = Annotated[
    bool, typer.Option("--strict", help="Refuse a verbalizer that does not map just the candidates, exit status 3.")
]


def named(listed: Sequence[str] | None, file: str | None) -> tuple[str, ...] | None:
    """The candidates that options name; None where they name none. Raises UsageError, and DataError for a file's."""
    if listed and file is not None:
        raise UsageError("--candidates and --candidates-file exclude each other")
    if file is not None:
        lines = [line.decode() for line in streams.TextReader().lines(file)]
        if not lines:
            raise DataError(f"{streams.display(file)}: no answers")
        return distinct(tuple(lines), streams.display(file))
    if not listed:
        return None
    texts = [streams.argument_text(text) for text in listed]
    try:
        return distinct(
            tuple([one.strip() for one in texts[0].split(",")] if len(texts) == 1 else texts), "--candidates"
        )
    except DataError as error:
        raise UsageError(str(error)) from None


class _Pairs(list[tuple[str, Any]]):
    """An object of JSON as it was written, names that come twice included."""


def verbalizer_in(name: str) -> "Verbalizer":
    """The verbalizer of a file. Raises DataError where it holds none."""
    from lmkit.prompting.verbalizers import verbalizer_of

    with opening.error_context(name):
        try:
            pairs = json.loads(yaml_json.text(name), object_pairs_hook=_Pairs)
        except json.JSONDecodeError as error:
            raise DataError(f"not JSON: {error.msg} (line {error.lineno}, column {error.colno})") from None
        except (ValueError, RecursionError):
            raise DataError("not JSON that can be read") from None
        if not isinstance(pairs, _Pairs):
            raise DataError("not a JSON object, in braces")
        return verbalizer_of(pairs)


def warn_unknown_labels(run: Run, count: int) -> None:
    """Says how many records can't be answered right."""
    if count:
        run.terminal.notice(f"gold of {count} record{'s' if count > 1 else ''} is no candidate")
