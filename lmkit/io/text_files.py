"""Text files as lines of UTF-8, in blocks of whole lines or in pieces."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import BinaryIO

from lmkit.errors import DataError
from lmkit.io import size_limits
from lmkit.io.streams import BLOCK, arriving, display, open_input

BOM = b"\xef\xbb\xbf"


MARKS = (  # byte order marks, the longer first
    (b"\xff\xfe\0\0", "UTF-32"),
    (b"\0\0\xfe\xff", "UTF-32"),
    (b"\xff\xfe", "UTF-16"),
    (b"\xfe\xff", "UTF-16"),
)


def _hint(start: bytes, *, forgiving: bool) -> str | None:
    """What to do about a file that begins so and is not UTF-8."""
    from lmkit.checkpoint import is_checkpoint

    if is_checkpoint(start[:9]):
        return "it is a checkpoint, not a text: -m names a model"
    for mark, encoding in MARKS:
        if start.startswith(mark):
            return f"this looks like {encoding}: convert it with iconv -f {encoding} -t UTF-8"
    return "--encoding-errors replace substitutes U+FFFD; iconv converts other encodings" if forgiving else None


@dataclass
class TextReader:
    """Text files read as lines of UTF-8.

    `forgiving`: whether the user may ask for `replace`.
    `replace`: replace invalid bytes by U+FFFD and count them in `replaced`, instead of refusing.
    `raw`: take any bytes, for tokens that are bytes.
    `longest`: the limit for a line, and for what lies between separators; without one `limits.RECORD`.
    `eager`: hand over lines as soon as they come, for pipes that answer line by line.
    `tap`: called with all bytes as they are read, before anything is done to them.
    `skip`: given the error about each line of `blocks` that is longer, which becomes an empty line.
    """

    replace: bool = False
    forgiving: bool = False
    raw: bool = False
    eager: bool = False
    block: int = BLOCK
    longest: size_limits.Limit | None = None
    tap: Callable[[bytes], None] | None = None
    skip: Callable[[DataError], None] | None = None
    replaced: int = field(default=0, init=False)
    replaced_in: set[str] = field(default_factory=set, init=False)
    """The names of the files that had what was replaced."""
    completed: int = field(default=0, init=False)
    """How many texts had no line end behind their last line, which `blocks` puts there."""

    def blocks(self, name: str) -> Iterator[bytes]:
        r"""Whole lines in blocks of about `block` bytes; each line ends with `\n`, the last one too.

        `\r\n` becomes `\n`, a byte order mark in front is dropped. A line longer than a
        block is a block of its own. Raises DataError naming the file and line of one that is
        longer than `longest`, and the byte where the text is not UTF-8.
        """
        yield from self.blocks_in(self.opened(name), name)

    def opened(self, name: str) -> Iterator[bytes]:
        """The text as it comes, without a byte order mark in front, in pieces of any size."""
        with open_input(name) as stream:
            yield from self._read(stream)

    def blocks_in(self, pieces: Iterable[bytes], name: str) -> Iterator[bytes]:
        """The same of what was read already, without a byte order mark, in pieces of any size."""
        lines = 0

        def place() -> str:
            return f"{display(name)}:{lines + 1}"

        for block in self._joined(pieces, b"\n", place):
            if not block.endswith(b"\n"):
                self.completed += 1
                block += b"\n"
            if b"\r\n" in block:
                block = block.replace(b"\r\n", b"\n")
            if not (self.raw or block.isascii()):
                block = self._valid(block, name, lines)
            yield block
            lines += block.count(b"\n")

    def pieces(self, name: str, *, separators: bytes = b"") -> Iterator[bytes]:
        """The text as it is, line ends included, in pieces that never cut a character.

        With `separators` they never cut what lies between these either: each piece but the
        last ends with one. A byte order mark in front is dropped. Raises DataError as `blocks` does.
        """
        lines = column = 0

        def place() -> str:
            return f"{display(name)}:{lines + 1}"

        read = self.opened(name)
        for piece in self._joined(read, separators, place) if separators else self._characters(read):
            if not (self.raw or piece.isascii()):
                piece = self._valid(piece, name, lines, column)
            if piece:
                yield piece
            lines += piece.count(b"\n")
            column = len(piece) - piece.rfind(b"\n") - 1 + (0 if b"\n" in piece else column)

    def _characters(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        """Pieces up to the last whole character of what has been read."""
        rest = b""
        for piece in pieces:
            piece = rest + piece
            cut = len(piece) if self.raw else _characters_end(piece)
            if cut:
                yield piece[:cut]
            rest = piece[cut:]
        if rest:
            yield rest

    def _joined(self, pieces: Iterable[bytes], separators: bytes, place: Callable[[], str]) -> Iterator[bytes]:
        """Pieces up to the last separator of what has been read, and at the end what follows it.

        Raises DataError, which names the place, before more than `longest` is held between two separators; where
        that is to be skipped, nothing is left between them.
        """
        longest = self.longest or size_limits.RECORD
        rest: list[bytes] = []
        held, skipping = 0, False
        for piece in pieces:
            first = min((at for separator in separators if (at := piece.find(separator)) >= 0), default=len(piece))
            if skipping or held + first > longest.size:
                if not skipping:
                    self._fail(longest.error(place()))
                rest, held, skipping = [], 0, first == len(piece)
                piece = piece[first:]
            cut = 1 + max(piece.rfind(separator) for separator in separators)
            if cut:
                yield b"".join([*rest, piece[:cut]])
                rest, held = [], 0
            if cut < len(piece):
                rest.append(piece[cut:])
                held += len(piece) - cut
                if held > longest.size:
                    self._fail(longest.error(place()))
                    rest, held, skipping = [], 0, True
        if rest:
            yield b"".join(rest)

    def _fail(self, error: DataError) -> None:
        if self.skip is None:
            raise error
        self.skip(error)

    def _valid(self, block: bytes, name: str, lines: int, column: int = 0) -> bytes:
        """`block` if it is UTF-8; it begins `column` bytes into the line after `lines` lines."""
        try:
            block.decode()
        except UnicodeDecodeError as error:
            if self.replace:
                text = block.decode(errors="replace")
                self.replaced += text.count("\ufffd") - block.count("\ufffd".encode())
                self.replaced_in.add(name)
                return text.encode()
            before = block[: error.start]
            column = error.start - before.rfind(b"\n") + (0 if b"\n" in before else column)
            raise DataError(
                f"{display(name)}:{lines + before.count(10) + 1}: not UTF-8 "
                f"(byte 0x{block[error.start]:02x}, column {column})",
                hint=_hint(block if lines == 0 else b"", forgiving=self.forgiving),
            ) from None
        return block

    def _read(self, stream: BinaryIO) -> Iterator[bytes]:
        """What comes, without a byte order mark in front."""
        first = True
        pieces = arriving(stream, self.block) if self.eager else iter(partial(stream.read, self.block), b"")
        for piece in pieces:
            if first and len(piece) < len(BOM):
                piece += stream.read(len(BOM) - len(piece))
            if self.tap is not None:
                self.tap(piece)
            yield piece.removeprefix(BOM) if first and not self.raw else piece
            first = False

    def lines(self, name: str) -> Iterator[bytes]:
        """Lines without their ends."""
        for block in self.blocks(name):
            yield from block[:-1].split(b"\n")


def _characters_end(piece: bytes) -> int:
    """Where the last character ends that is whole, as far as its first byte tells."""
    for back in range(1, min(4, len(piece) + 1)):
        byte = piece[-back]
        if byte >= 0xC0:  # the first of 2 to 4 bytes
            length = 2 + (byte >= 0xE0) + (byte >= 0xF0)
            return len(piece) if back >= length else len(piece) - back
        if byte < 0x80:
            break
    return len(piece)
