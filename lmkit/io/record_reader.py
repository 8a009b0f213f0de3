"""Files of records in lines, TSV, CSV, JSON Lines or Parquet, each record with its place. Knows not what is in them.

A form is one row of FORMS: the endings of its names, and how the records of an opened file are read.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, NamedTuple

from lmkit.errors import DataError
from lmkit.io import parquet_records, streams, text_files
from lmkit.io.csv_records import Line, Rows
from lmkit.io.records import from_json

GROUP = 256  # records that are worked on together, at most
_COMPRESSED = (".gz", ".bz2", ".xz", ".zst")


class Record(NamedTuple):
    """A record: texts in columns, or values by the names of fields."""

    place: str
    """The file and the line where it begins, or the row of a Parquet file, for messages."""
    number: int
    """That of the line or row, from 1."""
    data: bytes
    """The line where it begins, without its end; nothing where it is in no line."""
    columns: Sequence[str] = ()
    fields: dict[str, Any] | None = None
    """None where the form has columns without names."""


Groups = Iterator[Iterator[Record]]
"""Records in groups that are there at once, such as a typed line; each is read as it is asked for."""


class RecordFile:
    """A file that holds records, open for one pass."""

    def __init__(
        self,
        name: str,
        text: text_files.TextReader,
        *,
        size: int | None = GROUP,
        watch: Callable[[Iterator[bytes]], Iterator[bytes]] = iter,
        fields: Sequence[str] | None = None,
        constants: bool = False,
        skip: Callable[[DataError], None] | None = None,
    ) -> None:
        """`size`: most lines of a group, None: those of a block; `watch` sees the blocks of text as they are read.

        `fields`: the only ones that are wanted, which spares a Parquet file others. `constants`: JSON Lines may
        have NaN and Infinity. `skip` is given the error of each line of JSON Lines that is left out for being no
        record; without it the first one is raised.
        """
        self.name, self.fields, self.constants, self.skip = name, fields, constants, skip
        self._blocks = watch(text.blocks(name))
        self._size = size
        self._lines = self._groups_of_lines()
        self.line_count = 0
        """Lines read so far."""
        self.header: list[str] = []
        """The names of the columns of TSV, once they were read."""

    def _groups_of_lines(self) -> Iterator[list[Line]]:
        shown = streams.display(self.name)
        for block in self._blocks:
            found = block[:-1].split(b"\n")
            size = self._size or len(found)
            for begin in range(0, len(found), size):
                group = enumerate(found[begin : begin + size], self.line_count + 1)
                lines = [(f"{shown}:{at}", at, data) for at, data in group]
                self.line_count += len(lines)
                yield lines

    def lines(self) -> Iterator[list[Line]]:
        """Yield the lines in groups that are there at once."""
        return self._lines

    def sniffed_form(self) -> str:
        """Return `jsonl` where the first line that is not blank is a JSON object, else `text`."""
        seen: list[list[Line]] = []
        first = None
        for group in self._lines:
            seen.append(group)
            first = next((line for line in group if line[2].strip()), None)
            if first is not None:
                break
        self._lines = chain(seen, self._lines)
        return "jsonl" if first is not None and _is_object(first) else "text"

    def groups(self, form: str) -> Groups:
        """Yield the records, read as a form. Raises DataError, with the place, for anything else."""
        return FORMS[form].read(self)

    def records(self, form: str) -> Iterator[Record]:
        """Yield the same one by one."""
        return chain.from_iterable(self.groups(form))


def _is_object(line: Line) -> bool:
    place, _, data = line
    if not data.lstrip().startswith(b"{"):
        return False
    try:
        from_json(data, place)
    except DataError:
        return False
    return True


def _lines(file: RecordFile) -> Groups:
    """Yield lines as records of one column; bytes that are not UTF-8, where they are let in, as lone surrogates."""
    for group in file.lines():
        yield (Record(place, at, data, (data.decode("utf-8", "surrogateescape"),)) for place, at, data in group)


def _tab_separated(file: RecordFile) -> Groups:
    for group in file.lines():
        yield (Record(place, at, data, data.decode().split("\t")) for place, at, data in group)


def _json_lines(file: RecordFile) -> Groups:
    """Yield JSON objects; blank lines are no records."""
    for group in file.lines():
        yield _objects(file, group)


def _objects(file: RecordFile, group: list[Line]) -> Iterator[Record]:
    for place, at, data in group:
        if not data.strip():
            continue
        try:
            fields = from_json(data, place, constants=file.constants)
        except DataError as error:
            if file.skip is None:
                raise
            file.skip(error)
            continue
        yield Record(place, at, data, (), fields)


def _comma_separated(file: RecordFile) -> Groups:
    """Yield the rows of CSV but its header, which names their fields; blank lines are no records."""
    rows = Rows(file.lines())
    while rows.more():
        yield (Record(*line, (), fields) for line, fields in rows.group())


def _parquet(file: RecordFile) -> Groups:
    """Yield the rows of a Parquet file, numbered from 1."""
    shown, before = streams.display(file.name), 0
    for group in parquet_records.rows(file.name, file.fields):
        yield (Record(f"{shown}:{at}", at, b"", (), fields) for at, fields in enumerate(group, before + 1))
        before += len(group)


@dataclass(frozen=True)
class Form:
    """How files hold records."""

    endings: tuple[str, ...]
    """Of the names of such files, before that of a compressor."""
    read: Callable[[RecordFile], Groups]


FORMS = {
    "text": Form((".txt",), _lines),
    "tsv": Form((".tsv",), _tab_separated),
    "csv": Form((".csv",), _comma_separated),
    "jsonl": Form((".jsonl", ".ndjson"), _json_lines),
    "parquet": Form((".parquet",), _parquet),
}


def form_of(name: str, asked: str, otherwise: str, forms: Sequence[str] = tuple(FORMS)) -> str:
    """Return the form of a file: the one asked for; of `auto` the one that its name tells, else `otherwise`."""
    if asked != "auto":
        return asked
    return next((form for form in forms if _plain_name(name).endswith(FORMS[form].endings)), otherwise)


def _plain_name(name: str) -> str:
    """Return a file's name in lower case without the ending of a compressor."""
    plain = name.lower()
    for ending in _COMPRESSED:
        plain = plain.removesuffix(ending)
    return plain


def files_in(name: str) -> list[str]:
    """Return the files of a folder whose names tell a form, in sorted order; anything else is itself.

    Raises DataError for a folder without any.
    """
    if name == streams.STDIN or not os.path.isdir(name):
        return [name]
    endings = tuple(ending for form in FORMS.values() for ending in form.endings)
    found = [
        file for file in streams.names_in(name) if _plain_name(file).endswith(endings) and not file.startswith(".")
    ]
    files = [path for path in (os.path.join(name, file) for file in found) if not os.path.isdir(path)]
    if not files:
        raise DataError(f"{name}: a folder without files of text", hint=f"their names end in {', '.join(endings)}")
    return files


def encoded(text: str, place: str, what: str = "") -> bytes:
    """Return a text of a record as UTF-8. Raises DataError, which says `what` has it, for half a surrogate pair."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise DataError(f"{place}: {what}half a surrogate pair, which is no character") from None
