"""`lmkit data stats`: what a corpus holds, by source."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from lmkit.commands.loading import models as opening
from lmkit.commands.options.data import OptionalTokens, Pairs
from lmkit.commands.options.engine import Engine, Scheduler, expect_files, in_tasks
from lmkit.commands.options.option_groups import with_groups
from lmkit.commands.options.standard import TOKENS, Json, Output, Run
from lmkit.commands.options.text_input import TextFiles
from lmkit.commands.records.corpora import Chunk, Corpus, CorpusInput, quiet_run, read_pairs, tell_skipped_in
from lmkit.errors import UsageError
from lmkit.io import outputs, streams
from lmkit.io.records import Table

if TYPE_CHECKING:
    from lmkit.data.corpus_statistics import Counts

COLUMNS = ("bytes", "documents", "lines", "words")
QUANTILES = {"ratio_min": 0.0, "ratio_p01": 0.01, "ratio_median": 0.5, "ratio_p99": 0.99, "ratio_max": 1.0}
MOST_SOURCES = 100_000


@with_groups()
def stats(
    run: Run,
    files: TextFiles = None,
    *,
    stored: CorpusInput,
    by: Annotated[
        str | None,
        typer.Option(
            "--by", metavar="NAMES", show_default="the file",
            help="Source fields: count the records of each value of these fields, such as `source,licence`.",
        ),
    ] = None,
    tokens: OptionalTokens = None,
    languages: Annotated[
        bool,
        typer.Option(
            "--languages", help="Count bytes in Spanish (`es`), English (`en`) and `other`, by function words."
        ),
    ] = False,
    pairs: Pairs = False,
    engine: Engine = None,
    scheduler: Scheduler = None,
    json: Json = False,
    output: Output = None,
) -> None:  # fmt: skip
    """Count the bytes, documents, lines, words and tokens of a corpus.

    One row per file, or per value of the --by fields in the order in which they first occur, and last the total,
    whose figures are the exact sums of the columns. A record is a document; of plain text a file is. Bytes are those
    of the texts in UTF-8, words are separated by white space, and tokens are those of each line, without line ends.

    --pairs counts copies, empty sides and duplicates (pairs that were there before, in 11 to 21 bytes of memory a
    pair), and gives quantiles of the length ratio, words of the target over words of the source.

    Examples:
      lmkit data stats corpus.txt
      lmkit data stats --by source,licence --tokens bpe.lm --languages web.jsonl books.jsonl
      lmkit data stats --pairs train.tsv
    """
    expect_files(files, engine, scheduler)
    if pairs:
        if by is not None or tokens is not None or languages or engine is not None:
            raise UsageError("--pairs cannot be combined with --by, --tokens, --languages and --engine")
        _pair_stats(run, stored, files, json=json, output=output)
        return
    names = ["source"] if by is None else by.split(",")
    if "" in names or len(set(names)) < len(names):
        raise UsageError(f"--by {by!r} is not a list of different fields")
    opening.check_single_stdin(tokens, *(files or [streams.STDIN]))
    corpus = Corpus(run, stored, files)
    if by is not None:
        corpus.expect_fields()
    wanted = Wanted(None if by is None else tuple(names), tokens, languages)
    if engine is None:
        sums = _sums(corpus, wanted)
    else:
        with in_tasks(sums_of_file, [(stored, file, wanted) for file in corpus.files], scheduler) as results:
            parts = list(results)
        tell_skipped_in(run, [skipped for _, skipped in parts])
        sums = _added(part for part, _ in parts)
    counted = _with_total(sums, len(names))
    columns = [*names, *COLUMNS, *(["tokens"] if tokens is not None else []), *(LANGUAGES if languages else ())]
    with outputs.open_output(output) as out:
        table = Table(out, columns, as_json=json)
        for values, counts in counted:
            figures = {**{name: getattr(counts, name) for name in (*COLUMNS, "tokens")}, **counts.languages}
            row = {**dict(zip(names, values, strict=True)), **figures}
            table.row({column: row[column] for column in columns})


LANGUAGES = ("es", "en", "other")


def token_counter(tokens: str | None) -> Callable[[bytes], int] | None:
    """What counts the tokens of a block of lines."""
    if tokens is None:
        return None
    if tokens in TOKENS:
        from lmkit.data.next_token import SPELLINGS

        cut = SPELLINGS[tokens].cut
        return lambda block: sum(len(cut(line)) for line in block[:-1].split(b"\n"))
    tokenizer = opening.named_tokenizer(tokens)
    return lambda block: len(tokenizer.encode_block(block)[0])


class Wanted(NamedTuple):
    """What is counted: by which fields, with which tokens, whether by language."""

    by: tuple[str, ...] | None
    tokens: str | None
    languages: bool


Sums = dict[tuple[str, ...], "Counts"]
"""The sums of the records of each source."""


def _sums(corpus: Corpus, wanted: Wanted) -> Sums:
    from lmkit.data.corpus_statistics import Counts, count

    sums: Sums = {}
    count_tokens = token_counter(wanted.tokens)
    if wanted.by is None:
        for name in corpus.files:
            own = sums.setdefault((streams.display(name),), Counts())
            own.documents += corpus.form(name) == "text"
    for chunk in corpus.chunks():
        for values, texts in _by_source(chunk, wanted.by):
            lines = chunk.fields is None
            sums.setdefault(values, Counts()).add(
                count(texts, lines=lines, count_tokens=count_tokens, languages=wanted.languages)
            )
        if len(sums) > MOST_SOURCES:
            raise UsageError(f"--by: more than {MOST_SOURCES:,} different values")
    return sums


def sums_of_file(piece: tuple[CorpusInput, str, Wanted]) -> tuple[Sums, tuple[int, str]]:
    """The sums of one file, and how many records were skipped: the task that an engine places."""
    stored, file, wanted = piece
    corpus = Corpus(quiet_run("data stats"), stored, [file])
    return _sums(corpus, wanted), corpus.skips


def _added(parts: Iterable[Sums]) -> Sums:
    from lmkit.data.corpus_statistics import Counts

    sums: Sums = {}
    for part in parts:
        for values, counts in part.items():
            sums.setdefault(values, Counts()).add(counts)
    return sums


def _with_total(sums: Sums, fields: int) -> Iterator[tuple[Sequence[str], "Counts"]]:
    from lmkit.data.corpus_statistics import Counts

    total = Counts()
    for values, counts in sums.items():
        total.add(counts)
        yield values, counts
    yield ("total", *[""] * (fields - 1)), total


def _by_source(chunk: Chunk, by: Sequence[str] | None) -> Iterator[tuple[tuple[str, ...], Sequence[bytes]]]:
    if by is None:
        yield (streams.display(chunk.name),), chunk.texts
        return
    found: dict[tuple[str, ...], list[bytes]] = {}
    for text, fields in zip(chunk.texts, chunk.fields or (), strict=True):
        found.setdefault(tuple(_shown(fields.get(name)) for name in by), []).append(text)
    yield from found.items()


def _shown(value: Any) -> str:
    from lmkit.io.records import to_json

    if value is None or isinstance(value, str):
        return value or ""
    return to_json(value)


def _pair_stats(run: Run, stored: CorpusInput, files: list[str] | None, *, json: bool, output: str | None) -> None:
    from lmkit.data.corpus_statistics import PairCounts

    with outputs.open_output(output) as out:
        columns = ("source", "pairs", "copies", "empty", "source_words", "target_words", *QUANTILES, "duplicates")
        table = Table(out, columns, as_json=json)
        for name in files or [streams.STDIN]:
            counts = PairCounts()
            for group in read_pairs(run, stored, [name]):
                counts.add((pair.source, pair.target) for pair in group)
            row = {column: getattr(counts, column) for column in (*columns[1:6], "duplicates")}
            ratios = {column: counts.quantile(share) for column, share in QUANTILES.items()}
            table.row({"source": streams.display(name), **row, **ratios})
