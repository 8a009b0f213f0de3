"""`lmkit data dedup`: a corpus without exact, near or substring duplicates."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import Annotated, Any

import typer

from lmkit.commands.data import exact_dedup, near_dedup, substring_dedup
from lmkit.commands.options.data import CorpusNormalize, Report
from lmkit.commands.options.engine import Engine, Scheduler, expect_files, in_tasks
from lmkit.commands.options.option_groups import with_groups
from lmkit.commands.options.standard import Output, Run, TempDir, choice
from lmkit.commands.options.text_input import TextFiles
from lmkit.commands.records.corpora import Corpus, CorpusInput, number_of
from lmkit.errors import UsageError
from lmkit.io import outputs
from lmkit.io.parquet_output import open_records
from lmkit.io.text_sources import FIELD


@with_groups()
def dedup(
    run: Run,
    files: TextFiles = None,
    *,
    stored: CorpusInput,
    unit: Annotated[
        str,
        typer.Option(
            "--unit", metavar="UNIT", callback=choice("record", "paragraph", "line"),
            help="What is compared: a `record` (of plain text a line), or each `paragraph` or `line` within the texts.",
        ),
    ] = "record",
    normalize: CorpusNormalize = False,
    near: Annotated[
        float | None,
        typer.Option(
            "--near", metavar="T", min=0.01, max=1.0, show_default=False,
            help="Near duplicates: records whose sets of word n-grams have a Jaccard similarity of at least T.",
        ),
    ] = None,
    shingle: Annotated[
        int, typer.Option("--shingle", metavar="N", min=1, max=1000, help="Words of an n-gram of --near.")
    ] = 5,
    substring: Annotated[
        int | None,
        typer.Option(
            "--substring", metavar="N", min=2, max=100_000, show_default=False,
            help="Substring duplicates: cut stretches of at least N words that occurred before out of the records.",
        ),
    ] = None,
    best: Annotated[
        str | None,
        typer.Option(
            "--best", metavar="NAME", show_default="the first record",
            help="Quality field: keep the record of a cluster with the highest number in this field.",
        ),
    ] = None,
    against: Annotated[
        str | None,
        typer.Option(
            "--against", metavar="FILE", show_default=False, help="Drop what FILE has too; FILE is not written."
        ),
    ] = None,
    engine: Engine = None,
    scheduler: Scheduler = None,
    report: Report = None,
    temp_dir: TempDir = None,
    output: Output = None,
) -> None:  # fmt: skip
    """Remove duplicates from a corpus.

    Exact duplicates: the first of equal texts is kept, the others are dropped, as they are read. Texts are compared
    by 64-bit hashes, in 16 bytes of memory per kept text on average. Empty lines of plain text are always kept.

    Near duplicates (--near): MinHash proposes pairs of records, and each pair is verified by the true similarity of
    its sets of n-grams, so nothing below T is dropped. Pairs are linked to clusters, of which one record is kept.
    All records are read before the first is written.

    Substring duplicates (--substring): the first occurrence of a stretch stays, each later one is cut out, and a
    record of which nothing is left is dropped. Lee et al. 2022 take 50 tokens.

    Examples:
      lmkit data dedup corpus.txt -o unique.txt
      lmkit data dedup --unit paragraph --normalize --against test.jsonl web.jsonl.gz
      lmkit data dedup --near 0.7 --best score --report clusters.jsonl web.jsonl -o unique.jsonl
      lmkit data dedup --substring 50 --report cuts.jsonl web.jsonl -o unique.jsonl
    """
    compared = "--near" if near is not None else "--substring" if substring is not None else None
    if near is not None and substring is not None:
        raise UsageError("--near and --substring cannot be combined", hint="pipe one `data dedup` into another")
    if compared is not None and unit != "record":
        raise UsageError(f"{compared} compares records, not lines or paragraphs", hint="leave --unit out")
    if near is None and best is not None:
        raise UsageError("--best needs --near: of other duplicates the first is kept")
    if compared is not None and normalize:
        raise UsageError(f"{compared} always compares normalised words; --normalize is about exact duplicates")
    expect_files(files, engine, scheduler)
    if unit != "record" and engine is not None:
        raise UsageError("--engine compares records, not lines or paragraphs", hint="leave --unit out")
    corpus = Corpus(run, stored, files, fields=[best] if best is not None else [], eager=compared is None)
    form = corpus.expect_one_form()
    other = None if against is None else Corpus(run, stored, [against])
    outputs.expect_apart(output, report)
    with ExitStack() as stack:
        out = stack.enter_context(open_records(output, form, corpus.source.field or FIELD))

        def parts_of(task: Callable[[Any], Any], *settings: Any) -> Iterator[Any] | None:
            """What tasks of the engine find in each FILE."""
            if engine is None:
                return None
            pieces = [(stored, file, *settings) for file in corpus.files]
            return stack.enter_context(in_tasks(task, pieces, scheduler))

        cut = ""
        if substring is not None:
            cutting = substring_dedup.Settings(substring, temp_dir, report is not None)
            parts = parts_of(substring_dedup.grams_of_file, substring)
            counts, rows, cut = substring_dedup.write(corpus, other, out, cutting, parts)
        elif near is None:
            keys = parts_of(exact_dedup.keys_of_file, normalize)
            counts, rows = exact_dedup.write(
                corpus, other, out, unit, normalize=normalize, reported=report is not None, keys=keys
            )
        else:
            settings = near_dedup.Settings(near, shingle, best, temp_dir, reported=report is not None)
            parts = parts_of(near_dedup.found_in_file, settings)
            counts, rows = near_dedup.write(run, corpus, other, out, settings, parts)
        if report is not None:
            _write(report, rows)
    kept = counts.read - counts.dropped
    run.terminal.notice(f"{number_of(counts.read, unit)}: {kept:,} kept, {counts.dropped:,} dropped{cut}")


def _write(name: str, rows: Sequence[dict[str, Any]]) -> None:
    from lmkit.io.records import to_json

    with outputs.open_output(name) as out:
        for row in rows:
            out.line(to_json(row))
