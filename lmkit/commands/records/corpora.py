"""Corpora as `lmkit data` reads and writes them: records with their texts, some at a time, that go out as they came."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, NamedTuple

import typer

from lmkit.commands.loading import running_text
from lmkit.commands.options.option_groups import Before
from lmkit.commands.options.standard import UNRECORDED, EncodingErrors, Run, choice
from lmkit.commands.options.text_input import InputForm, TextField
from lmkit.commands.records.record_files import open_records
from lmkit.errors import DataError, UsageError
from lmkit.io import outputs, size_limits, streams
from lmkit.io.messages import Terminal
from lmkit.io.parquet_records import there_is
from lmkit.io.record_reader import Record, RecordFile, encoded, form_of
from lmkit.io.records import to_json
from lmkit.io.text_sources import FIELD, TextSource, text_of, under_header

OnError = Annotated[
    str,
    typer.Option(
        "--on-error", metavar="MODE", callback=choice("fail", "skip"),
        help="Records that cannot be read (broken JSON, no such field): `fail` stops at the first, `skip` leaves them "
        "out and reports how many.",
    ),
    UNRECORDED,
    Before("encoding_errors"),
]  # fmt: skip


@dataclass(frozen=True)
class CorpusInput:
    """How the records of a command are stored; the fields are options, by their names."""

    input_form: InputForm = "auto"
    text_field: TextField = None
    on_error: OnError = "fail"
    encoding_errors: EncodingErrors = "strict"

    @property
    def source(self) -> TextSource:
        """The same for readers. Raises UsageError for what cannot be combined."""
        return TextSource(self.input_form, self.text_field)


@dataclass(frozen=True)
class Chunk:
    """Records of one file that were read together."""

    name: str
    raws: Sequence[bytes]
    """The line that each record goes out as."""
    texts: Sequence[bytes]
    """The text of each, where texts are read."""
    fields: Sequence[dict[str, Any]] | None
    """The fields of each; None: lines of plain text."""
    places: Sequence[str] | int
    """Where each is, for messages; of plain text the number of the first line."""
    header: bytes | None = None
    block: bytes | None = None
    """All lines with their ends, where they are at hand."""

    def place(self, number: int) -> str:
        """Where a record is, for messages."""
        if isinstance(self.places, int):
            return f"{streams.display(self.name)}:{self.places + number}"
        return self.places[number]

    def values(self, field: str) -> list[bytes]:
        """The value of a field of each record: a text as UTF-8, anything else as JSON."""
        found = [fields[field] for fields in self.fields or ()]
        return [
            encoded(value, self.place(at), f"the field {field!r} has ") if isinstance(value, str) else canonical(value)
            for at, value in enumerate(found)
        ]


def canonical(value: object) -> bytes:
    """Return a value as JSON that equal values share: keys sorted, 7.0 as 7."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return json.dumps(value, sort_keys=True).encode()


class Corpus:
    """The records of several files in order."""

    def __init__(self, run: Run, stored: CorpusInput, files: Sequence[str] | None, *, texts: bool = True,
                 fields: Sequence[str] = (), eager: bool = False) -> None:  # fmt: skip
        """`texts`: every record must have a text. `fields`: others that it must have.

        `eager`: records are handed over as they come. Raises UsageError where plain text is to have fields.
        """
        self.files = list(files or [streams.STDIN])
        self.source = stored.source
        self.reader = running_text.text_reader(stored.encoding_errors, self.source, eager=eager)
        self._run, self._texts, self._needed, self._skips = run, texts, tuple(fields), stored.on_error == "skip"
        self.skips = (0, "")
        """How many records were skipped, and the message about the first."""
        if fields:
            self.expect_fields()

    def expect_fields(self) -> None:
        """Raises UsageError where a file has no fields."""
        plain = next((name for name in self.files if self.form(name) == "text"), None)
        if plain is not None:
            raise UsageError(
                f"{streams.display(plain)} is read as plain text, which has no fields",
                hint="--input jsonl reads records",
            )

    def form(self, name: str) -> str:
        """Return the form of a file."""
        return self.source.form_of(name)

    def expect_one_form(self) -> str:
        """Return how its records are written: `text`, `tsv` or `jsonl`. Raises UsageError where files differ in it."""
        forms = sorted({"jsonl" if form in ("csv", "parquet") else form for form in map(self.form, self.files)})
        if len(forms) > 1:
            raise UsageError(f"the files are {' and '.join(forms)}, which one output cannot hold", hint="convert some")
        return forms[0]

    def chunks(self, title: str = "reading") -> Iterator[Chunk]:
        """Yield the records, with progress on stderr. Raises DataError, with the place, unless it is to be skipped."""
        with self._run.terminal.progress(title, streams.size_of(self.files)) as progress:
            for name in self.files:
                for chunk in self._chunks(name, progress.over):
                    if chunk.raws:
                        yield chunk
        running_text.warn_replaced_bytes(self._run, self.reader)
        tell_skipped_in(self._run, [self.skips])

    def _chunks(self, name: str, over: Callable[[Iterator[bytes]], Iterator[bytes]]) -> Iterator[Chunk]:
        form = self.form(name)
        warned = partial(running_text.warn_if_no_text, self._run, name, source=self.source)
        if form == "text":
            first = 1
            for block in over(warned(self.reader.blocks(name))):
                lines = block[:-1].split(b"\n")
                yield Chunk(name, lines, lines, None, first, block=block)
                first += len(lines)
            return
        before = self.reader.replaced
        text = running_text.text_reader("replace" if self.reader.replace else "strict", eager=self.reader.eager)
        text.replaced_in = self.reader.replaced_in
        if form == "jsonl":
            longest = text.longest or size_limits.RECORD
            text.longest = longest._replace(hint="--on-error skip leaves it out")
            text.skip = self._skip if self._skips else None
        file = RecordFile(name, text, size=None, watch=over, constants=True, skip=self._skip if self._skips else None)
        for group in under_header(file) if form == "tsv" else file.groups(form):
            yield self._of_records(name, form, group, file)
            self.reader.replaced = before + text.replaced

    def _of_records(self, name: str, form: str, group: Iterator[Record], file: RecordFile) -> Chunk:
        raws, texts, fields, places = [], [], list[dict[str, Any]](), []
        field = self.source.field or FIELD
        for record in group:
            assert record.fields is not None
            try:
                self._expect_fields(record)
                if self._texts:
                    texts.append(text_of(record, field))
            except DataError as error:
                if not self._skips:
                    raise
                self._skip(error)
                continue
            raws.append(record.data if form in ("jsonl", "tsv") else to_json(record.fields).encode())
            fields.append(record.fields)
            places.append(record.place)
        header = "\t".join(file.header).encode() if form == "tsv" else None
        return Chunk(name, raws, texts, fields, places, header)

    def _skip(self, error: DataError) -> None:
        self.skips = self.skips[0] + 1, self.skips[1] or str(error)

    def _expect_fields(self, record: Record) -> None:
        for field in self._needed:
            if (record.fields or {}).get(field) is None:
                raise DataError(f"{record.place}: no field {field!r}", hint=there_is(list(record.fields or {})))


SIDES = (("prompt", "output"), ("input", "target"), ("source", "target"))
"""Fields of the two sides of a pair, as `data format` and `data spans` name them, and as pairs usually do.

In this order, as the first two may have a `source` that says where they are from.
"""


class Pair(NamedTuple):
    """A record with a source and a target."""

    place: str
    raw: bytes
    source: str
    target: str


def read_pairs(run: Run, stored: CorpusInput, files: Sequence[str] | None) -> Iterator[list[Pair]]:
    """Yield pairs in groups. Raises DataError, with the place, for anything else; it is skipped where that is asked."""
    skipped: list[DataError] = []
    skips = stored.on_error == "skip"
    for name in files or [streams.STDIN]:
        form = form_of(name, stored.input_form, "tsv")
        file = open_records(
            run, name, running_text.text_reader(stored.encoding_errors, eager=True), size=None,
            skip=skipped.append if skips else None,
        )  # fmt: skip
        for group in file.groups("tsv" if form == "text" else form):
            found = []
            for record in group:
                try:
                    found.append(_pair(record, form))
                except DataError as error:
                    if not skips:
                        raise
                    skipped.append(error)
            yield found
    tell_skipped_in(run, [(len(skipped), str(skipped[0]))] if skipped else [])


def _pair(record: Record, form: str) -> Pair:
    if record.fields is None:
        if len(record.columns) != 2:
            raise DataError(f"{record.place}: {number_of(len(record.columns), 'column')}, expected source and target")
        return Pair(record.place, record.data, *record.columns)
    names = next((both for both in SIDES if all(record.fields.get(name) is not None for name in both)), SIDES[-1])
    sides = [record.fields.get(name) for name in names]
    for name, side in zip(names, sides, strict=True):
        if not isinstance(side, str):
            raise DataError(f"{record.place}: no text in the field {name!r}", hint="a pair has `source` and `target`")
    raw = record.data if form == "jsonl" else to_json(record.fields).encode()
    return Pair(record.place, raw, str(sides[0]), str(sides[1]))


def tell_skipped_in(run: Run, parts: Sequence[tuple[int, str]]) -> None:
    """Say how many records were skipped in all parts, if any, and why the first one was."""
    count = sum(skipped for skipped, _ in parts)
    if count:
        first = next(message for _, message in parts if message)
        run.terminal.notice(f"{number_of(count, 'record')} skipped, the first one for: {first}")


def number_of(count: int, what: str) -> str:
    """Return a number of things in words, such as `1 record` and `2,000 records`."""
    return f"{count:,} {what}" + "s" * (count != 1)


def quiet_run(command: str) -> Run:
    """The run of a task, which says nothing."""
    return Run(command, {}, Terminal(quiet=True))


def with_text(chunk: Chunk, number: int, name: str, text: str) -> bytes:
    """Return a record, or a line of plain text, with another text."""
    if chunk.fields is None:
        return text.encode()
    fields = {**chunk.fields[number], name: text}
    if chunk.header is not None:
        return "\t".join(map(str, fields.values())).encode()
    return to_json(fields).encode()


class RecordWriter:
    """Writes records as they came, under the header of the first file where they have one."""

    def __init__(self, out: outputs.Output) -> None:
        self._out = out
        self._header: bytes | None = None
        self.records = self.bytes = 0

    def write_chunk(self, chunk: Chunk) -> None:
        """Write all records of a chunk."""
        if chunk.block is None:
            self.write(chunk.raws, chunk.header, chunk.name)
            return
        self._out.answer(chunk.block)
        self.records += len(chunk.raws)
        self.bytes += len(chunk.block)

    def write(self, raws: Sequence[bytes], header: bytes | None = None, place: str = "") -> None:
        """Write some records. Raises DataError where a file has another header than the first one."""
        if header is not None and header != self._header:
            if self._header is not None:
                raise DataError(f"{place}: its header is not that of the first file", hint="convert it to JSON Lines")
            self._header = header
            self._out.answer(header + b"\n")
        if raws:
            data = b"\n".join(raws) + b"\n"
            self._out.answer(data)
            self.records += len(raws)
            self.bytes += len(data)
