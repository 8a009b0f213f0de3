"""`lmkit w2v import` and `export`: word vectors of other tools."""

from collections.abc import Iterator
from itertools import chain
from typing import Annotated, Any

import typer

from lmkit.commands.loading import models as opening
from lmkit.commands.loading import running_text
from lmkit.commands.loading.provenance import Hashed, checkpoint_bytes, content_record, origin
from lmkit.commands.options.standard import EncodingErrors, ModelOption, Output, Run, choice
from lmkit.commands.w2v.query_words import open_space
from lmkit.errors import UsageError
from lmkit.io import outputs, streams, text_files
from lmkit.io.folders import write_folder
from lmkit.tokenization.normalization import of_tokenizer


def import_(
    run: Run,
    file: Annotated[
        str | None,
        typer.Argument(
            metavar="[FILE]", show_default=False,
            help="File of word vectors. No FILE reads stdin.",
        )
    ] = None,
    format: Annotated[
        str | None,
        typer.Option(
            "--format", metavar="FORMAT", callback=choice("text", "bin", "glove"), show_default="by content",
            help="Input format: word2vec's `text` or `bin`, which begin with the number of words and the dimension, or "
            "`glove`, which does not.",
        ),
    ] = None,
    encoding_errors: EncodingErrors = "strict",
    output: Output = None,
) -> None:  # fmt: skip
    """Import word vectors from another tool.

    Formats: word2vec text and binary, GloVe, fastText's .vec, and the output of gensim's save_word2vec_format,
    compressed or not. In text formats a word may contain spaces. Of a repeated word the first vector is kept.
    Numbers become float32 exactly as in gensim; infinite and NaN values are refused. A zero vector is kept, and
    is near no word.

    Examples:
      lmkit w2v import glove.6B.50d.txt -o glove.lm
      lmkit w2v import GoogleNews-vectors-negative300.bin.gz -o news.lm
      lmkit w2v import vectors.vec | lmkit w2v similar king
    """
    name = file or streams.STDIN
    with outputs.open_output(output, binary=True) as out:
        with run.terminal.progress("reading", streams.size_of([name])) as progress:
            chunks = Hashed(progress.over(streams.chunks(name, size=streams.BLOCK)))
            with opening.error_context(name):
                space, format = _read(run, name, iter(chunks), format, encoding_errors)
        record = origin("w2v import", {"format": format}, [content_record(name, chunks.record())])
        for piece in checkpoint_bytes(space, record):
            out.write(piece)


def _read(run: Run, name: str, chunks: Iterator[bytes], format: str | None, errors: str) -> tuple[Any, str]:
    """A space, and the format it was in."""
    from lmkit.word_vectors import readers

    start = b""
    while len(start) < readers.SNIFF and (chunk := next(chunks, b"")):
        start += chunk
    start = start.removeprefix(text_files.BOM)
    found = format or readers.detect(start)
    pieces = chain([start], chunks)
    if found == readers.BINARY:
        listing = readers.read_binary(pieces, replace=errors == "replace")
    else:
        reader = running_text.text_reader(errors)
        listing = readers.read_text(reader.blocks_in(pieces, name), header=found == readers.TEXT)
        listing.replaced += reader.replaced
    shown = streams.display(name)
    if listing.duplicates:
        word = (listing.duplicate or b"").decode(errors="replace")
        run.terminal.notice(f"{shown}: {listing.duplicates} repeated words skipped, the first is {word!r}")
    if listing.replaced:
        sequences = "sequence" if listing.replaced == 1 else "sequences"
        run.terminal.notice(f"{shown}: {listing.replaced} invalid byte {sequences} replaced by U+FFFD")
    return listing.space(), found


def export(
    run: Run,
    file: Annotated[
        str | None,
        typer.Argument(
            metavar="[MODEL]", show_default=False,
            help="Checkpoint of word vectors. No MODEL reads stdin.",
        )
    ] = None,
    model: ModelOption = None,
    format: Annotated[
        str,
        typer.Option(
            "--format", metavar="FORMAT", callback=choice("text", "bin", "glove", "projector"),
            help="Output format: word2vec's `text` or `bin`, `glove`, or `projector`, a folder for TensorFlow's "
            "projector.",
        ),
    ] = "text",
    which: Annotated[
        str,
        typer.Option(
            "--which", metavar="NAME",
            callback=choice("centre", "context", "both", also={"v": "centre", "u": "context"}),
            help="Which vectors: `centre` (or `v`), `context` (or `u`), or `both`, concatenated, the centre's first.",
        ),
    ] = "centre",
    output: Output = None,
) -> None:  # fmt: skip
    """Export word vectors to another tool's format.

    Words keep the order of the file they were imported from; otherwise the most frequent come first. Numbers in
    text are the shortest that read back as the same float32. Output named *.gz is compressed. Only vectors of
    words are written, not those of character n-grams. --format projector writes a folder, new or empty, with
    vectors.tsv and metadata.tsv (the words) for projector.tensorflow.org, a line per word without a header.

    Examples:
      lmkit w2v export vectors.lm -o vectors.txt
      lmkit w2v export --format bin --which both vectors.lm -o both.bin
      lmkit w2v export --format projector vectors.lm -o folder
    """
    if file is not None and model is not None:
        raise UsageError("the model is named twice")
    name = file or model or streams.STDIN
    if format == "projector" and output in (None, streams.STDIN):
        raise UsageError("the projector reads two files", hint="name a new folder with -o")
    space = open_space(name)
    if normalization := of_tokenizer(space.tokenizer):
        run.terminal.notice(
            f"{normalization} cannot be stored in a file of vectors, omitted: give its readers words in that form"
        )
    from lmkit.word_vectors.writers import Export

    with opening.error_context(name):
        export = Export(space, which)
        files = export.projector() if format == "projector" else None
    if files is not None:
        write_folder(str(output), files)
        return
    pieces = export.binary() if format == "bin" else export.text(header=format == "text")
    with outputs.open_output(output, binary=format == "bin") as out:
        if output is not None and output.endswith(".gz"):
            pieces = outputs.gzipped(pieces)
        for piece in pieces:
            out.write(piece)
