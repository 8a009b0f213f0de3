"""`lmkit bpe decode`: ids or pieces back to text."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lmkit.commands.bpe.encode import Marker
from lmkit.commands.bpe.pretoken_counting import PIECE, TokenizerOption, as_they_are
from lmkit.commands.loading import models as opening
from lmkit.commands.loading import running_text
from lmkit.commands.options.standard import Files, Output, Run, choice
from lmkit.errors import DataError, UsageError
from lmkit.io import outputs, streams
from lmkit.io.text_sources import SourceReader

if TYPE_CHECKING:
    from lmkit.tokenization.id_decoding import IdDecoder

HEAD = 1 << 16  # bytes in which the header of an array has to be


def decode(
    run: Run,
    files: Files = None,
    model: TokenizerOption = None,
    form: Annotated[
        str,
        typer.Option(
            "--as",
            metavar="FORM",
            callback=choice("ids", "pieces", "npy"),
            help="Input form: `ids`, `pieces`, or `npy` (an array of ids in NumPy's file format).",
        ),
    ] = "ids",
    marker: Marker = None,
    output: Output = None,
) -> None:
    """Decode ids or pieces to text.

    The output has a line per line of input and restores the encoded bytes exactly, even where ids split a
    character. Ids belong to the tokenizer of MODEL, which may be any checkpoint. Pieces need no model, because
    their --marker says how they join.

    Examples:
      lmkit bpe encode -m bpe.lm < text.txt | lmkit bpe decode -m bpe.lm
      lmkit bpe decode -m bpe.lm --as npy train.npy
      lmkit bpe decode --as pieces --marker @@ pieces.txt
    """
    from lmkit.tokenization.id_decoding import IdDecoder, numbers_in

    if form == "pieces":
        _from_pieces(run, list(files or [streams.STDIN]), marker or "Ġ", output)
        return
    if marker is not None:
        raise UsageError("--marker needs --as pieces")
    names, inputs = opening.sources([model] if model is not None else [], files)
    with outputs.open_output(output) as out:
        decoder = IdDecoder(opening.open_tokenizer(names[0]))
        for name in inputs:
            if form == "npy":
                for text in _array_texts(decoder, name):
                    out.write(text)
                continue
            lines = 0
            for block in _blocks(as_they_are(run, SourceReader(block=PIECE), [name], "decoding")):
                ids, feeds = numbers_in(block, decoder.feed), block.count(b"\n")
                if ids is None or not decoder.has(ids, feeds):
                    raise DataError(f"{streams.display(name)}:{_what_is_wrong(block, lines, decoder.feed)}")
                out.answer(decoder.decode(ids))
                lines += feeds


def _blocks(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes, cut at white space."""
    rest = b""
    for piece in pieces:
        rest += piece
        cut = max(rest.rfind(b"\n"), rest.rfind(b" ")) + 1
        if cut:
            yield rest[:cut]
            rest = rest[cut:]
        elif len(rest) > 64:
            yield rest
            rest = b""
    if rest:
        yield rest


def _what_is_wrong(block: bytes, lines: int, size: int) -> str:
    """The line, counted on from `lines`, and the first word of a block that is no id below `size`."""
    for number, line in enumerate(block.split(b"\n"), lines + 1):
        for word in line.split():
            if not word.isdigit():
                return f"{number}: {word[:40].decode(errors='replace')!r} is not an id"
            if int(word[:20]) >= size:
                shown = word.decode() if len(word) <= 20 else f"{word[:20].decode()}..."
                return f"{number}: id {shown} is outside the vocabulary of {size}"
    raise AssertionError("nothing is wrong")


def _array_texts(decoder: "IdDecoder", name: str) -> Iterator[bytes]:
    array = _array(name)
    with opening.error_context(name):
        yield from decoder.decode_array(array)


def _array(name: str) -> Any:
    """A one-dimensional array of integers from a .npy file. Raises DataError for anything else."""
    import io

    import numpy as np

    def header(start: bytes) -> tuple[int, Any, int]:
        """The array's length, the type of its numbers, and where they begin."""
        head = io.BytesIO(start)
        version = np.lib.format.read_magic(head)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(head)
        if len(shape) != 1 or dtype.kind not in "iu" or dtype.hasobject:
            raise ValueError(f"{dtype}{list(shape)}")
        return shape[0], dtype, head.tell()

    def extent(start: bytearray) -> int:
        try:
            length, dtype, begin = header(bytes(start[:HEAD]))
        except Exception:  # what is wrong is found below
            return 0
        return begin + int(length) * int(dtype.itemsize)

    data = streams.read_whole(name, extent)
    try:
        length, dtype, begin = header(bytes(data[:HEAD]))
        return np.frombuffer(data, dtype=dtype, count=length, offset=begin)
    except Exception as error:
        raise DataError(f"{streams.display(name)}: not an array of ids ({error})") from None


def _from_pieces(run: Run, files: list[str], marker: str, output: str | None) -> None:
    from lmkit.tokenization.bpe.piece_markers import text_of

    with outputs.open_output(output) as out:
        for name in files:
            reader = SourceReader(eager=True)
            lines = 0
            for block in running_text.read_blocks(run, reader, [name], "decoding"):
                texts = []
                for line in block[:-1].split(b"\n"):
                    lines += 1
                    with opening.error_context(f"{name}:{lines}"):
                        texts.append(text_of(line, marker))
                out.answer(b"\n".join(texts) + b"\n")
