"""What the commands of word vectors share: options, queries that come as arguments or as lines, answers."""

from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Any, NamedTuple

import typer

from lmkit.commands.loading import models as opening
from lmkit.commands.options.standard import Run, choice
from lmkit.errors import CheckpointError, DataError
from lmkit.io import outputs, streams, text_files
from lmkit.io.records import Table, cell

SHOWN = 5  # words that are named on one line

Top = Annotated[int, typer.Option("--top", metavar="N", min=1, help="Number of words to show.")]
Limit = Annotated[
    int | None,
    typer.Option(
        "--limit", metavar="N", min=1, show_default="all",
        help="Restrict answers to the first N words of the vocabulary, special tokens not counted.",
    ),
]  # fmt: skip
Method = Annotated[
    str,
    typer.Option(
        "--method", metavar="METHOD", callback=choice("cosadd", "cosmul"),
        help="Analogy method: `cosadd` (3CosAdd), the cosine with the sum of unit vectors; `cosmul` (3CosMul), the "
        "product and quotient of cosines shifted to 0 to 1.",
    ),
]  # fmt: skip
BareWords = Annotated[bool, typer.Option("--bare", "-b", help="Print only the words, a tab-separated line per query.")]
Queries = Annotated[
    str | None,
    typer.Option("--queries", metavar="FILE", show_default=False, help="Read queries from FILE, one per line."),
]


def open_space(name: str) -> Any:
    """The word vectors of a checkpoint. Raises CheckpointError that says how to make one."""
    try:
        return opening.open_kind(name, "w2v")
    except CheckpointError as error:
        hint = error.hint or "convert word vectors of other tools with `lmkit w2v import`"
        raise CheckpointError(str(error), hint=hint) from None


def tell_made(run: Run, place: str | None, words: Sequence[bytes]) -> None:
    """Report words whose vectors were composed of character n-grams; of many, the first few."""
    if words:
        shown = ", ".join(repr(word.decode(errors="replace")) for word in words[:SHOWN])
        more = f" and {len(words) - SHOWN:,} more" if len(words) > SHOWN else ""
        run.terminal.notice(f"{f'{place}: ' if place else ''}vectors composed of character n-grams: {shown}{more}")


class Query(NamedTuple):
    """What is asked, as it was typed, and where: the place of a line, or none."""

    text: str
    words: Any
    place: str | None


def lines(name: str, parse: Callable[[bytes], Any]) -> Iterator[list[Query]]:
    """The queries of a file or stdin, as many at once as have come; an error of `parse` gets file and line."""
    number = 0
    for block in text_files.TextReader(eager=True).blocks(name):
        queries = []
        for line in block[:-1].split(b"\n"):
            number += 1
            with opening.error_context(f"{streams.display(name)}:{number}"):
                queries.append(Query(line.decode(), parse(line), f"{streams.display(name)}:{number}"))
        yield queries


class Answers:
    """Neighbours as rows of a table, or, `bare`, a line for each query.

    Queries that came as lines and have words without a vector are reported on stderr and counted; they get
    no row, or an empty line with `bare`.
    """

    def __init__(self, run: Run, out: outputs.Output, space: Any, *, as_json: bool, bare: bool) -> None:
        self._run, self._out, self._space, self._bare = run, out, space, bare
        self._table = Table(out, ("query", "word", "score"), as_json=as_json)
        self.unknown = self.asked = 0

    def ask(self, query: Query, words: Sequence[bytes]) -> Any:
        """Return a query's words in the space, with a notice for those composed of character n-grams.

        Raises DataError for unknown words; where the query came as a line, reports them and returns None.
        """
        self.asked += 1
        try:
            asked = self._space.ask(words)
        except DataError as error:
            if query.place is None:
                raise
            self._run.terminal.notice(f"{query.place}: {error}")
            self.unknown += 1
            return None
        tell_made(self._run, query.place, asked.made)
        return asked

    def show(self, query: Query, neighbours: Sequence[Any]) -> None:
        """Writes the answer to a query."""
        words = [self._space.tokenizer.piece(each.token).decode(errors="replace") for each in neighbours]
        if self._bare:
            self._out.line("\t".join(map(cell, words)))
            return
        self._table.rows(
            {"query": query.text, "word": word, "score": neighbour.score}
            for word, neighbour in zip(words, neighbours, strict=True)
        )

    def finish(self) -> None:
        """Raises DataError where queries were left out."""
        if self.unknown:
            raise DataError(f"{self.unknown} of {self.asked} queries have words without a vector")
