"""Options of candidate answers and of the labels that they represent."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lmkit.commands.loading import models as opening
from lmkit.commands.options.standard import Run, choice
from lmkit.commands.records.questions import distinct
from lmkit.errors import DataError, UsageError
from lmkit.io import streams, text_files, yaml_json

if TYPE_CHECKING:
    from lmkit.prompting.verbalizers import Verbalizer

Candidates = Annotated[
    list[str] | None,
    typer.Option(
        "--candidates", "--labels", metavar="LIST", show_default=False,
        help="Comma-separated candidate answers (spaces around commas are dropped). Repeat the option to give one "
        "answer verbatim each time.",
    ),
]  # fmt: skip
CandidatesFile = Annotated[
    str | None,
    typer.Option(
        "--candidates-file", metavar="FILE", show_default=False, help="File of candidate answers, one per line."
    ),
]
VerbalizerFile = Annotated[
    str | None,
    typer.Option(
        "--verbalizer", metavar="FILE", show_default=False,
        help="Verbalizer, a JSON file: each label with a list of words, or each word with its label.",
    ),
]  # fmt: skip
Aggregate = Annotated[
    str,
    typer.Option(
        "--aggregate", metavar="METHOD", callback=choice("sum", "max"),
        help="Score of a label: the `sum` of its words' probabilities, or their `max`.",
    ),
]  # fmt: skip
Strict = Annotated[
    bool,
    typer.Option("--strict", help="Fail (exit status 3) unless the verbalizer's words are exactly the candidates."),
]


def named(listed: Sequence[str] | None, file: str | None) -> tuple[str, ...] | None:
    """The candidates that options name; None without such options. Raises UsageError, or DataError for a file."""
    if listed and file is not None:
        raise UsageError("--candidates and --candidates-file exclude each other")
    if file is not None:
        lines = [line.decode() for line in text_files.TextReader().lines(file)]
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
    """A JSON object as it was written, repeated names included."""


def verbalizer_in(name: str) -> "Verbalizer":
    """The verbalizer of a file. Raises DataError for anything else."""
    from lmkit.prompting.verbalizers import verbalizer_of

    with opening.error_context(name):
        try:
            pairs = json.loads(yaml_json.text(name), object_pairs_hook=_Pairs)
        except json.JSONDecodeError as error:
            raise DataError(f"not JSON: {error.msg} (line {error.lineno}, column {error.colno})") from None
        except (ValueError, RecursionError):
            raise DataError("unreadable JSON") from None
        if not isinstance(pairs, _Pairs):
            raise DataError("not a JSON object in braces")
        return verbalizer_of(pairs)


def warn_unknown_labels(run: Run, count: int) -> None:
    """Warns of records whose gold label is not a candidate."""
    if count:
        subject = f"{count} records have" if count > 1 else "1 record has"
        run.terminal.notice(f"{subject} a gold label that is not among the candidates")
