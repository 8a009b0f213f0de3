"""`lmkit ngram query`: n-grams and their probabilities."""

import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lmkit.commands.loading import models as opening
from lmkit.commands.options.standard import Bare, Json, ModelOption, Output, Run
from lmkit.errors import DataError
from lmkit.io import outputs, streams, text_files
from lmkit.io.records import Table
from lmkit.io.terminal import is_terminal

COLUMNS = ("context", "word", "probability", "log10", "order")

if TYPE_CHECKING:
    from lmkit.ngram.backoff_model import NGram


def query(
    run: Run,
    ngrams: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NGRAM]...",
            help="N-grams to look up. `-` reads them from stdin, one per line.",
            show_default=False,
        ),
    ] = None,
    model: ModelOption = None,
    order: Annotated[
        int | None, typer.Option("--order", metavar="N", min=1, help="Order of the n-grams to look up or list.")
    ] = None,
    json: Json = False,
    bare: Bare = False,
    output: Output = None,
) -> None:
    r"""Look up n-grams and their probabilities.

    For each n-gram, prints the probability of its last word given the words before it, and the order that
    supplied it. `<s>` and `</s>` mark the ends of a sentence; unlisted words are `<unk>`. Without n-grams and
    with nothing on stdin, lists every n-gram of the model.

    Examples:
      lmkit ngram query -m model.lm "yo soy" "<s> yo"
      lmkit ngram query -m model.lm --order 1 --json
      printf 'yo soy\n' | lmkit ngram query -m model.lm -
    """
    name = model if model is not None else streams.STDIN
    opening.check_single_stdin(name, *(ngrams or []))
    opened = opening.open_kind(name, "ngram")
    with outputs.open_output(output) as out:
        table = Table(out, COLUMNS, as_json=json)
        wanted = _wanted(ngrams, name)
        if wanted is None:
            opened.check()
        records = _listed(opened, order) if wanted is None else _asked(opened, wanted, order)
        for record in records:
            if bare:
                out.line(repr(record["probability"]))
            else:
                table.row(record)


def _wanted(ngrams: list[str] | None, model: str) -> Iterable[bytes] | None:
    """The n-grams asked for; None where all are."""
    if ngrams and ngrams != [streams.STDIN]:
        return [streams.argument_bytes(text) for text in ngrams]
    if model == streams.STDIN or sys.stdin is None or (not ngrams and is_terminal(sys.stdin)):
        return None
    lines = text_files.TextReader(eager=True).lines(streams.STDIN)
    if ngrams:
        return lines
    first = next(lines, None)
    return None if first is None else _chain(first, lines)


def _chain(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest


def _asked(model: "NGram", lines: Iterable[bytes], order: int | None) -> Iterator[dict[str, Any]]:
    from lmkit.tokenization.words import split

    for number, line in enumerate(lines, 1):
        words = split(line)
        if not words:
            raise DataError(f"query {number} is empty")
        yield _answer(model, words[-(order or len(words)) :])


def _ids(model: "NGram", words: list[bytes]) -> list[int]:
    """Ids of words, among which `<s>` and `</s>` mean what they say."""
    names = {b"<s>": model.tokenizer.specials["bos"], b"</s>": model.tokenizer.specials["eos"]}
    ids: list[int] = []
    for word in words:
        encoded = [names[word]] if word in names else model.tokenizer.encode(word).tolist()
        ids += encoded
    return ids


def _answer(model: "NGram", words: list[bytes]) -> dict[str, Any]:
    from lmkit.ngram.ngram_lookup import look_up

    ids = _ids(model, words)[-len(model.checked) :]
    if not ids:
        raise DataError(f"{b' '.join(words).decode(errors='replace')!r} has no words: punctuation is removed")
    return _record(model, ids, *look_up(model.checked, ids, model.unseen))


def _record(model: "NGram", ids: list[int], log10: float, order: int) -> dict[str, Any]:
    spelled = [model.tokenizer.piece(token).decode(errors="replace") for token in ids]
    probability = 0.0 if log10 == -float("inf") else 10.0**log10
    return {
        "context": " ".join(spelled[:-1]), "word": spelled[-1], "probability": probability, "log10": log10,
        "order": order,
    }  # fmt: skip


def _listed(model: "NGram", order: int | None) -> Iterator[dict[str, Any]]:
    from lmkit.ngram.ngram_lookup import possible_grams

    for ids, log10, found in possible_grams(model.tables, model.tokenizer.specials["bos"], order):
        yield _record(model, ids, log10, found)
