"""`lmkit embed`: vectors of lines and tokens."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Annotated, Any, NamedTuple

import typer

from lmkit.commands.loading import models as opening
from lmkit.commands.loading import scoring_models
from lmkit.commands.options.normalization import of_tokenizer
from lmkit.commands.options.standard import EncodingErrors, Files, Json, ModelOption, Output, Run, choice
from lmkit.commands.w2v.query_words import tell_made
from lmkit.errors import CheckpointError, UsageError
from lmkit.io import streams
from lmkit.io.records import Table, cell


def embed(
    run: Run,
    files: Files = None,
    model: ModelOption = None,
    each: Annotated[
        str,
        typer.Option("--each", metavar="WHAT", callback=choice("line", "token"), help="A vector for each what."),
    ] = "line",
    pool: Annotated[
        str,
        typer.Option(
            "--pool", metavar="HOW", callback=choice("mean", "last"),
            help="A line's vector is the `mean` of those of its tokens, or the `last` of them.",
        ),
    ] = "mean",
    contextual: Annotated[
        bool,
        typer.Option(
            "--contextual/--static", help="Vectors of tokens where they stand, or of tokens alone: rows of the table."
        ),
    ] = True,
    token: Annotated[
        str | None,
        typer.Option("--token", metavar="TEXT", show_default=False, help="Each token, but only where this one stands."),
    ] = None,
    bow: Annotated[bool, typer.Option("--bow", help="Count the words of each line, or the tokens of a model.")] = False,
    cosine: Annotated[
        bool, typer.Option("--cosine", help="Instead of each vector the cosine of its angle with the first.")
    ] = False,
    encoding_errors: EncodingErrors = "strict",
    json: Json = False,
    output: Output = None,
) -> None:  # fmt: skip
    """Vectors of lines or of tokens, from any model that has them.

    The vector of a token is the model's hidden state behind it, which what stands before it has a
    say in; or, --static, its row in the table of embeddings. Each line is read as the beginning
    of a text. A line without tokens has no vector. A word is a line of one word: --static gives its
    row. A transformer reads a line beyond its context through windows, as `lmkit score` does, with a
    notice. Of word vectors both are the words' vectors; words that have none don't count. Where these were
    trained with --subwords unknown words have vectors made of their characters, as is told in the end.

    --bow needs no model: as many numbers as the whole input has distinct words, sorted, how often
    each occurs in the line; all lines are held in memory. With a model it counts its tokens.

    The table has a line's number and text, or for each token the line's number, the token's place
    in it from 0 and its text, and the vector's numbers with a space between.

    Examples:
      lmkit embed -m model.lm sentences.txt
      lmkit embed -m model.lm --token it --json sentences.txt
      echo 'cat' | lmkit embed -m model.lm --static
      lmkit embed --bow --cosine sentences.txt
    """
    if bow and (token is not None or each == "token" or not contextual or pool != "mean"):
        raise UsageError("--bow counts the tokens of lines: --each, --pool, --static and --token don't go with it")
    if bow and model is None:
        _bow_of_words(run, files, encoding_errors, output, cosine=cosine, as_json=json)
        return
    names, texts = opening.sources([model] if model is not None else [], files)
    opened, by_token = opening.open_any(names[0]), each == "token" or token is not None
    tokenizer = _tokenizer(opened, names[0])
    reader = opening.text_reader(encoding_errors, raw=tokenizer.takes_bytes, eager=True)
    with streams.open_output(output, inputs=[*names, *texts]) as out:
        lines = _lines(run, reader, texts)
        if bow:
            records = _of_lines(lines, lambda line: _bag(tokenizer, line))
            _show(out, records, by_token=by_token, cosine=cosine, as_json=json)
            return
        windows = scoring_models.ContextNotice(run, streams.display(names[0]), opened)
        vectors = _Vectors(opened, names[0], windows, static=not contextual)
        records = (
            _of_tokens(tokenizer, vectors, lines, token) if by_token else _of_lines(lines, _pooling(vectors, pool))
        )
        _show(out, records, by_token=by_token, cosine=cosine, as_json=json)
        tell_made(run, None, list(vectors.made))


def _bow_of_words(
    run: Run, files: list[str] | None, encoding_errors: str, output: str | None, *, cosine: bool, as_json: bool
) -> None:
    """Bags of words without a model."""
    from lmkit.evaluation.pooling import bags_of_words

    texts = list(files or [streams.STDIN])
    opening.check_single_stdin(*texts)
    with streams.open_output(output, inputs=texts) as out:
        lines = list(_lines(run, opening.text_reader(encoding_errors), texts))
        bags = iter(bags_of_words(lines))
        _show(out, _of_lines(lines, lambda _: next(bags)), by_token=False, cosine=cosine, as_json=as_json)


def _lines(run: Run, reader: streams.TextReader, texts: list[str]) -> Iterator[bytes]:
    for block in opening.read_blocks(run, reader, texts, "reading"):
        yield from block[:-1].split(b"\n")


def _tokenizer(model: Any, name: str) -> Any:
    """A model's tokenizer. Raises CheckpointError where it has none."""
    if getattr(model, "tokenizer", None) is None:
        raise CheckpointError(f"{streams.display(name)}: of kind {model.kind}, it has no tokenizer")
    return model.tokenizer


class _Line(NamedTuple):
    """The tokens of a line, their vectors, and how those at some places are spelled that the model has no id for."""

    ids: Any
    vectors: Any
    spelled: Mapping[int, bytes]


class _Vectors:
    """From lines to their tokens' vectors. Raises CheckpointError where the model has none.

    Word vectors with n-grams have some for unknown words too; `made` are the words of which that is so.
    """

    def __init__(self, model: Any, name: str, windows: scoring_models.ContextNotice, *, static: bool) -> None:
        if not hasattr(model, "vectors"):
            raise CheckpointError(f"{streams.display(name)}: of kind {model.kind}, it has no vectors")
        self._model, self._name, self._windows, self._static = model, name, windows, static
        self.made: dict[bytes, None] = {}

    def __call__(self, line: bytes) -> _Line:
        from lmkit.evaluation.pooling import token_vectors

        ids = self._model.tokenizer.encode(line)
        if not self._static:
            self._windows.tell(len(ids) + 1)
        with opening.error_context(self._name):
            vectors = token_vectors(self._model, ids, static=self._static)
        made = self._model.made(line) if hasattr(self._model, "made") else {}
        for place, (word, vector) in made.items():
            vectors[place] = vector
            self.made[word] = None
        return _Line(ids, vectors, {place: word for place, (word, _) in made.items()})


def _pooling(vectors: _Vectors, pool: str) -> Callable[[bytes], Any]:
    from lmkit.evaluation.pooling import pooled

    return lambda line: pooled(vectors(line).vectors, pool)


def _bag(tokenizer: Any, line: bytes) -> Any:
    from lmkit.evaluation.pooling import bag

    return bag(tokenizer.encode(line), tokenizer.size)


Records = Iterator[dict[str, Any]]


def _of_lines(lines: Iterable[bytes], vector: Callable[[bytes], Any]) -> Records:
    for number, line in enumerate(lines, 1):
        yield {"line": number, "text": line.decode(errors="replace"), "vector": vector(line)}


def _of_tokens(tokenizer: Any, vectors: _Vectors, lines: Iterable[bytes], wanted: str | None) -> Records:
    only = None if wanted is None else _spelled(tokenizer, streams.argument_bytes(wanted, raw=tokenizer.takes_bytes))
    for number, line in enumerate(lines, 1):
        if only is not None and only.isdisjoint(tokenizer.encode(line).tolist()):
            continue
        found = vectors(line)
        for place, (token, vector) in enumerate(zip(found.ids.tolist(), found.vectors, strict=True)):
            if only is None or token in only:
                piece = found.spelled.get(place) or tokenizer.piece(token)
                shown = {"line": number, "place": place, "token": piece.decode(errors="replace")}
                yield {**shown, "vector": vector if vector.any() else None}


def _spelled(tokenizer: Any, text: bytes) -> set[int]:
    """The tokens that are spelled so, spaces around them aside, or in normal form. Raises UsageError without any."""
    wanted = {spelled.strip(b" ") for spelled in (text, of_tokenizer(tokenizer).apply(text))}
    found = {token for token in range(tokenizer.size) if tokenizer.piece(token).strip(b" ") in wanted}
    if not found:
        raise UsageError(f"the model has no token {text.decode(errors='replace')!r}")
    return found


def _show(out: streams.Output, records: Records, *, by_token: bool, cosine: bool, as_json: bool) -> None:
    """A line for each vector, with its numbers or the cosine of its angle with the first."""
    from lmkit.evaluation import pooling

    what = "cosine" if cosine else "vector"
    table = Table(out, (*(("line", "place", "token") if by_token else ("line", "text")), what), as_json=as_json)
    first = None
    for record in records:
        vector = record.pop("vector")
        first = vector if first is None else first
        if cosine:
            table.row({**record, what: None if vector is None else pooling.cosine(first, vector)})
        elif vector is None or as_json:
            table.row({**record, what: None if vector is None else vector.tolist()})
        else:
            table.row({**record, what: " ".join(map(cell, vector.tolist()))})
