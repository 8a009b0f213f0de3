"""`lmkit w2v eval`: word vectors against analogy questions and people's judgements of similarity."""

from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Any

import typer

from lmkit.commands.loading import models as opening
from lmkit.commands.options.standard import Json, ModelOption, Output, Run, choice
from lmkit.commands.w2v.query_words import Method, open_space, tell_made
from lmkit.errors import DataError
from lmkit.io import streams
from lmkit.io.records import Table

FREQUENT = 30_000
ANALOGIES = ("section", "correct", "total", "accuracy", "questions")
SIMILARITY = ("spearman", "pearson", "pairs", "unknown")


def eval_(
    run: Run,
    files: Annotated[
        list[str] | None,
        typer.Argument(metavar="[FILE]...", help="Test sets; `-` or none: stdin.", show_default=False),
    ] = None,
    model: ModelOption = None,
    task: Annotated[
        str,
        typer.Option(
            "--task", metavar="KIND", callback=choice("auto", "analogies", "similarity"),
            help="What a file has: `analogies`, `similarity`, or `auto`: its first lines tell.",
        ),
    ] = "auto",
    method: Method = "cosadd",
    restrict: Annotated[
        int | None,
        typer.Option(
            "--restrict", metavar="N", min=0, show_default=f"{FREQUENT} for analogies, 0 for similarity",
            help="Know the first N words only; 0: all.",
        ),
    ] = None,
    fold_case: Annotated[
        bool, typer.Option("--fold-case/--keep-case", help="Words that differ by case are one, the first of them.")
    ] = True,
    json: Json = False,
    output: Output = None,
) -> None:  # fmt: skip
    """Word vectors against analogy questions or judgements of similarity.

    Analogies are lines of four words, `a b c d`, under lines `: section`, as in questions-words.txt:
    the answer to what is to c as b is to a is right if it is d. Questions with a word that is not
    known are left out; `total` counts the others, `questions` all. Sections whose names
    begin with `gram` are summed up as syntactic, the others as semantic.

    Answers are looked for among the words known, the 30000 most frequent ones; figures for other
    tools often mean the first 300000: --restrict 300000.

    Similarity is two words and a number a line, with tabs, commas or spaces between; a header is
    passed over. Spearman's rho and Pearson's r compare the numbers with cosines, over pairs of known
    words; `unknown` counts the other pairs. Where training had --subwords words that it did not meet
    have vectors made of their characters, as is told; to analogies they are unknown.

    Examples:
      lmkit w2v eval -m vectors.lm questions-words.txt
      lmkit w2v eval -m vectors.lm --restrict 0 --method cosmul --json questions-words.txt
      lmkit w2v eval -m vectors.lm wordsim353.tsv simlex999.tsv
    """
    names, sources = opening.sources([model] if model is not None else [], files)
    space = open_space(names[0])
    with streams.open_output(output, inputs=[*names, *sources]) as out:
        tables: dict[str, Table] = {}
        for name in sources:
            lines = list(enumerate(streams.TextReader().lines(name), 1))
            kind = task if task != "auto" else _kind(name, lines)
            columns = ANALOGIES if kind == "analogies" else SIMILARITY
            if kind not in tables:
                shown = columns if len(sources) == 1 else ("file", *columns)
                tables = {kind: Table(out, shown, as_json=json)}  # a header where the kind changes
            if kind == "analogies":
                limit = FREQUENT if restrict is None else restrict or None
                records = _analogies(name, lines, space, limit, multiply=method == "cosmul", fold=fold_case)
            else:
                records = _similarity(run, name, lines, space, restrict or None, fold=fold_case)
            for record in records:
                tables[kind].row({**record, "file": streams.display(name)})
            if not record["total" if kind == "analogies" else "pairs"]:
                run.terminal.notice(f"{streams.display(name)}: not a line whose words are all known")


def _kind(name: str, lines: Sequence[tuple[int, bytes]]) -> str:
    """What a file has. Raises DataError where its first lines don't tell."""
    from lmkit.word_vectors.test_sets import kind_of

    kind = kind_of(line for _, line in lines)
    if kind is None:
        raise DataError(
            f"{streams.display(name)}: neither questions of four words nor two words and a number a line",
            hint="--task says which of them it is, and what is wrong with it",
        )
    return kind


def _parsed(
    name: str, lines: Sequence[tuple[int, bytes]], parse: Callable[[bytes], Any], *, header: bool = False
) -> Iterator[Any]:
    """What each line has, empty ones left out. Raises DataError that names file and line."""
    for number, line in lines:
        try:
            found = parse(line)
        except ValueError as error:
            if not header:
                raise DataError(f"{streams.display(name)}:{number}: {error}") from None
            header = False
            continue
        if found is not None:
            header = False
            yield found


def _analogies(
    name: str, lines: Sequence[tuple[int, bytes]], space: Any, limit: int | None, *, multiply: bool, fold: bool
) -> Iterator[dict[str, Any]]:
    from lmkit.word_vectors import analogies

    sections: list[Any] = []
    for item in _parsed(name, lines, analogies.parse):
        if isinstance(item, str) or not sections:
            sections.append(analogies.Section(item if isinstance(item, str) else "questions", []))
        if not isinstance(item, str):
            sections[-1].questions.append(item)
    if not any(section.questions for section in sections):
        raise DataError(f"{streams.display(name)}: no questions")
    tallies = []
    for tally in analogies.judge(space, sections, limit=limit, multiply=multiply, fold=fold):
        tallies.append(tally)
        yield {**tally._asdict(), "accuracy": tally.accuracy}
    for tally in analogies.totals(tallies):
        yield {**tally._asdict(), "accuracy": tally.accuracy}


def _similarity(
    run: Run, name: str, lines: Sequence[tuple[int, bytes]], space: Any, limit: int | None, *, fold: bool
) -> Iterator[dict[str, Any]]:
    from lmkit.word_vectors import word_similarity

    pairs = list(_parsed(name, lines, word_similarity.parse, header=True))
    if not pairs:
        raise DataError(f"{streams.display(name)}: no pairs of words")
    record = word_similarity.judge(space, pairs, limit=limit, fold=fold)._asdict()
    tell_made(run, streams.display(name), record.pop("made"))
    yield record
