"""`lmkit w2v eval`: word vectors against analogy questions and people's judgements of similarity."""

from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Any

import typer

from lmkit.commands.loading import models as opening
from lmkit.commands.options.standard import Json, ModelOption, Output, Run, choice
from lmkit.commands.w2v.query_words import Method, open_space, tell_made
from lmkit.errors import DataError
from lmkit.io import outputs, streams, text_files
from lmkit.io.records import Table

FREQUENT = 30_000
ANALOGIES = ("section", "correct", "total", "accuracy", "questions")
SIMILARITY = ("spearman", "pearson", "pairs", "unknown")


def eval_(
    run: Run,
    files: Annotated[
        list[str] | None,
        typer.Argument(metavar="[FILE]...", help="Test sets. `-`, or no FILE, reads stdin.", show_default=False),
    ] = None,
    model: ModelOption = None,
    task: Annotated[
        str,
        typer.Option(
            "--task", metavar="KIND", callback=choice("auto", "analogies", "similarity"),
            help="Task: `analogies`, `similarity`, or `auto`, by the first lines of a file.",
        ),
    ] = "auto",
    method: Method = "cosadd",
    restrict: Annotated[
        int | None,
        typer.Option(
            "--restrict", metavar="N", min=0, show_default=f"{FREQUENT} for analogies, 0 for similarity",
            help="Restrict the vocabulary to the first N words. 0 uses all.",
        ),
    ] = None,
    fold_case: Annotated[
        bool,
        typer.Option(
            "--fold-case/--keep-case",
            help="Fold case: merge words that differ only in case into the first of them.",
        )
    ] = True,
    json: Json = False,
    output: Output = None,
) -> None:  # fmt: skip
    """Evaluate word vectors on analogies or word similarity.

    Analogies are lines `a b c d` under lines `: section`, as in questions-words.txt. A question is correct if d
    is the answer to: a is to b as c is to ? Questions with unknown words are skipped: `questions` counts all,
    `total` the others. Sections named `gram...` are summed up as syntactic, the rest as semantic. Answers are
    restricted to the 30,000 most frequent words; published figures often use --restrict 300000.

    Similarity test sets have two words and a number per line, separated by tabs, commas or spaces; a header is
    skipped. Spearman's rho and Pearson's r compare the numbers with cosines. Pairs with unknown words are only
    counted (`unknown`). After training with --subwords such words have vectors composed of character n-grams,
    with a notice, but not in analogies.

    Examples:
      lmkit w2v eval -m vectors.lm questions-words.txt
      lmkit w2v eval -m vectors.lm --restrict 0 --method cosmul --json questions-words.txt
      lmkit w2v eval -m vectors.lm wordsim353.tsv simlex999.tsv
    """
    names, sources = opening.sources([model] if model is not None else [], files)
    space = open_space(names[0])
    with outputs.open_output(output) as out:
        tables: dict[str, Table] = {}
        for name in sources:
            lines = list(enumerate(text_files.TextReader().lines(name), 1))
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
                tables[kind].row(run.signed({**record, "file": streams.display(name)}))
            if not record["total" if kind == "analogies" else "pairs"]:
                run.terminal.notice(f"{streams.display(name)}: no line has known words only")


def _kind(name: str, lines: Sequence[tuple[int, bytes]]) -> str:
    """What a file has. Raises DataError where its first lines don't tell."""
    from lmkit.word_vectors.test_sets import kind_of

    kind = kind_of(line for _, line in lines)
    if kind is None:
        raise DataError(
            f"{streams.display(name)}: expected questions of four words, or two words and a number per line",
            hint="name the kind with --task to see the error",
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
