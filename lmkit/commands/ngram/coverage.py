"""`lmkit ngram coverage`: how much of a text another text has seen."""

from pathlib import Path
from typing import Annotated, Any

import typer

from lmkit.commands.loading import models as opening
from lmkit.commands.loading import running_text
from lmkit.commands.ngram.counting import make_learner
from lmkit.commands.options.figures import Plot
from lmkit.commands.options.option_groups import with_groups
from lmkit.commands.options.standard import EncodingErrors, Json, Output, Run, Threads, Tokens
from lmkit.commands.options.text_input import TextInput
from lmkit.io import outputs, streams
from lmkit.io.figures import charts, files
from lmkit.io.record_reader import files_in
from lmkit.io.records import Table

COLUMNS = ("order", "tokens", "tokens_seen", "coverage", "types", "types_seen", "types_coverage")


@with_groups()
def coverage(
    run: Run,
    train: Annotated[str, typer.Argument(metavar="TRAIN", help="Training text.")],
    test: Annotated[str, typer.Argument(metavar="TEST", help="Test text, whose n-grams are looked up in TRAIN.")],
    *,
    text_input: TextInput,
    max_order: Annotated[
        int, typer.Option("--max-order", metavar="N", min=1, max=20, help="Longest n-gram order.")
    ] = 5,
    tokens: Tokens = "word",
    encoding_errors: EncodingErrors = "strict",
    threads: Threads = None,
    plot: Plot = None,
    json: Json = False,
    output: Output = None,
) -> None:
    """Measure n-gram overlap of a test text with a training text.

    For each order, prints the share of the test text's n-grams that occur in the training text: of all
    occurrences (`coverage`) and of distinct n-grams (`types_coverage`). `<s>` begins and `</s>` ends each line.
    Coverage falls with the order, which is why n-gram models back off. --plot draws both over the order.

    Examples:
      lmkit ngram coverage train.txt test.txt
      lmkit ngram coverage --max-order 9 --tokens char train.txt test.txt --json
    """
    from lmkit.io.temp_storage import Disk, memory_size
    from lmkit.ngram.corpus import count_corpus
    from lmkit.ngram.coverage import coverage as covered

    opening.check_single_stdin(train, test)

    def counted(name: str) -> Any:
        learner = make_learner(tokens, None)
        reader = running_text.text_reader(encoding_errors, text_input.source, raw=learner.accepts_any_bytes)
        blocks = running_text.read_blocks(run, reader, files_in(name), "counting")
        cores = opening.core_count(threads)
        return count_corpus(blocks, learner, max_order, memory=memory_size(None), spill=Disk, threads=cores)

    seen, wanted = counted(train), counted(test)
    records = [found.record() for found in covered(seen, wanted)]
    with outputs.open_output(output) as out:
        Table(out, COLUMNS, as_json=json).rows(map(run.signed, records))
    if plot is not None:
        files.write(plot, _figure(f"n-grams of {_short(test)} in {_short(train)}", records))


def _short(name: str) -> str:
    """A file's name without its folder, for a title."""
    return Path(streams.display(name)).name


def _figure(title: str, records: list[dict[str, Any]]) -> charts.Figure:
    """Coverage of occurrences and of distinct n-grams over the order."""
    orders = [record["order"] for record in records]
    lines = [
        charts.Line(label, orders, [record[key] for record in records], points=True)
        for label, key in (("all n-grams", "coverage"), ("distinct n-grams", "types_coverage"))
    ]
    shown = charts.Axis("order"), charts.Axis("share that the training text has", low=0.0, high=1.0)
    return charts.Figure(title, (charts.Panel(lines, *shown),))
