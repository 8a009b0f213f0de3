"""`lmkit w2v similar`: the words nearest to words."""

from collections.abc import Iterator
from typing import Annotated

import typer

from lmkit.commands import models as opening
from lmkit.commands.options import Json, ModelOption, Output, Run
from lmkit.commands.w2v.options import Answers, BareWords, Limit, Query, Top, lines, open_space
from lmkit.edge import streams


def similar(
    run: Run,
    words: Annotated[
        list[str] | None, typer.Argument(metavar="[WORD]...", help="Words; none: one a line from stdin.")
    ] = None,
    model: ModelOption = None,
    top: Top = 10,
    limit: Limit = None,
    json: Json = False,
    bare: BareWords = False,
    output: Output = None,
) -> None:
    """The words nearest to words.

    That is, by the cosine of the angle between their vectors. All words are looked at, and the cosines
    are exact. A word without a vector ends the command with status 3; among the lines of stdin, which
    are answered as they come, it is told and left out, and the status is 3 in the end. With --bare each
    line has its line: an empty one for such a word, or for an empty line.

    Examples:
      lmkit w2v similar -m vectors.lm king
      lmkit w2v similar -m vectors.lm --top 3 --json < words.txt
    """
    name = model if model is not None else streams.STDIN
    if not words:
        opening.one_stdin(name, streams.STDIN)
    space = open_space(name)
    with streams.open_output(output, inputs=[name]) as out:
        answers = Answers(run, out, space, as_json=json, bare=bare)
        for queries in _queries(words):
            found = [answers.known(query, query.words) if query.words else None for query in queries]
            near = iter(space.similar([ids[0] for ids in found if ids], top, limit=limit))
            for query, ids in zip(queries, found, strict=True):
                answers.show(query, next(near) if ids else [])
    answers.finish()


def _queries(words: list[str] | None) -> Iterator[list[Query]]:
    if words:
        yield [Query(word, [streams.argument_bytes(word)], None) for word in words]
    else:
        yield from lines(streams.STDIN, lambda line: [line] if line else [])
