"""`lmkit w2v similar`: the words nearest to words."""

from collections.abc import Iterator
from typing import Annotated

import typer

from lmkit.commands import models as opening
from lmkit.commands.options import Json, ModelOption, Output, Run
from lmkit.edge import streams
from lmkit.edge.records import Table

Top = Annotated[int, typer.Option("--top", metavar="N", min=1, help="How many words to show.")]
Limit = Annotated[
    int | None,
    typer.Option("--limit", metavar="N", min=1, help="Answer with the first N words only.", show_default="all"),
]


def similar(
    run: Run,
    words: Annotated[
        list[str] | None, typer.Argument(metavar="[WORD]...", help="Words; none: one a line from stdin.")
    ] = None,
    model: ModelOption = None,
    top: Top = 10,
    limit: Limit = None,
    json: Json = False,
    output: Output = None,
) -> None:
    """The words nearest to words, by the cosine of the angle between their vectors.

    Each word is answered as it comes. A word without a vector is told and left out; the exit
    status is then 3 in the end.

    Examples:
      lmkit w2v similar -m vectors.lm king
      lmkit w2v similar -m vectors.lm --top 3 --json < words.txt
    """
    name = model if model is not None else streams.STDIN
    if not words:
        opening.one_stdin(name, streams.STDIN)
    space = opening.open_kind(name, "w2v")
    with streams.open_output(output, inputs=[name]) as out:
        table = Table(out, ("query", "word", "score"), as_json=json)
        for word in _queries(words):
            (token,) = space.known([word]).tolist()
            for neighbour in space.similar([token], top, limit=limit)[0]:
                shown = space.tokenizer.piece(neighbour.token).decode(errors="replace")
                table.row({"query": word.decode(errors="replace"), "word": shown, "score": neighbour.score})


def _queries(words: list[str] | None) -> Iterator[bytes]:
    if words:
        yield from map(streams.argument_bytes, words)
    else:
        yield from opening.text_reader("strict", eager=True).lines(streams.STDIN)
