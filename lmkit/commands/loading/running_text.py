"""Running text for commands: readers of files of any form, blocks and documents, what is said of them meanwhile."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from lmkit.commands.options.standard import Run
from lmkit.io import size_limits, streams, text_files
from lmkit.io.text_sources import PLAIN, SourceReader, TextSource, ended
from lmkit.protocols import LanguageModel

if TYPE_CHECKING:
    from lmkit.data.sequences import Documents

DOCUMENTS = ("file", "blank-line")
"""Ways of reading to which a text may have several documents."""


def text_reader(
    errors: str, source: TextSource = PLAIN, *, raw: bool = False, eager: bool = False, block: int = streams.BLOCK
) -> SourceReader:
    """A reader of texts; `errors` as --encoding-errors has it, `raw` for tokens that take any bytes."""
    longest = size_limits.RECORD if eager else size_limits.LINE
    return SourceReader(
        replace=errors == "replace", forgiving=True, raw=raw, eager=eager, block=block, longest=longest, source=source
    )


def text_for(run: Run, reader: SourceReader, name: str, models: Sequence[LanguageModel]) -> Iterator[bytes]:
    """The blocks of one text: whole lines, or the text as it is where line ends are text to one of the models."""
    if any(model.form.newline_id is None for model in models):
        return warn_if_no_text(run, name, reader.pieces(name, separators=b"\n"), reader.source)
    return warn_if_no_text(run, name, reader.blocks(name), reader.source)


def documents_for(
    run: Run, reader: SourceReader, name: str, models: Sequence[LanguageModel]
) -> Iterator[Iterator[bytes]]:
    """The blocks of each document of a text: of the whole, or of each record where one of the models has documents."""
    if reader.source.form_of(name) == "text" or not any(model.form.by in DOCUMENTS for model in models):
        return iter([text_for(run, reader, name, models)])
    return reader.documents(name)


def read_documents(
    run: Run, reader: SourceReader, files: Sequence[str], by: str, title: str
) -> "Iterator[Iterator[bytes] | Documents]":
    """The blocks of each document, `by` as --by has it, in several texts in order, with progress on stderr.

    That is each file, or all of them as one text; where there are documents, each record is one, some at a time.
    """
    from lmkit.data.sequences import Documents

    records = by in DOCUMENTS and any(reader.source.form_of(name) != "text" for name in files)
    if not (records or by == "file"):
        yield read_blocks(run, reader, files, title)
        return
    with run.terminal.progress(title, streams.size_of(files)) as progress:
        for name in files:
            if reader.source.form_of(name) == "text":
                yield progress.over(warn_if_no_text(run, name, reader.blocks(name), reader.source))
                continue
            for group in reader.texts(name):
                documents = [block for text in group for block in reader.blocks_in([ended(text)], name)]
                progress.advance(sum(map(len, documents)))
                if documents:
                    yield Documents(documents)
    warn_replaced_bytes(run, reader)


def read_blocks(run: Run, reader: SourceReader, files: Sequence[str], title: str) -> Iterator[bytes]:
    """The blocks of several texts in order, with progress on stderr."""
    with run.terminal.progress(title, streams.size_of(files)) as progress:
        for name in files:
            yield from progress.over(warn_if_no_text(run, name, reader.blocks(name), reader.source))
    warn_replaced_bytes(run, reader)


def warn_if_no_text(run: Run, name: str, pieces: Iterator[bytes], source: TextSource = PLAIN) -> Iterator[bytes]:
    """The same pieces of a text; says so where it looks like a checkpoint, or like records that nothing asked for."""
    from lmkit.checkpoint import is_checkpoint

    first = next(pieces, b"")
    if is_checkpoint(first[:9]):
        run.terminal.notice(f"{streams.display(name)}: a checkpoint, taken for a text")
    elif source.form == "auto" and source.form_of(name) == "text" and (form := _looks_like(first)):
        run.terminal.notice(
            f"{streams.display(name)}: {form[0]}, taken for plain text; "
            f"--input {form[1]} reads the field 'text', or that of --field"
        )
    if first:
        yield first
        yield from pieces


def _looks_like(first: bytes) -> tuple[str, str] | None:
    """The name and the option of the records that a text which begins so seems to hold."""
    if first.startswith(b"PAR1"):
        return "Parquet", "parquet"
    return ("JSON Lines", "jsonl") if first.startswith(b'{"') and first.split(b"\n", 1)[0].endswith(b"}") else None


def warn_replaced_bytes(run: Run, reader: text_files.TextReader) -> None:
    """Says how many invalid bytes were replaced, if any, and where."""
    if reader.replaced:
        first, *more = sorted(map(streams.display, reader.replaced_in))
        place = f"{first} and {len(more)} more" if more else first
        sequences = "sequence" if reader.replaced == 1 else "sequences"
        run.terminal.notice(f"{place}: {reader.replaced} invalid byte {sequences} replaced by U+FFFD")
