"""`lmkit data mix`: one corpus of several, by weights."""

import math
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lmkit.commands.data.stats import token_counter
from lmkit.commands.loading import models as opening
from lmkit.commands.options.data import Report
from lmkit.commands.options.option_groups import with_groups
from lmkit.commands.options.standard import TOKENS, Json, Output, Run, suggested
from lmkit.commands.options.text_input import TextFiles
from lmkit.commands.options.weights import named_weights
from lmkit.commands.records.corpora import Chunk, Corpus, CorpusInput
from lmkit.errors import DataError, UsageError
from lmkit.io import outputs, streams
from lmkit.io.parquet_output import open_records
from lmkit.io.record_reader import FORMS
from lmkit.io.records import Table, cell, to_json
from lmkit.io.text_sources import FIELD

if TYPE_CHECKING:
    from lmkit.data.mixing import Share

COLUMNS = ("source", "weight", "tokens", "epochs", "proportion")


@with_groups()
def mix(
    run: Run,
    files: TextFiles = None,
    *,
    stored: CorpusInput,
    weights: Annotated[
        str | None,
        typer.Option(
            "--weights", metavar="LIST", show_default="by size",
            help="Mixture weights by source, a file's name without its ending, such as `web=0.6,books=0.4`.",
        ),
    ] = None,
    temperature: Annotated[
        float,
        typer.Option(
            "--temperature", "-t", metavar="T", min=0.01, help="Temperature: weights (or sizes) to the power of 1/T."
        ),
    ] = 1.0,
    tokens: Annotated[
        str | None,
        typer.Option(
            "--tokens", metavar="N", show_default="those of all sources",
            help="Tokens of the mixture, such as `300e9`.",
        ),
    ] = None,
    tokenizer: Annotated[
        str,
        typer.Option(
            "--tokenizer", metavar="KIND", callback=suggested(*TOKENS),
            help="What counts as a token: `word`, `char`, `byte`, or a tokenizer's checkpoint, such as `bpe.lm`.",
        ),
    ] = "word",
    sizes: Annotated[
        str | None,
        typer.Option(
            "--sizes", metavar="LIST", show_default=False,
            help="Sizes of sources in tokens, such as `web=410e9,books=12e9`: print the plan, without FILEs.",
        ),
    ] = None,
    stream: Annotated[
        bool,
        typer.Option("--stream", help="Write at once, without counting the sources first; without --tokens, for ever."),
    ] = False,
    report: Report = None,
    json: Json = False,
    output: Output = None,
) -> None:  # fmt: skip
    """Mix corpora into one by weights.

    Each FILE is a source. Records are drawn such that sources have their proportions of the tokens at any point, to
    within a record, and become JSON Lines with a `source` (which is kept where they have one). A source that ends
    before the mixture does is read again. Within a source the order is kept; `data shuffle` changes it.

    stderr and --report have for each source its weight, tokens, epochs (weight x N / size) and realised proportion.
    Weights that do not sum to 1 are renormalised, with a notice; epochs are those of the weights as given.

    Examples:
      lmkit data mix --weights web=0.6,books=0.4 --tokens 1e6 web.jsonl books.jsonl -o mixed.jsonl
      lmkit data mix --stream --weights a=3,b=7 --tokens 1e6 a.txt b.txt | lmkit ngram fit --input jsonl -o m.lm
      lmkit data mix --sizes cc=410e9,wiki=3e9 --weights cc=0.97,wiki=0.03 --tokens 300e9
    """
    wanted = None if tokens is None else _number(tokens)
    if sizes is not None:
        if files or stream:
            raise UsageError("--sizes plans a mixture without FILEs and --stream")
        _show_plan(run, named_weights(sizes, "--sizes"), weights, temperature, wanted, as_json=json, output=output)
        return
    if len(files or []) < 2:
        raise UsageError("a mixture needs several FILEs", hint="lmkit data mix --weights a=0.6,b=0.4 a.jsonl b.jsonl")
    opening.check_single_stdin(tokenizer, *(files or []))
    count = token_counter(tokenizer)
    assert count is not None
    sources = {name: _Source(name, file, run, stored, count) for name, file in _named(files or []).items()}
    if stream and weights is None:
        raise UsageError("--stream counts no sizes, so it needs --weights")
    given = None if weights is None else _weights_of(weights, sources)
    if not stream:
        for name, source in sources.items():
            if given is None or given[name]:
                source.measure()
    known = {name: float(source.size) for name, source in sources.items() if source.size is not None}
    if wanted is None:
        wanted = math.inf if stream else math.fsum(known.values())
    shares = _shares(run, given or known, temperature, wanted, known)
    outputs.expect_apart(output, report)
    _write(run, sources, shares, wanted, output, report)


def _number(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 1 <= number <= 1e30:
        raise UsageError(f"--tokens {text!r} is not a number of tokens", hint="--tokens 300e9")
    return number


def _named(files: list[str]) -> dict[str, str]:
    """The files by the names of sources: their own without folders and endings. Raises UsageError for equal ones."""
    found: dict[str, str] = {}
    for file in files:
        name = os.path.basename(streams.display(file))
        for ending in (".gz", ".bz2", ".xz", ".zst", *(ending for form in FORMS.values() for ending in form.endings)):
            name = name.removesuffix(ending)
        if name in found:
            raise UsageError(f"{found[name]} and {file} are both a source {name!r}", hint="rename one")
        found[name] = file
    return found


def _weights_of(text: str, sources: Mapping[str, Any]) -> dict[str, float]:
    """The weights in the order of the sources. Raises UsageError where names differ."""
    weights = named_weights(text, "--weights")
    if set(weights) != set(sources):
        named = ", ".join(sorted(set(weights) ^ set(sources)))
        raise UsageError(f"--weights and the sources do not have the same names: {named}")
    return {name: weights[name] for name in sources}


def _shares(
    run: Run, weights: Mapping[str, float], temperature: float, wanted: float, sizes: Mapping[str, float]
) -> list["Share"]:
    from lmkit.data.mixing import plan, tempered

    total = math.fsum(weights.values())
    if not total:
        raise DataError("the sources are empty")
    if temperature != 1 or weights == sizes:
        weights = tempered(weights, temperature)
    elif abs(total - 1) > 1e-9:
        run.terminal.notice(f"weights sum to {total:g}, renormalised; epochs are of the weights as given")
    return plan(weights, wanted, sizes)


def _show_plan(
    run: Run, sizes: dict[str, float], weights: str | None, temperature: float, wanted: float | None, *,
    as_json: bool, output: str | None,
) -> None:  # fmt: skip
    given = sizes if weights is None else _weights_of(weights, sizes)
    wanted = math.fsum(sizes.values()) if wanted is None else wanted
    shares = _shares(run, given, temperature, wanted, sizes)
    with outputs.open_output(output) as out:
        table = Table(out, COLUMNS, as_json=as_json)
        for share in shares:
            row = asdict(share)
            table.row({column: row[column] for column in COLUMNS})


@dataclass
class _Source:
    """A file that is read as often as it takes."""

    name: str
    file: str
    run: Run
    stored: CorpusInput
    count: Callable[[bytes], int]
    size: int | None = field(default=None, init=False)
    """Its tokens, once they are known."""

    def _chunks(self) -> Iterator[Chunk]:
        return Corpus(self.run, self.stored, [self.file]).chunks()

    def measure(self) -> None:
        """Count the tokens. Raises DataError for a stream, which cannot be read again."""
        if self.file == streams.STDIN:
            raise DataError("<stdin> cannot be counted and then read", hint="--stream, or write it to a file")
        self.size = sum(self._sizes(chunk) for chunk in self._chunks())

    def _sizes(self, chunk: Chunk) -> int:
        return sum(max(1, self.count(text + b"\n")) for text in chunk.texts)

    def documents(self) -> Iterator[tuple[int, bytes]]:
        """The sizes of records, and the records with their source, again and again. Raises DataError for none."""
        while True:
            total = 0
            for chunk in self._chunks():
                for at, text in enumerate(chunk.texts):
                    size = max(1, self.count(text + b"\n"))
                    total += size
                    yield size, self._with_source(chunk, at)
            if not total:
                raise DataError(f"{streams.display(self.file)}: no records, but a weight")
            if self.file == streams.STDIN:
                raise DataError("<stdin> ended before the mixture did, and cannot be read again")
            self.size = total

    def _with_source(self, chunk: Chunk, number: int) -> bytes:
        """A record as JSON with a `source`, otherwise as it came."""
        if chunk.fields is None:
            return to_json({FIELD: chunk.texts[number].decode(), "source": self.name}).encode()
        fields, raw = chunk.fields[number], chunk.raws[number]
        own = fields.get("source") is not None
        if chunk.header is not None or (not own and "source" in fields):
            return to_json({**fields, "source": fields["source"] if own else self.name}).encode()
        if own:
            return raw
        return raw.rstrip()[:-1].rstrip() + b", " + to_json({"source": self.name}).encode()[1:]


def _write(
    run: Run,
    sources: Mapping[str, _Source],
    shares: list["Share"],
    wanted: float,
    output: str | None,
    report: str | None,
) -> None:
    from lmkit.data.mixing import Schedule

    schedule = Schedule({share.source: share.proportion for share in shares})
    held: list[bytes] = []
    size = 0
    progress_of_mixing = run.terminal.progress("mixing", _finite(wanted), "tokens")
    with open_records(output, "jsonl", FIELD) as out, progress_of_mixing as progress:
        before = 0
        for _, document in schedule.draw({name: source.documents() for name, source in sources.items()}, wanted):
            held.append(document)
            size += len(document)
            if size > 1 << 16:
                out.answer(b"\n".join(held) + b"\n")
                held, size = [], 0
                done = sum(schedule.tokens.values())
                progress.advance(done - before)
                before = done
        if held:
            out.answer(b"\n".join(held) + b"\n")
    _tell(run, sources, shares, schedule.tokens, report)


def _finite(number: float) -> int | None:
    return int(number) if math.isfinite(number) else None


def _tell(
    run: Run, sources: Mapping[str, _Source], shares: list["Share"], tokens: Mapping[str, int], report: str | None
) -> None:
    """Says what the mixture has of each source."""
    total = max(1, sum(tokens.values()))
    rows = []
    for share in shares:
        realised, size = tokens.get(share.source, 0), sources[share.source].size
        epochs = share.epochs
        if epochs is None and size:
            epochs = realised / size
        rows.append(
            {"source": share.source, "weight": share.weight, "tokens": realised, "epochs": epochs,
             "proportion": realised / total, "size": size}
        )  # fmt: skip
    for row in rows:
        known = "" if row["epochs"] is None else f", {cell(row['epochs'], 3)} epochs"
        run.terminal.notice(f"{row['source']}: {row['tokens']:,} tokens, {row['proportion']:.4g} of all{known}")
    if report is not None:
        with outputs.open_output(report) as out:
            for row in rows:
                out.line(to_json(row))
