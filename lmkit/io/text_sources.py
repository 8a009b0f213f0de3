"""Running text out of files of any form: plain lines, or one field of each record. Knows forms, not what is read.

A record's text is what a plain file would have in its place: its lines, the last one with an end.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

from lmkit.errors import DataError, UsageError
from lmkit.io import csv_records, size_limits, streams, text_files
from lmkit.io.parquet_records import there_is
from lmkit.io.record_reader import Groups, Record, RecordFile, encoded, form_of

FIELD = "text"
"""The field that holds the text where none is named."""


@dataclass(frozen=True)
class TextSource:
    """How files hold texts: their form, `auto` by their names, and the field of a record."""

    form: str = "auto"
    field: str | None = None

    def __post_init__(self) -> None:
        """Raises UsageError for what cannot be combined."""
        if self.form == "text" and self.field is not None:
            raise UsageError("--input text has no fields", hint="leave --field out, or name the format of the records")
        if self.form == "tsv" and self.field is None:
            raise UsageError("--input tsv needs --field NAME, a column that the header names")

    def form_of(self, name: str) -> str:
        """Return the form of a file; TSV is plain lines unless a column is named."""
        form = form_of(name, self.form, "text" if self.field is None else "jsonl")
        return "text" if form == "tsv" and self.field is None else form

    def describe(self, name: str) -> dict[str, str]:
        """Return the form of a file and the field that is read, of plain text nothing."""
        form = self.form_of(name)
        return {} if form == "text" else {"form": form, "field": self.field or FIELD}


PLAIN = TextSource("text")


def texts(name: str, source: TextSource, reader: text_files.TextReader) -> Iterator[list[bytes]]:
    """Yield the texts of a file of records, in groups that are there at once.

    Raises DataError naming file and line where there is no record, no such field, or no text in it.
    """
    field, form = source.field or FIELD, source.form_of(name)
    file = RecordFile(name, reader, size=None, fields=(field,), constants=True)
    for group in under_header(file) if form == "tsv" else file.groups(form):
        yield [text_of(record, field) for record in group]


def under_header(file: RecordFile) -> Groups:
    """Yield the records of TSV by the names that its first line gives."""
    groups = file.groups("tsv")
    first = next(groups, iter(()))
    header = next(first, None)
    if header is None:
        return
    file.header = names = csv_records.names_of(header.columns, header.place)
    for group in chain([first], groups):
        yield (
            Record(place, at, data, (), csv_records.by_name(names, columns, place))
            for place, at, data, columns, _ in group
            if data or len(names) == 1
        )


def text_of(record: Record, field: str) -> bytes:
    """Return the text in a field of a record. Raises DataError where there is none."""
    fields, place = record.fields or {}, record.place
    value = fields.get(field)
    if isinstance(value, str):
        text = encoded(value, place, f"the field {field!r} has ")
        if len(text) > size_limits.RECORD.size:
            raise size_limits.RECORD.error(place)
        return text
    if field not in fields:
        raise DataError(f"{place}: no field {field!r}", hint=there_is(list(fields)))
    raise DataError(f"{place}: the field {field!r} is {'null' if value is None else 'not a text'}, expected a text")


def ended(text: bytes) -> bytes:
    """Return a text with an end of its last line."""
    return text if text.endswith(b"\n") else text + b"\n"


@dataclass
class SourceReader(text_files.TextReader):
    """A reader of texts whatever the form of their files."""

    source: TextSource = PLAIN

    def opened(self, name: str) -> Iterator[bytes]:
        """See `TextReader.opened`; of records their texts, in whole lines."""
        return super().opened(name) if self.source.form_of(name) == "text" else self._of_records(name)

    def as_it_is(self, name: str) -> Iterator[bytes]:
        """Yield the bytes of a text as they come, whatever they mean."""
        if self.source.form_of(name) == "text":
            return streams.chunks(name, size=self.block)
        return self._of_records(name)

    def texts(self, name: str) -> Iterator[list[bytes]]:
        """Yield the texts of records as they are; see the function `texts`."""
        reader = text_files.TextReader(
            replace=self.replace, forgiving=True, eager=self.eager, block=self.block, longest=size_limits.RECORD
        )
        reader.replaced_in, before = self.replaced_in, self.replaced
        for group in texts(name, self.source, reader):
            self.replaced = before + reader.replaced
            yield group

    def documents(self, name: str) -> Iterator[Iterator[bytes]]:
        """Yield the documents of a file, each in blocks as `blocks` has them: a plain text, or that of each record."""
        if self.source.form_of(name) == "text":
            yield self.blocks(name)
            return
        for group in self.texts(name):
            for text in group:
                yield self.blocks_in([ended(text)], name)

    def _of_records(self, name: str) -> Iterator[bytes]:
        held, size = list[bytes](), 0
        for group in self.texts(name):
            for text in group:
                held.append(ended(text))
                size += len(held[-1])
            if held and (self.eager or size >= self.block):
                yield self._seen(b"".join(held))
                held, size = [], 0
        if held:
            yield self._seen(b"".join(held))

    def _seen(self, piece: bytes) -> bytes:
        if self.tap is not None:
            self.tap(piece)
        return piece
