"""`lmkit data decontaminate`: a corpus without test items, or test items without those that a corpus has."""

from collections.abc import Iterator
from contextlib import ExitStack
from itertools import compress
from typing import Annotated, Any

import typer

from lmkit.commands.options.data import Report
from lmkit.commands.options.option_groups import with_groups
from lmkit.commands.options.standard import Output, Run, choice
from lmkit.commands.options.text_input import TextFiles
from lmkit.commands.records.corpora import Chunk, Corpus, CorpusInput, RecordWriter
from lmkit.errors import DataError, UsageError
from lmkit.io import outputs, size_limits, streams
from lmkit.io.records import to_json


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
    inputs = list(files or [streams.STDIN])
    corpus = Corpus(run, stored, inputs, eager=clean == "train")
    if clean == "train":
        corpus.expect_one_form()
    items = _Items(run, stored, against, against_field)
    outputs.expect_apart(output, report)
    from lmkit.data.contamination import ItemIndex

    index = ItemIndex(items.texts, n, n if min_words is None else min_words, boilerplate)
    if index.short:
        short = f"{index.short:,} of {len(items.texts):,} items are shorter than {min(n, min_words or n)} words"
        run.terminal.notice(f"{short}, not looked for")
    if index.boilerplate:
        run.terminal.notice(f"{len(index.boilerplate):,} n-grams are in more than {boilerplate} items, ignored")
    with ExitStack() as stack:
        out = stack.enter_context(outputs.open_output(output))
        rows = stack.enter_context(outputs.open_output(report)) if report is not None else None
        writer = RecordWriter(out)
        read = kept = 0
        for chunk, dirty in _looked_at(corpus, items, index, n, threshold, rows):
            read += len(dirty)
            if clean == "train":
                own = [raw for raw, found in zip(chunk.raws, dirty, strict=True) if not found]
                kept += len(own)
                writer.write(own, chunk.header, chunk.name)
        if clean == "test":
            clear = [overlap == 0 or overlap < threshold for overlap in index.overlaps()]
            read, kept = len(clear), sum(clear)
            writer.write(list(compress(items.raws, clear)), items.header)
        for text, count in index.boilerplate if rows is not None else ():
            assert rows is not None
            rows.line(to_json({"boilerplate": text, "n": n, "items": count}))
    what = "records" if clean == "train" else "items"
    run.terminal.notice(f"{read:,} {what}: {kept:,} kept, {read - kept:,} dropped")


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
        for chunk in Corpus(run, own, [name]).chunks():
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


def _looked_at(
    corpus: Corpus, items: _Items, index: Any, n: int, threshold: float, rows: outputs.Output | None
) -> Iterator[tuple[Chunk, list[bool]]]:
    """The chunks of a corpus and which of their records overlap, while the report is written."""
    for chunk in corpus.chunks():
        dirty = [False] * len(chunk.raws)
        for match in index.matches([text.decode() for text in chunk.texts]):
            if match.overlap >= threshold:
                dirty[match.text] = True
            if rows is not None:
                row = {
                    "id": _id(chunk, match.text), "test_id": items.ids[match.item], "n": n, "spans": match.spans,
                    "overlap": match.overlap, "test_spans": match.item_spans,
                }  # fmt: skip
                rows.line(to_json(row))
        yield chunk, dirty
