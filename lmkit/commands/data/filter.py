"""`lmkit data filter`: the records of a corpus that are good enough, and why the others are not."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import Annotated, Any, NamedTuple

import typer

from lmkit.commands.data import perplexity_filter, record_filter
from lmkit.commands.options.data import Pairs, Report
from lmkit.commands.options.engine import Engine, Scheduler, expect_files, in_tasks
from lmkit.commands.options.option_groups import in_sections, with_groups
from lmkit.commands.options.standard import ModelOption, Output, Run, TempDir
from lmkit.commands.options.text_input import TextFiles
from lmkit.commands.records.corpora import Corpus, CorpusInput, RecordWriter, number_of, quiet_run, tell_skipped_in
from lmkit.errors import UsageError
from lmkit.io import outputs
from lmkit.io.parquet_output import open_records
from lmkit.io.records import Table, to_json
from lmkit.io.text_sources import FIELD


@in_sections(
    {
        "Rules": ["rules", "thresholds", "stop_words", "list_", "pairs", "max_ratio", "max_words"],
        "Other filters": ["language", "min_score", "match", "exclude", "ppl", "model", "keep"],
        "Input and output": [
            "files", "input_form", "text_field", "on_error", "encoding_errors", "explain", "engine",
            "scheduler", "report", "temp_dir", "output",
        ],
    }
)  # fmt: skip
@with_groups()
def filter_(
    run: Run,
    files: TextFiles = None,
    *,
    rules: Annotated[
        str | None,
        typer.Option(
            "--rules", metavar="LIST", show_default=False,
            help="Rules and sets of rules, such as `gopher,fineweb,pii,-gopher-words`; `-` leaves a rule out. Sets: "
            "`gopher`, `c4`, `fineweb`, `pii`.",
        ),
    ] = None,
    thresholds: Annotated[
        list[str] | None,
        typer.Option(
            "--threshold", metavar="RULE=LOW:HIGH", show_default=False,
            help="Another range for a rule, such as `gopher-words=20:`; an empty end has no bound. Repeat for several.",
        ),
    ] = None,
    stop_words: Annotated[
        str | None,
        typer.Option(
            "--stop-words", metavar="LIST", show_default="by language",
            help="Comma-separated stop words of gopher-stop-words.",
        ),
    ] = None,
    list_: Annotated[bool, typer.Option("--list", help="List the rules with their ranges.")] = False,
    language: Annotated[
        str | None,
        typer.Option(
            "--language", metavar="LIST", show_default=False,
            help="Languages to keep, by function words: a list of `es`, `en` and `other`.",
        ),
    ] = None,
    min_score: Annotated[
        list[str] | None,
        typer.Option(
            "--min-score", metavar="NAME:X", show_default=False,
            help="Score field: keep records whose number in this field is at least X. Repeat for several.",
        ),
    ] = None,
    match: Annotated[
        list[str] | None,
        typer.Option(
            "--match", metavar="PATTERN", show_default=False,
            help="Python regular expression: keep texts with a match. Repeat for several.",
        ),
    ] = None,
    exclude: Annotated[
        list[str] | None,
        typer.Option(
            "--exclude", metavar="PATTERN", show_default=False,
            help="Python regular expression: drop texts with a match. Repeat for several.",
        ),
    ] = None,
    ppl: Annotated[
        bool, typer.Option("--ppl", help="Perplexity filter: keep records by their perplexity under --model.")
    ] = False,
    model: ModelOption = None,
    keep: Annotated[
        str, typer.Option("--keep", metavar="LOW-HIGH", help="Percentiles of perplexity that --ppl keeps.")
    ] = "0-70",
    pairs: Pairs = False,
    max_ratio: Annotated[
        float, typer.Option("--max-ratio", metavar="X", min=1.0, help="Largest length ratio, in words, of --pairs.")
    ] = 9.0,
    max_words: Annotated[
        int, typer.Option("--max-words", metavar="N", min=1, help="Largest number of words of a side of --pairs.")
    ] = 250,
    stored: CorpusInput,
    explain: Annotated[
        bool,
        typer.Option(
            "--explain", help="Print all records as JSON Lines, with the rule that drops each (`dropped_by`, `value`)."
        ),
    ] = False,
    engine: Engine = None,
    scheduler: Scheduler = None,
    report: Report = None,
    temp_dir: TempDir = None,
    output: Output = None,
) -> None:  # fmt: skip
    """Filter a corpus by rules, language, scores or perplexity.

    Rules have the thresholds of their papers (--list prints them): `gopher` (Rae et al. 2021), `c4` (Raffel et al.
    2020), `fineweb` (Penedo et al. 2024). c4-lines removes lines from texts, and `pii` masks mail addresses, IP
    addresses and card numbers with a valid check digit. stderr reports how many records each rule dropped, the
    first one that a record fails counting.

    --ppl ranks the records by perplexity and keeps those between two percentiles, as in CCNet (Wenzek et al. 2020).
    --pairs drops pairs with an empty side, copies, and those above --max-ratio or --max-words.

    Examples:
      lmkit data filter --rules gopher,fineweb,pii web.jsonl -o clean.jsonl
      lmkit data filter --language es --min-score score:3 --exclude 'https?://' posts.jsonl
      lmkit data filter --ppl -m wikipedia.lm --keep 0-30 web.jsonl
      lmkit data filter --pairs --max-ratio 3 train.tsv
      lmkit data filter --list
    """
    if list_:
        _list(output)
        return
    settings = record_filter.Settings(
        rules, thresholds or (), stop_words, language, min_score or (), match or (), exclude or ()
    )
    expect_files(files, engine, scheduler)
    if pairs:
        if settings.any or ppl or engine is not None:
            raise UsageError("--pairs cannot be combined with other filters and --engine")
        limits = record_filter.PairLimits(max_ratio, max_words)
        counts = record_filter.filter_pairs(run, stored, files, output, limits, explain=explain)
    else:
        if ppl != (model is not None):
            raise UsageError("--ppl and -m MODEL belong together")
        if not (settings.any or ppl):
            raise UsageError("nothing to filter by", hint="--rules gopher; --list shows the rules")
        if ppl and engine is not None:
            raise UsageError("--ppl ranks the records of all FILEs; --engine is for filters of one record")
        filters = record_filter.RecordFilter(settings)
        corpus = Corpus(run, stored, files, fields=filters.fields, eager=not ppl)
        form = "jsonl" if explain else corpus.expect_one_form()
        outputs.expect_apart(output, report)
        with ExitStack() as stack:
            if engine is not None:
                pieces = [(settings, stored, file, explain) for file in corpus.files]
                results = stack.enter_context(in_tasks(parts_of_file, pieces, scheduler))
                parts = _joined(run, results, filters.counts)
            else:
                judged = filters.judged(corpus)
                if model is not None:
                    judged = perplexity_filter.judged(run, judged, model, keep, temp_dir, filters.counts)
                parts = (_part(chunk, explain=explain) for chunk in judged)
            writer = RecordWriter(stack.enter_context(open_records(output, form, corpus.source.field or FIELD)))
            for part in parts:
                writer.write(part.raws, part.header, part.name)
        counts = filters.counts
    _tell(run, counts, report)


class Part(NamedTuple):
    """What is written of a chunk of records."""

    name: str
    header: bytes | None
    raws: list[bytes]


def _part(chunk: record_filter.Judged, *, explain: bool) -> Part:
    if explain:
        return Part(chunk.name, None, [to_json(record).encode() for record in chunk.explained()])
    return Part(chunk.name, chunk.header, chunk.kept())


Done = tuple[list[Part], record_filter.Counts, tuple[int, str]]
"""What is written of a file, what was dropped of it, and the records that were skipped."""


def parts_of_file(piece: tuple[record_filter.Settings, CorpusInput, str, bool]) -> Done:
    """What is written of one file: the task that an engine places."""
    settings, stored, file, explain = piece
    filters = record_filter.RecordFilter(settings)
    corpus = Corpus(quiet_run("data filter"), stored, [file], fields=filters.fields)
    parts = [_part(chunk, explain=explain) for chunk in filters.judged(corpus)]
    return parts, filters.counts, corpus.skips


def _joined(run: Run, done: Iterator[Done], counts: record_filter.Counts) -> Iterator[Part]:
    """The parts of all files in order; what was dropped is added to the counts."""
    skips = []
    for parts, own, skipped in done:
        yield from parts
        counts.add(own)
        skips.append(skipped)
    tell_skipped_in(run, skips)


def _list(output: str | None) -> None:
    from lmkit.data.filter_rules import RULES
    from lmkit.data.text_edits import EDITS

    edits = {
        "c4-citations": "removes `[1]`",
        "c4-lines": "removes lines",
        "pii-email": "masks",
        "pii-ip": "masks",
        "pii-card": "masks",
    }
    with outputs.open_output(output) as out:
        table = Table(out, ("rule", "low", "high", "measure"), as_json=False)
        for name, rule in RULES.items():
            table.row({"rule": name, "low": rule.low, "high": rule.high, "measure": rule.what})
        for name in EDITS:
            table.row({"rule": name, "measure": edits[name]})


def _tell(run: Run, counts: record_filter.Counts, report: str | None) -> None:
    """Says how many records were kept, and what each rule did."""
    run.terminal.notice(
        f"{number_of(counts.read, 'record')}: {counts.kept:,} kept, {counts.read - counts.kept:,} dropped"
    )
    rows: Sequence[dict[str, Any]] = counts.rows()
    for row in rows:
        what = f"{row['dropped']:,} dropped" if row["dropped"] else f"{number_of(row['edited'], 'record')} edited"
        run.terminal.notice(f"  {row['rule']}: {what}")
    if report is not None:
        with outputs.open_output(report) as out:
            for row in rows:
                out.line(to_json(row))
