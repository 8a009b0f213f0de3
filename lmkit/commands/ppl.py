"""`lmkit ppl`: perplexity of texts under one or several models."""

import math
import sys
from collections.abc import Iterable, Sequence
from typing import Annotated, Any

import typer

from lmkit.commands import models as opening
from lmkit.commands.options import Bare, EncodingErrors, Files, Json, ModelsOption, NoEos, Output, Run, Threads
from lmkit.edge import streams
from lmkit.edge.records import Table, cell, to_json
from lmkit.edge.terminal import is_terminal, table
from lmkit.errors import DataError, UsageError

COLUMNS = (
    "perplexity", "perplexity_known", "tokens", "unknown_tokens", "nats",
    "bits_per_token", "bits_per_word", "bits_per_character", "bits_per_byte",
)  # fmt: skip
BLOCK = 1 << 20  # enough for one task, small enough to share among threads


def ppl(
    run: Run,
    files: Files = None,
    model: ModelsOption = None,
    no_eos: NoEos = False,
    explain: Annotated[
        bool, typer.Option("--explain", help="Each line's probability, and the perplexity by three formulas.")
    ] = False,
    encoding_errors: EncodingErrors = "strict",
    threads: Threads = None,
    json: Json = False,
    bare: Bare = False,
    output: Output = None,
) -> None:
    """Perplexity of texts under any model.

    Every token of every line is predicted once, and the end of the line too unless --no-eos.
    `perplexity` counts all tokens, unknown ones at the probability that the model gives the
    unknown word; `perplexity_known` leaves unknown ones out. Bits per byte compare models
    whatever their tokens. Several files give a line each and a total; several models are
    set side by side. The signature says how the number came about: same signature and same
    text, same number.

    Examples:
      lmkit ppl -m model.lm test.txt
      lmkit ngram fit train.txt | lmkit ppl test.txt
      lmkit ppl -b -m model.lm < test.txt
      lmkit ppl -m small.lm -m large.arpa --json test.txt
    """
    names, texts = opening.sources(model or [], files)
    if explain and (bare or len(names) > 1):
        raise UsageError("--explain is about one model, and not a bare number")
    eos = not no_eos
    with streams.open_output(output, inputs=[*names, *texts]) as out:
        opened = [_Opened(run, name, eos=eos) for name in names]
        raw = all(one.model.tokenizer.takes_bytes for one in opened)
        reader = opening.text_reader(encoding_errors, raw=raw, block=BLOCK)
        if explain:
            _explain(run, out, opened[0].model, reader, texts, eos=eos, as_json=json)
            return
        shown = _Shown(run, out, as_json=json, bare=bare, several_models=len(names) > 1)
        with run.terminal.progress("scoring", streams.size_of(texts)) as progress:
            for text in texts:
                parts = _evaluate(opened, progress.over(reader.blocks(text)), eos, opening.core_count(threads))
                for one, part in zip(opened, parts, strict=True):
                    one.total.add(part)
                    if len(texts) > 1:
                        shown.add(one.record(streams.display(text), part))
        if not opened[0].total.tokens:
            raise DataError("no text to score: the input is empty")
        for one in opened:
            shown.add(one.record("total" if len(texts) > 1 else streams.display(texts[0]), one.total), last=True)
            one.tell_impossible()
        opening.tell_replaced(run, reader)
        shown.finish()


class _Opened:
    """A model with its name, its signature and its running total."""

    def __init__(self, run: Run, name: str, *, eos: bool) -> None:
        from lmkit.using.evaluation import Totals

        self.name = streams.display(name)
        self.model = opening.open_language_model(name)
        self.signature = opening.signature(self.model, {"eos": "yes" if eos else "no", "unknown": "scored"})
        self.total = Totals()
        self._notice = run.terminal.notice
        if not self.model.normalised:
            self._notice(f"{self.name}: its scores are not probabilities; compare with care")

    def spelled(self) -> list[str]:
        """The first few n-grams of probability zero."""
        return [self.model.tokenizer.decode(ids).decode(errors="replace") for ids in self.total.impossible]

    def tell_impossible(self) -> None:
        """Names what made a perplexity infinite."""
        if self.total.impossible:
            self._notice(
                f"{self.name}: the perplexity is infinite, since these have probability zero: "
                + ", ".join(map(repr, self.spelled()))
            )

    def record(self, text: str, totals: Any) -> dict[str, Any]:
        """The numbers of a text under this model."""
        record = {"file": text, **_numbers(totals), "signature": self.signature, "model": self.name}
        if totals.impossible:
            record["impossible"] = self.spelled()
        return record


def _evaluate(opened: Sequence[_Opened], blocks: Iterable[bytes], eos: bool, threads: int) -> list[Any]:
    """A text's totals under each model, read once."""
    from lmkit.text.ordered import in_order
    from lmkit.using.evaluation import Totals, evaluate_block

    totals = [Totals() for _ in opened]
    for parts in in_order(lambda block: [evaluate_block(one.model, block, eos=eos) for one in opened], blocks, threads):
        for total, part in zip(totals, parts, strict=True):
            total.add(part)
    return totals


def _numbers(totals: Any) -> dict[str, Any]:
    return {
        "perplexity": totals.perplexity if totals.tokens else None,
        "perplexity_known": totals.perplexity_known if totals.tokens > totals.unknown_tokens else None,
        "tokens": totals.tokens,
        "unknown_tokens": totals.unknown_tokens,
        "nats": totals.nats,
        "bits_per_token": totals.bits_per(totals.tokens),
        "bits_per_word": totals.bits_per(totals.words),
        "bits_per_character": totals.bits_per(totals.characters),
        "bits_per_byte": totals.bits_per(totals.bytes),
    }


class _Shown:
    """Prints records as they come; on a terminal, as a table at the end."""

    def __init__(self, run: Run, out: streams.Output, *, as_json: bool, bare: bool, several_models: bool) -> None:
        self._out, self._bare = out, bare
        self._columns = (*(("model",) if several_models else ()), "file", *COLUMNS)
        self._aligned = not (as_json or bare) and is_terminal(sys.stdout) and run.settings.get("output") is None
        self._table = Table(out, (*self._columns, "signature"), as_json=as_json)
        self._rows: list[dict[str, Any]] = []

    def add(self, record: dict[str, Any], *, last: bool = False) -> None:
        if self._bare:
            if last:
                self._out.line(repr(record["perplexity"]))
        elif self._aligned:
            self._rows.append(record)
        else:
            self._table.row(record)

    def finish(self) -> None:
        if not self._rows:
            return
        rows = [[cell(record[column]) for column in self._columns] for record in self._rows]
        self._out.line(table([list(self._columns), *rows]))
        for signature in dict.fromkeys(record["signature"] for record in self._rows):
            self._out.line(f"signature: {signature}")


def _explain(
    run: Run, out: streams.Output, model: Any, reader: streams.TextReader, texts: list[str], *, eos: bool, as_json: bool
) -> None:
    """Per line: probability, tokens and perplexity; then the text's perplexity by three formulas."""
    from lmkit.using.evaluation import lines_of, three_perplexities

    lines = Table(out, ("line", "tokens", "nats", "probability", "perplexity", "text"), as_json=as_json)
    everything = []
    for number, line in enumerate(lines_of(model, opening.blocks_of(run, reader, texts, "scoring"), eos=eos), 1):
        everything.append(line)
        lines.row(
            {
                "line": number, "tokens": len(line.nats), "nats": line.total, "probability": math.exp(line.total),
                "perplexity": line.perplexity, "text": line.text.decode(errors="replace"),
            }
        )  # fmt: skip
    summary = three_perplexities(model, everything)
    if as_json:
        out.line(to_json(summary))
    else:
        for key, value in summary.items():
            out.line(f"{key}\t{cell(value, 9)}")
