"""`lmkit w2v similar`: the words nearest to words."""

from collections.abc import Iterator
from typing import Annotated

import typer

from lmkit.commands.loading import models as opening
from lmkit.commands.options.standard import Json, ModelOption, Output, Run
from lmkit.commands.w2v import text_search
from lmkit.commands.w2v.query_words import Answers, BareWords, Limit, Query, Top, lines, open_space
from lmkit.errors import UsageError
from lmkit.io import outputs, streams

AT_ONCE = 1024


def similar(
    run: Run,
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="[WORD]...", help="Words to look up. No WORD reads stdin, one per line."),
    ] = None,
    model: ModelOption = None,
    top: Top = 10,
    limit: Limit = None,
    vectors: Annotated[
        str | None,
        typer.Option(
            "--vectors", metavar="FILE", show_default=False,
            help="Search the texts of FILE, which `lmkit embed` wrote, for those nearest to texts that -m embeds, or "
            "without -m to texts of FILE.",
        ),
    ] = None,
    json: Json = False,
    bare: BareWords = False,
    output: Output = None,
) -> None:  # fmt: skip
    """Find the nearest neighbours of words.

    Neighbours are ranked by exact cosine similarity with all words. A word without a vector is an error (status
    3); in the lines of stdin, which are answered as they arrive, it is reported and skipped, and the exit status
    is 3. With --bare each input line has one output line, an empty one for an unknown word or an empty line.
    After training with --subwords, unknown words have vectors composed of character n-grams, with a notice.

    --vectors searches embedded texts instead, exactly: a table, JSON Lines or array of `lmkit embed`. Each query
    is embedded by the encoder of -m, or, without -m, must be one of the texts; of an array, a row's number.

    Examples:
      lmkit w2v similar -m vectors.lm king
      lmkit w2v similar -m vectors.lm --top 3 --json < words.txt
      lmkit embed -m minilm lines.txt | lmkit w2v similar --vectors - -m minilm "a happy dog"
    """
    if vectors is not None:
        if limit is not None:
            raise UsageError("--limit is for word vectors and cannot be combined with --vectors")
        text_search.search(run, words, model, vectors, top=top, as_json=json, bare=bare, output=output)
        return
    name = model if model is not None else streams.STDIN
    if not words:
        opening.check_single_stdin(name, streams.STDIN)
    space = open_space(name)
    from lmkit.word_vectors.vector_space import VectorQuery

    with outputs.open_output(output) as out:
        answers = Answers(run, out, space, as_json=json, bare=bare)
        for queries in _queries(words):
            found = [answers.ask(query, query.words) if query.words else None for query in queries]
            ids, rows, _ = VectorQuery.joined([asked for asked in found if asked])
            near = iter(space.similar(ids, top, limit=limit, vectors=rows))
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
