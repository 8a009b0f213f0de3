"""Sentences to tag: lines, records or columns of files, as words with their places in the text."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lmkit.commands.options.standard import Run
from lmkit.commands.records.record_files import open_records
from lmkit.commands.records.tagged import DOCUMENT
from lmkit.errors import DataError
from lmkit.io.record_reader import GROUP, Record, form_of

CONLL = "conll"
_WORD = re.compile(r"\S+")


@dataclass(frozen=True)
class Sentence:
    """Words, where each begins in the text, and what was read with them."""

    words: tuple[str, ...]
    starts: tuple[int, ...]
    text: str
    record: Mapping[str, Any] | None = None
    rows: Sequence[Sequence[str]] = ()
    """The columns of CoNLL."""


def sentence_groups(run: Run, files: Sequence[str], asked: str) -> Iterator[list[Sentence]]:
    """Yield the sentences of files in groups that are there at once. Raises DataError.

    `asked` is a form, `conll` (also by the ending .conll), or `auto`.
    """
    for name in files:
        columns = asked == CONLL or (asked == "auto" and name.endswith((".conll", ".conll.gz")))
        form = "text" if columns else form_of(name, asked, "text")
        file = open_records(run, name, size=GROUP)
        if columns:
            yield from _of_columns(file.records("text"))
            continue
        for records in file.groups(form):
            yield [_of_text(record) if form == "text" else _of_fields(record) for record in records]


def _of_text(record: Record) -> Sentence:
    return split_text(record.data.decode(errors="replace"))


def split_text(text: str, fields: Mapping[str, Any] | None = None) -> Sentence:
    """The words of a text, between white space."""
    found = list(_WORD.finditer(text))
    return Sentence(tuple(one[0] for one in found), tuple(one.start() for one in found), text, fields)


def joined_words(
    words: Sequence[str], fields: Mapping[str, Any] | None, rows: Sequence[Sequence[str]] = ()
) -> Sentence:
    """Words with a space between them."""
    starts, at = [], 0
    for word in words:
        starts.append(at)
        at += len(word) + 1
    return Sentence(tuple(words), tuple(starts), " ".join(words), fields, rows)


def _of_fields(record: Record) -> Sentence:
    fields = record.fields or {}
    tokens, text = fields.get("tokens"), fields.get("text")
    if isinstance(tokens, list) and all(isinstance(token, str) for token in tokens):
        return joined_words(tokens, fields)
    if not isinstance(text, str):
        raise DataError(f"{record.place}: neither `tokens`, a list of texts, nor a `text`")
    return split_text(text, fields)


def _of_columns(records: Iterator[Record]) -> Iterator[list[Sentence]]:
    rows: list[list[str]] = []
    for record in records:
        line = record.data.decode(errors="replace")
        columns = line.split("\t") if "\t" in line else line.split()
        if columns and line.strip() and columns[0] != DOCUMENT:
            rows.append(columns)
        elif rows:
            yield [joined_words([row[0] for row in rows], None, rows)]
            rows = []
    if rows:
        yield [joined_words([row[0] for row in rows], None, rows)]
