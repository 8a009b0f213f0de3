"""`lmkit w2v compare`: cosines and distances of words."""

from collections.abc import Sequence
from itertools import combinations
from typing import Annotated, Any

import typer

from lmkit.commands.options.standard import Json, ModelOption, Output, Run
from lmkit.commands.w2v.query_words import open_space, tell_made
from lmkit.errors import DataError, Status, UsageError
from lmkit.io import number_tables, outputs, streams, text_files
from lmkit.io.records import Table, to_json, write_pairs


def compare(
    run: Run,
    words: Annotated[
        list[str] | None, typer.Argument(metavar="[WORD]...", help="Two words or more to compare.", show_default=False)
    ] = None,
    model: ModelOption = None,
    matrix: Annotated[
        str | None,
        typer.Option(
            "--matrix", metavar="FILE", show_default=False,
            help="Table of vectors instead of a model: a word and its numbers, such as counts, per line. `-` reads "
            "stdin.",
        ),
    ] = None,
    assert_: Annotated[
        bool,
        typer.Option(
            "--assert",
            help="Exit with status 1 unless the first word is nearer to the second than to any other.",
        )
    ] = False,
    json: Json = False,
    bare: Annotated[
        bool,
        typer.Option("--bare", "-b", help="Print only the cosine of two words, or `true` or `false` for more words."),
    ] = False,
    output: Output = None,
) -> None:  # fmt: skip
    """Compare words: cosine similarity and Euclidean distance.

    Prints all pairs. For three words or more, `nearer` is `true` if the first is nearer to the second than to
    each other word, by Euclidean distance. The cosine with a zero vector is `null`. --matrix without words
    compares all words of its table, without `nearer`.

    Examples:
      lmkit w2v compare -m vectors.lm mesa silla auto
      lmkit w2v compare -m vectors.lm --assert mesa silla auto > distances.tsv
      lmkit w2v compare --matrix contexts.tsv
    """
    if matrix is not None and model is not None:
        raise UsageError("--matrix cannot be combined with a model")
    least = 3 if assert_ else 0 if matrix is not None else 2
    if len(words or []) < least or len(words or []) == 1:
        raise UsageError(f"{len(words or [])} words, expected {max(least, 2)} or more")
    if bare and not words:
        raise UsageError("--bare needs words")
    name = matrix or (model if model is not None else streams.STDIN)
    labels, rows = _of_matrix(name, words) if matrix is not None else _of_model(run, name, words or [])
    with outputs.open_output(output) as out:
        nearer = _show(out, labels, rows, question=len(words or []) > 2, as_json=json, bare=bare)
    if assert_ and not nearer:
        raise typer.Exit(Status.NO)


def _of_model(run: Run, name: str, words: Sequence[str]) -> tuple[list[str], Any]:
    asked = open_space(name).ask(list(map(streams.argument_bytes, words)))
    tell_made(run, None, asked.made)
    return list(words), asked.vectors


def _of_matrix(name: str, words: Sequence[str] | None) -> tuple[list[str], Any]:
    """Labels and rows of a table, those of some words if they are named. Raises DataError for others."""
    import numpy as np

    labels, rows = number_tables.labelled(name, text_files.TextReader())
    places = {label: place for place, label in enumerate(labels)}
    missing = [repr(word) for word in words or [] if word not in places]
    if missing:
        raise DataError(f"{streams.display(name)}: no row for {', '.join(missing)}")
    wanted = list(words or labels)
    return wanted, np.array([rows[places[word]] for word in wanted])


def _show(
    out: outputs.Output, labels: Sequence[str], rows: Any, *, question: bool, as_json: bool, bare: bool
) -> bool | None:
    """All pairs, and the answer if there is a question: is the first nearer to the second than to the others?"""
    from lmkit.word_vectors.vector_space import cosine, distance

    nearer = None
    if question:
        nearest, *others = (distance(rows[0], row) for row in rows[1:])
        nearer = nearest < min(others)
    if bare:
        out.line(to_json({"": cosine(rows[0], rows[1]) if nearer is None else nearer})[5:-1])
        return nearer
    table = Table(out, ("word", "other", "cosine", "distance"), as_json=as_json)
    for one, other in combinations(range(len(labels)), 2):
        near = cosine(rows[one], rows[other])
        record = {
            "word": labels[one],
            "other": labels[other],
            "cosine": near,
            "distance": distance(rows[one], rows[other]),
        }
        table.row(record if as_json or near is not None else {**record, "cosine": "null"})
    if nearer is not None:
        answer = str(nearer).lower()
        if as_json:
            out.line(to_json({"query": list(labels), "nearer": nearer}))
        else:
            write_pairs(out, [("nearer", answer)])
    return nearer
