"""`lmkit w2v analogy`: solves analogies of words."""

from collections.abc import Iterator, Sequence
from typing import Annotated, NamedTuple

import typer

from lmkit.commands.loading import models as opening
from lmkit.commands.options.standard import Json, ModelOption, Output, Run
from lmkit.commands.w2v.query_words import Answers, BareWords, Limit, Method, Queries, Query, Top, lines, open_space
from lmkit.errors import DataError, UsageError
from lmkit.io import outputs, streams

HINT = "a query is `A B C`, or `+A -B` and so on: words to add and words to subtract"


class Signed(NamedTuple):
    """Words to add, and words to subtract."""

    positive: list[bytes]
    negative: list[bytes]


def analogy(
    run: Run,
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[A B C]",
            help="Analogy: A is to B as C is to ? Without words, reads a query per line from stdin.",
        ),
    ] = None,
    model: ModelOption = None,
    positive: Annotated[
        list[str] | None,
        typer.Option(
            "--positive", metavar="WORD...", show_default=False,
            help="Words to add: all words up to the next option.",
        ),
    ] = None,
    negative: Annotated[
        list[str] | None,
        typer.Option(
            "--negative", metavar="WORD...", show_default=False,
            help="Words to subtract: all words up to the next option.",
        ),
    ] = None,
    queries: Queries = None,
    method: Method = "cosadd",
    top: Top = 10,
    limit: Limit = None,
    json: Json = False,
    bare: BareWords = False,
    output: Output = None,
) -> None:  # fmt: skip
    """Solve analogies: find D so that A is to B as C is to D.

    D is the word nearest to B - A + C. `man king woman` asks for the word that is to woman as king is to
    man, like `--positive king woman --negative man`. Words of the query are excluded.

    Lines of stdin or --queries have three words, or signed words: `+king +woman -man`. Separate words by tabs if
    they contain spaces. A line with a word that has no vector is reported and skipped (with --bare, an empty
    line), and the exit status is 3. After training with --subwords, unknown words have vectors composed of
    character n-grams, with a notice.

    Examples:
      lmkit w2v analogy -m vectors.lm man king woman
      lmkit w2v analogy -m vectors.lm --positive king woman --negative man
      echo '+king +woman -man' | lmkit w2v analogy -m vectors.lm --method cosmul --top 1 -b
    """
    signed = _typed(words or [], positive or [], negative or [])
    if signed is not None and queries is not None:
        raise UsageError("--queries and words exclude each other")
    name = model if model is not None else streams.STDIN
    source = queries or streams.STDIN
    if signed is None:
        opening.check_single_stdin(name, source)
    space = open_space(name)
    with outputs.open_output(output) as out:
        answers = Answers(run, out, space, as_json=json, bare=bare)
        for query in _queries(signed, source):
            asked = answers.ask(query, [*query.words.positive, *query.words.negative]) if query.words else None
            near = []
            if asked:
                count, multiply = len(query.words.positive), method == "cosmul"
                positive, negative = asked.ids[:count], asked.ids[count:]
                near = space.analogy(positive, negative, top, multiply=multiply, limit=limit, vectors=asked.vectors)
            answers.show(query, near)
    answers.finish()


def _typed(words: Sequence[str], positive: Sequence[str], negative: Sequence[str]) -> Query | None:
    """The query of the command line, if there is one. Raises UsageError for half a one."""
    if words and (positive or negative):
        raise UsageError("A B C cannot be combined with --positive and --negative")
    if words and len(words) != 3:
        raise UsageError(f"{len(words)} words, expected three: A is to B as C is to what?")
    if words:
        a, b, c = map(streams.argument_bytes, words)
        return Query(" ".join(words), Signed([b, c], [a]), None)
    if not positive and not negative:
        return None
    text = " ".join([*(f"+{word}" for word in positive), *(f"-{word}" for word in negative)])
    signed = Signed(list(map(streams.argument_bytes, positive)), list(map(streams.argument_bytes, negative)))
    return Query(text, signed, None)


def _queries(typed: Query | None, source: str) -> Iterator[Query]:
    if typed is not None:
        yield typed
    else:
        for queries in lines(source, _parsed):
            yield from queries


def _parsed(line: bytes) -> Signed | None:
    """Return the query of a line, None for an empty one. Raises DataError for anything else."""
    from lmkit.tokenization.words import split

    words = [word for word in line.split(b"\t") if word] if b"\t" in line else split(line)
    if not words:
        return None
    if all(word[:1] in (b"+", b"-") and len(word) > 1 for word in words):
        positive, negative = ([word[1:] for word in words if word[:1] == sign] for sign in (b"+", b"-"))
        return Signed(positive, negative)
    if len(words) != 3:
        raise DataError(f"{len(words)} words", hint=HINT)
    return Signed(words[1:], words[:1])
