"""What `lmkit prompt` reads: examples of TSV, JSON Lines or plain lines; records with prompts."""

from collections.abc import Iterable, Iterator
from typing import Any

from lmkit.commands import models as opening
from lmkit.commands.options import Run
from lmkit.edge import streams
from lmkit.edge.records import from_json
from lmkit.errors import DataError
from lmkit.using.prompting.examples import Example

FORMS = ("auto", "text", "tsv", "jsonl")
INPUTS = ("input", "text", "question")
OUTPUTS = ("output", "label", "answer")
_COMPRESSED = (".gz", ".bz2", ".xz", ".zst")


def form_of(name: str, asked: str, otherwise: str) -> str:
    """Whether a file has `tsv`, records (`jsonl`) or plain lines (`text`); `auto` goes by its name."""
    if asked != "auto":
        return asked
    plain = name.lower()
    for ending in _COMPRESSED:
        plain = plain.removesuffix(ending)
    known = {".tsv": "tsv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".txt": "text"}
    return next((form for ending, form in known.items() if plain.endswith(ending)), otherwise)


def examples(run: Run, name: str, form: str, *, labelled: bool) -> Iterator[Example]:
    """The examples of a file, as they come; `labelled`: each must say what is right. Raises DataError."""
    for number, (place, line) in enumerate(lines(run, name), 1):
        if form == "jsonl":
            if not line.strip():
                continue
            found = _of_record(from_json(line, place), number, place)
        else:
            found = _of_line(line.decode(), form, number, place)
        if labelled and found.output is None:
            raise DataError(f"{place}: no output", hint="an input, a tab, an output; or a record with both")
        yield found


def lines(run: Run, name: str) -> Iterator[tuple[str, bytes]]:
    """The lines of a file with their places."""
    reader = opening.text_reader("strict", eager=True)
    number = 0
    for block in opening.warned(run, name, reader.blocks(name)):
        for line in block[:-1].split(b"\n"):
            number += 1
            yield f"{streams.display(name)}:{number}", line


def _of_line(line: str, form: str, number: int, place: str) -> Example:
    if form == "text":
        return Example(line, number=number, place=place)
    fields = line.split("\t")
    if len(fields) > 2:
        raise DataError(f"{place}: {len(fields)} fields, expected an input, a tab and an output")
    return Example(fields[0], fields[1] if len(fields) == 2 else None, number=number, place=place)


def _of_record(record: dict[str, Any], number: int, place: str) -> Example:
    text = _taken(record, INPUTS, place)
    if text is None:
        raise DataError(f"{place}: no field {' or '.join(map(repr, INPUTS))}")
    output = _taken(record, OUTPUTS, place)
    return Example(text, output, record.pop("id", None), number, place, record)


def _taken(record: dict[str, Any], names: Iterable[str], place: str) -> str | None:
    """The first of these fields that is there, as text, taken out of the record."""
    for name in names:
        if name in record:
            value = record.pop(name)
            if not isinstance(value, str | int | float) or isinstance(value, bool):
                raise DataError(f"{place}: the field {name!r} is not a text")
            return str(value)
    return None
