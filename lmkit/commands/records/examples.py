"""What `lmkit prompt` reads: examples of TSV, JSON Lines or plain lines; records with prompts."""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from lmkit.commands.loading import models as opening
from lmkit.commands.options.standard import Run
from lmkit.errors import DataError
from lmkit.io import streams
from lmkit.io.records import from_json, take_id, to_json
from lmkit.prompting.examples import INPUTS, OUTPUTS, Example

GROUP = 256  # lines that are worked on together, at most
FORMS = ("auto", "text", "tsv", "jsonl")
_RECORD = re.compile(rb"\s*\{\s*\".*\}\s*", re.DOTALL)
_COMPRESSED = (".gz", ".bz2", ".xz", ".zst")


class ExampleTexts:
    """Lines that are taken for texts: says where a file looks like something else, and how many lines are empty."""

    def __init__(self, run: Run) -> None:
        self._run, self._empty = run, 0

    def see(self, place: str, line: bytes, asked: str) -> None:
        """Looks at a line; of a file whose form was not `asked` for the first may tell what it is."""
        if not line.strip():
            self._empty += 1
        elif asked == "auto" and place.endswith(":1"):
            shown = place.removesuffix(":1")
            if _RECORD.fullmatch(line):
                self._run.terminal.notice(f"{shown}: JSON Lines, taken for texts; --input jsonl takes records")
            elif line.count(b"\t") == 1:
                self._run.terminal.notice(f"{shown}: lines with tabs, taken for texts; --input tsv parts them")

    def close(self) -> None:
        """Says how many were empty, if any."""
        if self._empty:
            said = "1 empty line was taken for an item" if self._empty == 1 else None
            self._run.terminal.notice(said or f"{self._empty} empty lines were taken for items")


class Fields(NamedTuple):
    """The fields of a record that may have its text, and those that may have what is right for it; the first counts."""

    inputs: Sequence[str] = INPUTS
    outputs: Sequence[str] = OUTPUTS


FIELDS = Fields()


def fields_of(input_field: str | None, output_field: str | None) -> Fields:
    """The fields that options name, or else the usual ones."""
    return Fields(
        INPUTS if input_field is None else (input_field,), OUTPUTS if output_field is None else (output_field,)
    )


def form_of(name: str, asked: str, otherwise: str) -> str:
    """Whether a file has `tsv`, records (`jsonl`) or plain lines (`text`); `auto` goes by its name."""
    if asked != "auto":
        return asked
    plain = name.lower()
    for ending in _COMPRESSED:
        plain = plain.removesuffix(ending)
    known = {".tsv": "tsv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".txt": "text"}
    return next((form for ending, form in known.items() if plain.endswith(ending)), otherwise)


def examples(
    run: Run, name: str, form: str, *, labelled: bool, fields: Fields = FIELDS, errors: str = "strict", before: int = 0,
    see: Callable[[str, bytes], None] = lambda _place, _line: None,
) -> Iterator[Example]:  # fmt: skip
    """The examples of a file, as they come; `labelled`: each must say what is right. Raises DataError.

    They are numbered by their lines, from `before` on. Blank lines are no records.
    `see` is shown the lines that are taken for texts, with their places.
    """
    for number, (place, line) in enumerate(lines(run, name, errors), before + 1):
        if form == "jsonl":
            if not line.strip():
                continue
            found = _of_record(_checked(from_json(line, place), line, place), number, place, fields)
        else:
            if form == "text":
                see(place, line)
            found = _of_line(line.decode(), form, number, place)
        if labelled and found.output is None:
            raise DataError(f"{place}: no output", hint=_missing(form, fields))
        yield found


def items(
    run: Run, files: Sequence[str], asked: str, *, fields: Fields = FIELDS, errors: str = "strict",
    otherwise: str = "text",
) -> Iterator[Example]:  # fmt: skip
    """The items of several files in order, as they come; their numbers go on from file to file. Raises DataError.

    `otherwise` is the form of files whose names tell none.
    """
    before, texts = 0, ExampleTexts(run)
    for name in files:
        number = before
        for item in examples(
            run, name, form_of(name, asked, otherwise), labelled=False, fields=fields, errors=errors, before=before,
            see=lambda place, line: texts.see(place, line, asked),
        ):  # fmt: skip
            number = item.number
            yield item
        before = number
    texts.close()


def lines(run: Run, name: str, errors: str | None = None) -> Iterator[tuple[str, bytes]]:
    """The lines of a file with their places; `errors` as --encoding-errors has it, None where it is not there."""
    for group in groups_of_lines(run, name, errors):
        yield from group


def groups_of_lines(run: Run, name: str, errors: str | None = None) -> Iterator[list[tuple[str, bytes]]]:
    """The same in groups of lines that are there at once."""
    reader = streams.TextReader(eager=True) if errors is None else opening.text_reader(errors, eager=True)
    shown, number = streams.display(name), 0
    for block in opening.warn_if_checkpoint(run, name, reader.blocks(name)):
        found = block[:-1].split(b"\n")
        for begin in range(0, len(found), GROUP):
            group = found[begin : begin + GROUP]
            yield [(f"{shown}:{at}", line) for at, line in enumerate(group, number + begin + 1)]
        number += len(found)
    opening.warn_replaced_bytes(run, reader)


def _missing(form: str, fields: Fields) -> str:
    if form == "jsonl":
        return f"a record with a field {' or '.join(map(repr, fields.outputs))}"
    return "an input, a tab, an output"


def _of_line(line: str, form: str, number: int, place: str) -> Example:
    if form == "text":
        return Example(line, number=number, place=place)
    fields = line.split("\t")
    if len(fields) > 2:
        raise DataError(f"{place}: {len(fields)} fields, expected an input, a tab and an output")
    return Example(fields[0], fields[1] if len(fields) == 2 else None, number=number, place=place)


def _of_record(record: dict[str, Any], number: int, place: str, fields: Fields) -> Example:
    text = _taken(record, fields.inputs, place)
    if text is None:
        shown = ", ".join(map(repr, list(record)[:8]))
        raise DataError(
            f"{place}: no field {' or '.join(map(repr, fields.inputs))}", hint=f"there is {shown}" if record else None
        )
    output = _taken(record, fields.outputs, place)
    return Example(text, output, take_id(record, place), number, place, record)


def _taken(record: dict[str, Any], names: Sequence[str], place: str) -> str | None:
    """The first of these fields that is there and not null, as text, taken out of the record."""
    for name in names:
        value = record.pop(name, None)
        if value is not None:
            if not isinstance(value, str | int | float):
                raise DataError(f"{place}: the field {name!r} is of another type, expected a text, number or boolean")
            return str(value).lower() if isinstance(value, bool) else str(value)
    return None


def _checked(record: dict[str, Any], line: bytes, place: str) -> dict[str, Any]:
    """The record itself. Raises DataError where it has what can't be written as UTF-8."""
    if b"\\ud" in line or b"\\uD" in line:
        try:
            to_json(record).encode()
        except UnicodeEncodeError:
            raise DataError(f"{place}: half a surrogate pair, which is no character") from None
    return record
