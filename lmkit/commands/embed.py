"""`lmkit embed`: vectors of lines and tokens."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lmkit.commands import embed_sentences
from lmkit.commands.loading import encoders, running_text, scoring_models
from lmkit.commands.loading import models as opening
from lmkit.commands.options.option_groups import with_groups
from lmkit.commands.options.standard import EncodingErrors, Json, ModelOption, Output, Run, choice
from lmkit.commands.options.text_input import TextFiles, TextInput
from lmkit.commands.w2v.query_words import tell_made
from lmkit.errors import CheckpointError, DataError, UsageError
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
        str | None,
        typer.Option(
            "--pool", metavar="MODE", callback=choice("mean", "last", "cls", "max"), show_default="by the model",
            help="Pooling: a line's vector is the `mean` of its token vectors, or the `last` one; of an encoder the "
            "`mean`, the `max` or the first, `cls`.",
        ),
    ] = None,
    normalize: Annotated[
        bool | None,
        typer.Option(
            "--normalize/--no-normalize", show_default="by the model", help="Divide vectors by their length."
        ),
    ] = None,
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
    form: Annotated[
        str,
        typer.Option(
            "--as", metavar="FORM", callback=choice("text", "npy"),
            help="Output form: `text`, or `npy`, an array with a row for each vector (zeros where there is none).",
        ),
    ] = "text",
    sentences: embed_sentences.SentenceOptions,
    encoding_errors: EncodingErrors = "strict",
    json: Json = False,
    output: Output = None,
) -> None:  # fmt: skip
    """Embed lines or tokens as vectors.

    A token's vector is the model's hidden state after it, which depends on the tokens before it; with --static,
    its row of the embedding matrix. Each line is read as the beginning of a text. Lines beyond a transformer's
    context length are read in sliding windows, with a notice. A line without tokens has no vector.

    An encoder pools and normalizes as its makers say, else by the mean. Lines longer than it takes are an error
    without --truncate or --window. See lmkit-encoders(7).

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
      lmkit embed -m all-MiniLM-L6-v2 --as npy lines.txt -o vectors.npy
    """
    if form == "npy" and (json or cosine):
        raise UsageError(f"--as npy cannot be combined with {'--json' if json else '--cosine'}")
    if bow and (token is not None or each == "token" or not contextual or pool not in (None, "mean")):
        raise UsageError("--bow cannot be combined with --each, --pool, --static or --token")
    if bow and model is None:
        _bow_of_words(
            run,
            files,
            running_text.text_reader(encoding_errors, text_input.source),
            output,
            cosine=cosine,
            as_json=json,
            as_array=form == "npy",
        )
        return
    from lmkit.evaluation import pooling
    from lmkit.inference.encoder import EncoderModel

    names, texts = opening.sources([model] if model is not None else [], files)
    opened, by_token = encoders.without_head(opening.open_any(names[0])), each == "token" or token is not None
    tokenizer = opening.tokenizer_of(opened, names[0])
    reader = running_text.text_reader(encoding_errors, text_input.source, raw=tokenizer.accepts_any_bytes, eager=True)
    show = partial(_show, by_token=by_token, cosine=cosine, as_json=json, as_array=form == "npy")
    with outputs.open_output(output, binary=form == "npy") as out:
        if isinstance(opened, EncoderModel) and not (bow or by_token) and contextual:
            how = embed_sentences.pooling_of(opened, pool, normalize=normalize, options=sentences)
            source = text_input.source
            show(out, embed_sentences.vectors(run, opened, names[0], encoding_errors, source, texts, how, sentences))
            return
        if sentences.given or pool in ("cls", "max"):
            option = [*sentences.given, f"--pool {pool}"][0]
            raise UsageError(f"{option} is for lines under an encoder")
        lines = _lines(run, reader, texts)
        if bow:
            records = _of_lines(lines, lambda line: pooling.bag(tokenizer.encode(line), tokenizer.size))
            show(out, records)
            return
        vectors, read = _reader(run, opened, names[0], static=not contextual)
        if by_token:
            records = _of_tokens(tokenizer, read, lines, token)
        else:
            records = _of_lines(lines, lambda line: pooling.pooled(read(line).vectors, pool or "mean"))
        show(out, (_unit(record) for record in records) if normalize else records)
        tell_made(run, None, list(vectors.made))


def _bow_of_words(
    run: Run, files: list[str] | None, reader: SourceReader, output: str | None, *, cosine: bool, as_json: bool,
    as_array: bool,
) -> None:  # fmt: skip
    """Bags of words without a model."""
    from lmkit.evaluation.pooling import bags_of_words

    texts = list(files or [streams.STDIN])
    opening.check_single_stdin(*texts)
    with outputs.open_output(output, binary=as_array) as out:
        lines = list(_lines(run, reader, texts))
        bags = iter(bags_of_words(lines))
        records = _of_lines(lines, lambda _: next(bags))
        _show(out, records, by_token=False, cosine=cosine, as_json=as_json, as_array=as_array)


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
        try:
            found = read(line)
        except DataError as error:
            raise DataError(f"line {number}: {error}", hint=error.hint) from None
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


def _unit(record: dict[str, Any]) -> dict[str, Any]:
    """The record with its vector divided by its length, where it has one."""
    import numpy as np

    vector = record["vector"]
    length = 0.0 if vector is None else float(np.linalg.norm(vector))
    return {**record, "vector": vector / length} if length else record


def _show(
    out: outputs.Output, records: Iterable[dict[str, Any]], *, by_token: bool, cosine: bool, as_json: bool,
    as_array: bool,
) -> None:  # fmt: skip
    """A line for each vector, with its numbers or the cosine of its angle with the first; or all as one array."""
    from lmkit.evaluation import pooling

    if as_array:
        _write_array(out, records)
        return
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


def _write_array(out: outputs.Output, records: Iterable[dict[str, Any]]) -> None:
    """All vectors as rows of an array of float32 in numpy's file format; zeros where a line has none."""
    import io

    import numpy as np

    from lmkit.io.temp_storage import Disk

    writer = Disk(None).writer(np.dtype("<f4"))
    rows = width = 0
    for record in records:
        vector = record["vector"]
        rows += 1
        if vector is not None:
            if not width:
                width = len(vector)
                writer.append(np.zeros((rows - 1) * width, dtype="<f4"))
            writer.append(np.asarray(vector, dtype="<f4"))
        elif width:
            writer.append(np.zeros(width, dtype="<f4"))
    array = writer.finish()
    start = io.BytesIO()
    header = {"descr": "<f4", "fortran_order": False, "shape": (rows, width)}
    np.lib.format.write_array_header_1_0(start, header)
    out.write(start.getvalue())
    out.write(array.data.cast("B") if len(array) else b"")
