"""`lmkit embed`: vectors of lines and tokens."""

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lmkit.commands.loading import models as opening
from lmkit.commands.loading import running_text, scoring_models
from lmkit.commands.options.option_groups import with_groups
from lmkit.commands.options.standard import EncodingErrors, Json, ModelOption, Output, Run, choice
from lmkit.commands.options.text_input import TextFiles, TextInput
from lmkit.commands.w2v.query_words import tell_made
from lmkit.errors import CheckpointError, UsageError
from lmkit.io import outputs, streams
from lmkit.io.records import Table, cell
from lmkit.io.text_sources import SourceReader
from lmkit.tokenization.normalization import of_tokenizer

if TYPE_CHECKING:
    from lmkit.evaluation.pooling import LineVectors, TokenVectors


@with_groups()
def embed(
    run: Run,
    files: TextFiles = None,
    model: ModelOption = None,
    *,
    text_input: TextInput,
    each: Annotated[
        str,
        typer.Option(
            "--each", metavar="UNIT", callback=choice("line", "token"),
            help="One vector per `line` or `token`.",
        ),
    ] = "line",
    pool: Annotated[
        str,
        typer.Option(
            "--pool", metavar="MODE", callback=choice("mean", "last"),
            help="Pooling: a line's vector is the `mean` of its token vectors, or the `last` one.",
        ),
    ] = "mean",
    contextual: Annotated[
        bool,
        typer.Option(
            "--contextual/--static",
            help="Contextual token vectors (hidden states), or static ones (rows of the embedding matrix).",
        ),
    ] = True,
    token: Annotated[
        str | None,
        typer.Option(
            "--token", metavar="TEXT", show_default=False,
            help="Print vectors of this token only, wherever it occurs.",
        ),
    ] = None,
    bow: Annotated[
        bool, typer.Option("--bow", help="Bag of words: count the words of each line, or the tokens of a model.")
    ] = False,
    cosine: Annotated[
        bool,
        typer.Option(
            "--cosine",
            help="Print each vector's cosine similarity with the first vector, instead of its numbers.",
        )
    ] = False,
    encoding_errors: EncodingErrors = "strict",
    json: Json = False,
    output: Output = None,
) -> None:  # fmt: skip
    """Embed lines or tokens as vectors.

    A token's vector is the model's hidden state after it, which depends on the tokens before it; with --static,
    its row of the embedding matrix. Each line is read as the beginning of a text. Lines beyond a transformer's
    context length are read in sliding windows, with a notice. A line without tokens has no vector.

    With word vectors, both kinds are the word's vector, and words without one are skipped. After training with
    --subwords, unknown words have vectors composed of character n-grams, with a notice.

    --bow needs no model: it counts the distinct words of the whole input (sorted) in each line, holding all
    lines in memory. With a model it counts tokens. Columns: line number and text, or line number, token
    position (from 0) and token; then the vector's numbers, separated by spaces.

    Examples:
      lmkit embed -m model.lm sentences.txt
      lmkit embed -m model.lm --token it --json sentences.txt
      echo 'cat' | lmkit embed -m model.lm --static
      lmkit embed --bow --cosine sentences.txt
    """
    if bow and (token is not None or each == "token" or not contextual or pool != "mean"):
        raise UsageError("--bow cannot be combined with --each, --pool, --static or --token")
    if bow and model is None:
        _bow_of_words(
            run,
            files,
            running_text.text_reader(encoding_errors, text_input.source),
            output,
            cosine=cosine,
            as_json=json,
        )
        return
    from lmkit.evaluation import pooling

    names, texts = opening.sources([model] if model is not None else [], files)
    opened, by_token = opening.open_any(names[0]), each == "token" or token is not None
    tokenizer = opening.tokenizer_of(opened, names[0])
    reader = running_text.text_reader(encoding_errors, text_input.source, raw=tokenizer.accepts_any_bytes, eager=True)
    with outputs.open_output(output) as out:
        lines = _lines(run, reader, texts)
        if bow:
            records = _of_lines(lines, lambda line: pooling.bag(tokenizer.encode(line), tokenizer.size))
            _show(out, records, by_token=by_token, cosine=cosine, as_json=json)
            return
        vectors, read = _reader(run, opened, names[0], static=not contextual)
        if by_token:
            records = _of_tokens(tokenizer, read, lines, token)
        else:
            records = _of_lines(lines, lambda line: pooling.pooled(read(line).vectors, pool))
        _show(out, records, by_token=by_token, cosine=cosine, as_json=json)
        tell_made(run, None, list(vectors.made))


def _bow_of_words(
    run: Run, files: list[str] | None, reader: SourceReader, output: str | None, *, cosine: bool, as_json: bool
) -> None:
    """Bags of words without a model."""
    from lmkit.evaluation.pooling import bags_of_words

    texts = list(files or [streams.STDIN])
    opening.check_single_stdin(*texts)
    with outputs.open_output(output) as out:
        lines = list(_lines(run, reader, texts))
        bags = iter(bags_of_words(lines))
        _show(out, _of_lines(lines, lambda _: next(bags)), by_token=False, cosine=cosine, as_json=as_json)


def _lines(run: Run, reader: SourceReader, texts: list[str]) -> Iterator[bytes]:
    for block in running_text.read_blocks(run, reader, texts, "reading"):
        yield from block[:-1].split(b"\n")


def _reader(run: Run, model: Any, name: str, *, static: bool) -> "tuple[TokenVectors, Callable[[bytes], LineVectors]]":
    """Return a model's token vectors, and what reads a line with the notices and errors of the model's file.

    Raises CheckpointError where it has no vectors.
    """
    from lmkit.evaluation.pooling import TokenVectors
    from lmkit.protocols import has_embeddings

    if not has_embeddings(model):
        raise CheckpointError(f"{streams.display(name)}: a model of kind {model.kind} has no vectors")
    notice = scoring_models.ContextNotice(run, streams.display(name), model)
    vectors = TokenVectors(model, static=static)

    def read(line: bytes) -> "LineVectors":
        with opening.error_context(name):
            found = vectors.of_line(line)
        if not static:
            notice.tell(len(found.ids) + 1)
        return found

    return vectors, read


Records = Iterator[dict[str, Any]]


def _of_lines(lines: Iterable[bytes], vector: Callable[[bytes], Any]) -> Records:
    for number, line in enumerate(lines, 1):
        yield {"line": number, "text": line.decode(errors="replace"), "vector": vector(line)}


def _of_tokens(
    tokenizer: Any, read: "Callable[[bytes], LineVectors]", lines: Iterable[bytes], wanted: str | None
) -> Records:
    only = (
        None if wanted is None else _spelled(tokenizer, streams.argument_bytes(wanted, raw=tokenizer.accepts_any_bytes))
    )
    for number, line in enumerate(lines, 1):
        if only is not None and only.isdisjoint(tokenizer.encode(line).tolist()):
            continue
        found = read(line)
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


def _show(out: outputs.Output, records: Records, *, by_token: bool, cosine: bool, as_json: bool) -> None:
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
