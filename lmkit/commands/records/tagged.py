"""Sentences whose tokens have labels, from CoNLL columns or JSON Lines."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from lmkit.commands.options.standard import Run
from lmkit.commands.records.record_files import open_records
from lmkit.errors import DataError
from lmkit.io import streams, text_files
from lmkit.io.record_reader import Record, form_of
from lmkit.io.records import id_key, to_json

DOCUMENT = "-DOCSTART-"


@dataclass(frozen=True)
class TaggedSentence:
    """Tokens and a label for each; `gold`: of the column before, or the record's `gold`, where there are any."""

    tokens: tuple[str, ...]
    labels: tuple[str, ...]
    place: str
    gold: tuple[str, ...] | None = None
    id: str | None = None


def described(found: Sequence[TaggedSentence]) -> dict[str, Any]:
    """What a checkpoint's origin says of sentences: how many, and the SHA-256 of their tokens and labels."""
    digest = sha256()
    for sentence in found:
        digest.update(to_json({"labels": sentence.labels, "tokens": sentence.tokens}).encode() + b"\n")
    return {"sentences": len(found), "sha256": digest.hexdigest()}


def read_sentences(run: Run, name: str) -> list[TaggedSentence]:
    """Return the sentences of a file: JSON Lines of `tokens` and `labels`, or columns between blank lines.

    In columns the token is the first, the label the last; lines of `-DOCSTART-` are passed over. Raises DataError that
    names the place of anything else.
    """
    file = open_records(run, name, text_files.TextReader())
    form = form_of(name, "auto", "") or file.sniffed_form()
    if form == "jsonl":
        found = [_of_record(record.fields or {}, record.place) for record in file.records(form)]
    else:
        found = list(_of_columns(file.records("text")))
    if not found:
        raise DataError(f"{streams.display(name)}: no sentences: the input is empty")
    return found


def _of_columns(records: Iterator[Record]) -> Iterator[TaggedSentence]:
    rows: list[list[str]] = []
    place, width = "", 0
    for record in records:
        columns = record.data.decode().split("\t") if b"\t" in record.data else record.data.decode().split()
        if not record.data.strip() or columns[0] == DOCUMENT:
            if rows:
                yield _sentence(rows, place)
            rows = []
            continue
        if len(columns) < 2:
            raise DataError(f"{record.place}: 1 column, expected a token and a label")
        if width and len(columns) != width:
            raise DataError(f"{record.place}: {len(columns)} columns, but {width} in the lines before")
        if not rows:
            place = record.place
        width = len(columns)
        rows.append(columns)
    if rows:
        yield _sentence(rows, place)


def _sentence(rows: Sequence[Sequence[str]], place: str) -> TaggedSentence:
    columns = list(zip(*rows, strict=True))
    return TaggedSentence(columns[0], columns[-1], place, columns[-2] if len(columns) > 2 else None)


def _of_record(fields: dict[str, Any], place: str) -> TaggedSentence:
    tokens, labels, gold = (_texts(fields, name, place) for name in ("tokens", "labels", "gold"))
    if tokens is None or labels is None:
        raise DataError(f"{place}: no field {'tokens' if tokens is None else 'labels'!r}")
    for name, other in (("labels", labels), ("gold", gold)):
        if other is not None and len(other) != len(tokens):
            raise DataError(f"{place}: {len(tokens)} tokens, but {len(other)} {name}")
    known_by = fields.get("id")
    return TaggedSentence(tokens, labels, place, gold, None if known_by is None else id_key(known_by))


def _texts(fields: dict[str, Any], name: str, place: str) -> tuple[str, ...] | None:
    value = fields.get(name)
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise DataError(f"{place}: the field {name!r} is not a list of texts")
    return tuple(value)
