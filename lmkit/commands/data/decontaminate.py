"""`lmkit data decontaminate`: a corpus without test items, or test items without those that a corpus has."""

import os
from collections.abc import Iterator
from contextlib import ExitStack
from functools import lru_cache
from itertools import compress
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from lmkit.commands.options.data import Report
from lmkit.commands.options.engine import Engine, Scheduler, expect_files, in_tasks
from lmkit.commands.options.option_groups import with_groups
from lmkit.commands.options.standard import Output, Run, choice
from lmkit.commands.options.text_input import TextFiles
from lmkit.commands.records.corpora import (
    Chunk,
    Corpus,
    CorpusInput,
    RecordWriter,
    number_of,
    quiet_run,
    tell_skipped_in,
)
from lmkit.errors import DataError, UsageError
from lmkit.io import outputs, size_limits, streams
from lmkit.io.parquet_output import open_records
from lmkit.io.records import to_json
from lmkit.io.text_sources import FIELD

if TYPE_CHECKING:
    from lmkit.data.contamination import ItemIndex
    from lmkit.protocols import Bool


@with_groups()
def decontaminate(
    run: Run,
    files: TextFiles = None,
    *,
    stored: CorpusInput,
    against: Annotated[
        str | None,
        typer.Option("--against", metavar="FILE", show_default=False, help="Test items, records or lines."),
    ] = None,
    against_field: Annotated[
        str | None,
        typer.Option(
            "--against-field", metavar="NAME", show_default="as --field", help="Text field of the test items."
        ),
    ] = None,
    n: Annotated[int, typer.Option("--n", metavar="N", min=1, max=1000, help="Words of an n-gram.")] = 13,
    threshold: Annotated[
        float,
        typer.Option(
            "--threshold", metavar="P", min=0.0, max=1.0, show_default="any n-gram",
            help="Smallest share of an item's words, in shared n-grams, that counts as contamination.",
        ),
    ] = 0.0,
    min_words: Annotated[
        int | None,
        typer.Option(
            "--min-words", metavar="N", min=1, show_default="as --n",
            help="Look for items shorter than --n words too, as wholes, from N words on.",
        ),
    ] = None,
    boilerplate: Annotated[
        int,
        typer.Option(
            "--boilerplate", metavar="N", min=1,
            help="N-grams in more than N items are boilerplate: reported apart, no contamination.",
        ),
    ] = 10,
    clean: Annotated[
        str,
        typer.Option(
            "--clean", metavar="WHICH", callback=choice("train", "test"),
            help="What is written: the `train` records without overlap, or the `test` items without.",
        ),
    ] = "train",
    engine: Engine = None,
    scheduler: Scheduler = None,
    report: Report = None,
    output: Output = None,
) -> None:  # fmt: skip
    """Remove records that overlap with test items, or such items.

    Overlap is a word n-gram that both have, after NFKC, case folding and without punctuation. A record is dropped
    if the n-grams that it shares with an item hold --threshold of the item's words. With --clean test the FILEs are
    only read, and the items of which they hold less are written.

    --report has every overlap, dropped or not: the ids (or places) of both, spans in characters, the share of the
    item. Items shorter than --n words are not looked for without --min-words.

    Examples:
      lmkit data decontaminate --against test.jsonl train.jsonl -o clean.jsonl
      lmkit data decontaminate --against test.jsonl --against-field question --n 8 --threshold 0.5 web.jsonl
      lmkit data decontaminate --clean test --against test.jsonl --report overlap.jsonl train.jsonl
    """
    if against is None:
        raise UsageError("no test items", hint="--against test.jsonl")
    expect_files(files, engine, scheduler)
    inputs = list(files or [streams.STDIN])
    corpus = Corpus(run, stored, inputs, eager=clean == "train")
    items = _Items(run, stored, against, against_field)
    form = corpus.expect_one_form() if clean == "train" else items.form
    outputs.expect_apart(output, report)
    from lmkit.data.contamination import ItemIndex

    wanted = Wanted(stored, against, against_field, n, n if min_words is None else min_words, boilerplate, threshold)
    with ExitStack() as stack:
        done = None
        if engine is not None:
            pieces = [(wanted, file, clean == "train") for file in inputs]
            done = stack.enter_context(in_tasks(parts_of_file, pieces, scheduler))
        index = ItemIndex(items.texts, n, wanted.least, boilerplate)
        _tell(run, index, wanted, len(items.texts))
        field = against_field if clean == "test" and against_field is not None else corpus.source.field
        out = stack.enter_context(open_records(output, form, field or FIELD))
        rows = stack.enter_context(outputs.open_output(report)) if report is not None else None
        writer = RecordWriter(out)
        read = kept = 0
        for part in _parts(corpus, items, index, wanted) if done is None else _joined(run, done, index):
            read += part.read
            if clean == "train":
                kept += len(part.raws)
                writer.write(part.raws, part.header, part.name)
            if rows is not None and part.rows:
                rows.line("\n".join(part.rows))
        if clean == "test":
            clear = [overlap == 0 or overlap < threshold for overlap in index.overlaps()]
            read, kept = len(clear), sum(clear)
            writer.write(list(compress(items.raws, clear)), items.header)
        for text, count in index.boilerplate if rows is not None else ():
            assert rows is not None
            rows.line(to_json({"boilerplate": text, "n": n, "items": count}))
    what = number_of(read, "record" if clean == "train" else "item")
    run.terminal.notice(f"{what}: {kept:,} kept, {read - kept:,} dropped")


class Wanted(NamedTuple):
    """The items, and what counts as overlap with one."""

    stored: CorpusInput
    against: str
    field: str | None
    n: int
    least: int
    boilerplate: int
    threshold: float


class Part(NamedTuple):
    """Some records that were looked at: how many, those without overlap, and the rows of a report."""

    name: str
    read: int
    raws: list[bytes]
    header: bytes | None
    rows: list[str]


def _tell(run: Run, index: "ItemIndex", wanted: Wanted, items: int) -> None:
    if index.short:
        short = f"{index.short:,} of {items:,} items are shorter than {min(wanted.n, wanted.least)} words"
        run.terminal.notice(f"{short}, not looked for")
    if index.boilerplate:
        run.terminal.notice(f"{len(index.boilerplate):,} n-grams are in more than {wanted.boilerplate} items, ignored")


def _parts(corpus: Corpus, items: "_Items", index: "ItemIndex", wanted: Wanted) -> Iterator[Part]:
    """The chunks of a corpus, looked at."""
    for chunk in corpus.chunks():
        dirty = [False] * len(chunk.raws)
        rows = []
        for match in index.matches([text.decode() for text in chunk.texts]):
            if match.overlap >= wanted.threshold:
                dirty[match.text] = True
            row = {
                "id": _id(chunk, match.text), "test_id": items.ids[match.item], "n": wanted.n, "spans": match.spans,
                "overlap": match.overlap, "test_spans": match.item_spans,
            }  # fmt: skip
            rows.append(to_json(row))
        raws = [raw for raw, found in zip(chunk.raws, dirty, strict=True) if not found]
        yield Part(chunk.name, len(dirty), raws, chunk.header, rows)


Done = tuple[list[Part], "Bool", tuple[int, str]]
"""The parts of a file, which words of items were found in it, and the records that were skipped."""


def parts_of_file(piece: tuple[Wanted, str, bool]) -> Done:
    """What is in one file: the task that an engine places."""
    wanted, file, written = piece
    items, found = _indexed(wanted, _state_of(wanted.against))
    index = found.unused()
    corpus = Corpus(quiet_run("data decontaminate"), wanted.stored, [file])
    parts = [part if written else part._replace(raws=[]) for part in _parts(corpus, items, index, wanted)]
    return parts, index.covered, corpus.skips


def _state_of(name: str) -> tuple[str, int, int] | None:
    """What tells a file from another, or from itself later; None where it cannot be read."""
    try:
        found = os.stat(name)
    except OSError:
        return None
    return os.path.abspath(name), found.st_mtime_ns, found.st_size


@lru_cache(maxsize=1)
def _indexed(wanted: Wanted, _state: tuple[str, int, int] | None) -> tuple["_Items", "ItemIndex"]:
    """The items and their index, which tasks of one process share."""
    from lmkit.data.contamination import ItemIndex

    items = _Items(quiet_run("data decontaminate"), wanted.stored, wanted.against, wanted.field)
    return items, ItemIndex(items.texts, wanted.n, wanted.least, wanted.boilerplate)


def _joined(run: Run, done: Iterator[Done], index: "ItemIndex") -> Iterator[Part]:
    """The parts of all files in order; what was found of items is added to the index."""
    skips = []
    for parts, covered, skipped in done:
        yield from parts
        index.covered |= covered
        skips.append(skipped)
    tell_skipped_in(run, skips)


class _Items:
    """The test items, in memory."""

    def __init__(self, run: Run, stored: CorpusInput, name: str, field: str | None) -> None:
        """Raises DataError where there are none, or too many."""
        from dataclasses import replace

        own = stored if field is None else replace(stored, text_field=field)
        self.raws: list[bytes] = []
        self.texts: list[str] = []
        self.ids: list[Any] = []
        self.header: bytes | None = None
        size = 0
        items = Corpus(run, own, [name])
        self.form = items.expect_one_form()
        for chunk in items.chunks():
            self.raws += chunk.raws
            self.texts += [text.decode() for text in chunk.texts]
            self.ids += [_id(chunk, at) for at in range(len(chunk.raws))]
            self.header = chunk.header
            size += sum(map(len, chunk.raws))
            if size > size_limits.TABLE.size:
                raise DataError(
                    f"{streams.display(name)}: longer than {size_limits.TABLE}, the limit for test items",
                    hint="give the training set as FILE and the test set with --against",
                )
        if not self.raws:
            raise DataError(f"{streams.display(name)}: no test items")


def _id(chunk: Chunk, number: int) -> Any:
    """What a record is known by: its `id`, else its place."""
    found = None if chunk.fields is None else chunk.fields[number].get("id")
    return chunk.place(number) if found is None or isinstance(found, bool | list | dict) else found
