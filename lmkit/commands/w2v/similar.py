"""`lmkit w2v similar`: the words nearest to words."""

from collections.abc import Iterator
from typing import Annotated

import typer

from lmkit.commands.loading import models as opening
from lmkit.commands.options.standard import Json, ModelOption, Output, Run
from lmkit.commands.w2v.query_words import Answers, BareWords, Limit, Query, Top, lines, open_space
from lmkit.io import streams

AT_ONCE = 1024


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
    are exact. Where training had --subwords unknown words have vectors made of their characters, as is
    told. A word without a vector ends the command with status 3; among the lines of stdin, which
    are answered as they come, it is told and left out, and the status is 3 in the end. With --bare each
    line has its line: an empty one for such a word, or for an empty line.

    Examples:
      lmkit w2v similar -m vectors.lm king
      lmkit w2v similar -m vectors.lm --top 3 --json < words.txt
    """
    name = model if model is not None else streams.STDIN
    if not words:
        opening.check_single_stdin(name, streams.STDIN)
    space = open_space(name)
    from lmkit.word_vectors.vector_space import VectorQuery

    with streams.open_output(output, inputs=[name]) as out:
        answers = Answers(run, out, space, as_json=json, bare=bare)
        for queries in _queries(words):
            found = [answers.ask(query, query.words) if query.words else None for query in queries]
            ids, vectors, _ = VectorQuery.joined([asked for asked in found if asked])
            near = iter(space.similar(ids, top, limit=limit, vectors=vectors))
            for query, asked in zip(queries, found, strict=True):
                answers.show(query, next(near) if asked else [])
    answers.finish()


def _queries(words: list[str] | None) -> Iterator[list[Query]]:
    """What is asked, so many at once as have come, but not so many that their vectors take much memory."""
    if words:
        yield [Query(word, [streams.argument_bytes(word)], None) for word in words]
        return
    for queries in lines(streams.STDIN, lambda line: [line] if line else []):
        for start in range(0, len(queries), AT_ONCE):
            yield queries[start : start + AT_ONCE]
