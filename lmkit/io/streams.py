"""Files, pipes and standard streams: text in blocks of whole lines, outputs that appear whole or not at all."""

import bz2
import errno
import gzip
import lzma
import os
import stat
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from time import monotonic
from typing import IO, Any, BinaryIO, cast

from lmkit.errors import DataError, MissingError, OutputError, UsageError
from lmkit.io import size_limits
from lmkit.io.atomic_replacement import replacing
from lmkit.io.mapped_files import map_file
from lmkit.io.terminal import VisibleStream, is_terminal

STDIN = "-"
BLOCK = 4 << 20
SNIFF = 1 << 20  # bytes of a file by which its format is known
BOM = b"\xef\xbb\xbf"
Extent = Callable[[bytearray], int]
_CORRUPT = (EOFError, gzip.BadGzipFile, lzma.LZMAError, zlib.error)


def display(name: str) -> str:
    """A file's name as results and messages show it."""
    return "<stdin>" if name == STDIN else name


def reason(error: OSError) -> str:
    """What the system says of a failure, in its own words."""
    return error.strerror or str(error)


def _stdin() -> BinaryIO:
    if sys.stdin is None:
        raise DataError("standard input is closed")
    if is_terminal(sys.stdin) and is_terminal(sys.stderr):
        print("lmkit: reading from the terminal; end with Ctrl-D", file=sys.stderr)
    return sys.stdin.buffer


def _decompressed(raw: BinaryIO, start: bytes) -> BinaryIO:
    if start.startswith(b"\x1f\x8b"):
        return cast(BinaryIO, gzip.GzipFile(fileobj=raw))
    if start.startswith(b"BZh") and start[4:10] in (b"1AY&SY", b"\x17rE8P\x90"):
        return cast(BinaryIO, bz2.BZ2File(raw))
    if start.startswith(b"\xfd7zXZ\x00"):
        return cast(BinaryIO, lzma.LZMAFile(raw))
    if start.startswith(b"\x28\xb5\x2f\xfd"):
        return _zstandard(raw)
    return raw


def zstandard(purpose: str) -> Any:
    """The module for Zstandard. Raises MissingError naming the purpose where there is none."""
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        try:
            from backports import zstd
        except ImportError:
            raise MissingError(f"{purpose} needs backports.zstd", hint="pip install backports.zstd") from None
    return zstd


def _zstandard(raw: BinaryIO) -> BinaryIO:
    return cast(BinaryIO, zstandard("reading .zst").ZstdFile(raw))


@contextmanager
def open_input(name: str, *, as_is: bool = False) -> Iterator[BinaryIO]:
    """A file or stdin (`-`), decompressed by its first bytes (gzip, bzip2, xz, zstd) unless wanted `as_is`.

    Raises DataError where it can't be opened, is a directory, or its compressed data is bad.
    """
    try:
        if name == STDIN:
            raw: BinaryIO = _stdin()
        else:
            raw = open(name, "rb")  # noqa: SIM115
    except OSError as error:
        raise DataError(f"{name}: {reason(error)}") from None
    try:
        peeked = b"" if as_is else raw.peek(10)[:10]  # type: ignore[attr-defined]
        yield _decompressed(raw, peeked)
    except OSError as error:
        if isinstance(error, gzip.BadGzipFile) or error.errno is None:
            raise DataError(f"{display(name)}: bad compressed data ({error})") from None
        if error.errno in (errno.EISDIR, errno.EIO):
            raise DataError(f"{display(name)}: {reason(error)}") from None
        raise
    except Exception as error:
        if isinstance(error, _CORRUPT) or type(error).__name__ == "ZstdError":
            raise DataError(f"{display(name)}: bad compressed data ({error})") from None
        raise
    finally:
        if name != STDIN:
            raw.close()


@dataclass
class TextReader:
    """Text files read as lines of UTF-8.

    `forgiving`: whether the user may ask for `replace`.
    `replace`: replace invalid bytes by U+FFFD and count them in `replaced`, instead of refusing.
    `raw`: take any bytes, for tokens that are bytes.
    `longest`: the limit for a line, and for what lies between separators; without one `limits.RECORD`.
    `eager`: hand over lines as soon as they come, for pipes that answer line by line.
    `tap`: called with all bytes as they are read, before anything is done to them.
    """

    replace: bool = False
    forgiving: bool = False
    raw: bool = False
    eager: bool = False
    block: int = BLOCK
    longest: size_limits.Limit | None = None
    tap: Callable[[bytes], None] | None = None
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

        Raises DataError, which names the place, before more than `longest` is held between two separators.
        """
        longest = self.longest or size_limits.RECORD
        rest: list[bytes] = []
        held = 0
        for piece in pieces:
            cut = 1 + max(piece.rfind(separator) for separator in separators)
            first = min((at for separator in separators if (at := piece.find(separator)) >= 0), default=len(piece))
            if held + first > longest.size:
                raise longest.error(place())
            if cut:
                yield b"".join([*rest, piece[:cut]])
                rest, held = [], 0
            if cut < len(piece):
                rest.append(piece[cut:])
                held += len(piece) - cut
                if held > longest.size:
                    raise longest.error(place())
        if rest:
            yield b"".join(rest)

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
            hint = "--encoding-errors replace substitutes U+FFFD" if self.forgiving else None
            if lines == 0 and block[:2] in (b"\xff\xfe", b"\xfe\xff"):
                hint = "this looks like UTF-16: convert it with iconv -f UTF-16 -t UTF-8"
            raise DataError(
                f"{display(name)}:{lines + before.count(10) + 1}: not UTF-8 "
                f"(byte 0x{block[error.start]:02x}, column {column})",
                hint=hint,
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


def arriving(stream: BinaryIO, size: int) -> Iterator[bytes]:
    """What comes, in pieces of up to `size` bytes: each what is there, or is just coming.

    Who writes into a pipe line by line is answered line by line, and who pours is read in large pieces.
    """
    read1 = stream.read1  # type: ignore[attr-defined]
    while piece := read1(size):
        parts = [piece]
        total = len(piece)
        end = monotonic() + 0.05  # who trickles is not waited for either
        while piece and total < size and _soon(stream) and monotonic() < end:
            piece = read1(size - total)
            parts.append(piece)
            total += len(piece)
        yield b"".join(parts)
        if not piece:  # a terminal reports its end only once
            return


def _soon(stream: BinaryIO) -> bool:
    """Whether a pipe has more, or gets it within two milliseconds."""
    import select

    try:
        return bool(select.select([stream], [], [], 0.002)[0])
    except (OSError, ValueError):  # nothing that can be waited for
        return False


def chunks(name: str, *, as_is: bool = False, size: int = 1 << 16) -> Iterator[bytes]:
    """The bytes of a file or stdin as they come, whatever they mean; see `open_input`."""
    with open_input(name, as_is=as_is) as stream:
        yield from arriving(stream, size)


def names_in(folder: str) -> list[str]:
    """Names of what is in a folder. Raises DataError where it can't be read."""
    try:
        return sorted(os.listdir(folder))
    except OSError as error:
        raise DataError(f"{folder}: {reason(error)}") from None


def make_folder(name: str) -> None:
    """Makes a folder for outputs, unless it is there. Raises UsageError for a file, OutputError where it can't."""
    if os.path.exists(name) and not os.path.isdir(name):
        raise UsageError(f"{name} is a file", hint="-o names a folder here")
    try:
        os.makedirs(name, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{name}: {reason(error)}") from None


def size_of(names: Iterable[str]) -> int | None:
    """Total size of files in bytes; None where one is not a plain uncompressed file."""
    total = 0
    for name in names:
        try:
            status = os.stat(name) if name != STDIN else os.fstat(0)
        except OSError:
            return None
        if not stat.S_ISREG(status.st_mode):
            return None
        total += status.st_size
    return total


def read_whole(name: str, extent: Extent | None = None) -> memoryview:
    """All bytes of a file or stdin; a plain file is mapped, so that only pages used are read.

    What is compressed or no file is read as far as `extent` says: given what has been read, at first
    `SNIFF` bytes, it returns how many bytes to read in all. Raises DataError, without it for more than
    `limits.WHOLE`.
    """
    if name != STDIN and os.path.isfile(name):
        try:
            with open(name, "rb") as plain:
                start = plain.read(10)
                if start and _decompressed(plain, start) is plain:
                    return memoryview(map_file(plain, name))
        except (OSError, ValueError):
            pass  # reading below tells what is wrong
    with open_input(name) as stream:
        if extent is not None:
            return _read_to(stream, extent)
        data = _read_to(stream, lambda _: size_limits.WHOLE.size + 1)
    if len(data) > size_limits.WHOLE.size:
        raise size_limits.WHOLE.error(display(name))
    return data


def read_limited(name: str, limit: size_limits.Limit) -> memoryview:
    """All bytes of a file or stdin, however it is stored. Raises DataError where they are more than the limit."""
    data = read_whole(name, lambda _: limit.size + 1)
    if len(data) > limit.size:
        raise limit.error(display(name))
    return data


def read_start(name: str, size: int) -> bytes:
    """The first bytes of a file, decompressed. Raises DataError."""
    with open_input(name) as stream:
        return stream.read(size)


def read_mapped(name: str) -> memoryview:
    """The bytes of a plain file as they are, mapped. Raises OSError."""
    if not stat.S_ISREG(os.stat(name).st_mode):
        raise OSError(errno.EINVAL, "not a plain file")
    with open(name, "rb") as plain:
        return memoryview(map_file(plain, name)) if plain.read(1) else memoryview(b"")


def _read_to(stream: BinaryIO, extent: Extent) -> memoryview:
    data, wanted = bytearray(), SNIFF
    while len(data) < wanted:
        piece = stream.read(min(BLOCK, wanted - len(data)))
        if not piece:
            break
        data += piece
        if len(data) >= wanted:
            wanted = extent(data)
    return memoryview(data).toreadonly()


def _encoded(text: str) -> bytes:
    """UTF-8; file names keep the bytes that they have, whatever else is no text is escaped."""
    try:
        return text.encode(errors="surrogateescape")
    except UnicodeEncodeError:
        return text.encode(errors="backslashreplace")


class Output:
    """Where results go: stdout, or a file that appears whole when all is written."""

    def __init__(self, stream: IO[bytes] | VisibleStream, *, live: bool) -> None:
        self._stream = stream
        self._live = live

    def write(self, data: bytes | memoryview) -> None:
        """Writes bytes."""
        self._stream.write(data)

    def line(self, text: str) -> None:
        """Writes a line, at once where a reader may be waiting for it."""
        self.answer(_encoded(text) + b"\n")

    def answer(self, data: bytes) -> None:
        """Writes what answers a block of lines, at once where a reader may be waiting for it."""
        self._stream.write(data)
        if self._live:
            self._stream.flush()


@contextmanager
def open_output(
    name: str | None, *, binary: bool = False, inputs: Iterable[str | None] = (), live: bool = False
) -> Iterator[Output]:
    """An output file, written beside its final name and renamed when complete; stdout without a name.

    `live`: answers go to stdout at once also where that is a file, which may be watched as it grows.
    Raises UsageError where it would overwrite one of `inputs` or send a binary to a terminal,
    OutputError where it can't be written.
    """
    try:
        if name is None or name == STDIN:
            yield from _standard_output(binary, live=live)
        else:
            yield from _file_output(name, inputs)
    except OSError as error:
        if error.errno == errno.EPIPE:
            raise
        raise OutputError(f"{'<stdout>' if name in (None, STDIN) else name}: {reason(error)}") from None


def _standard_output(binary: bool, *, live: bool) -> Iterator[Output]:
    if sys.stdout is None:
        raise OutputError("standard output is closed")
    expect_output(None, binary=binary)
    stream = sys.stdout.buffer
    if not binary and is_terminal(sys.stdout):
        shown = VisibleStream(stream)
        yield Output(shown, live=True)
        shown.finish()
        stream.flush()
        return
    status = _status(sys.stdout)
    plain_file = status is None or stat.S_ISREG(status.st_mode)
    yield Output(stream, live=(live or not plain_file) and not binary)
    stream.flush()


def _status(stream: IO[Any] | None) -> os.stat_result | None:
    """The system's word on a standard stream; None where it is closed or replaced by an object without a file."""
    try:
        return os.fstat(stream.fileno()) if stream is not None else None
    except (OSError, ValueError):
        return None


def refuse_overwriting_inputs(name: str | None, inputs: Iterable[str | None]) -> None:
    """Raises UsageError where an output, a file or stdout, is one of the inputs, which stdin is always one of."""
    output = _status(sys.stdout) if name in (None, STDIN) else _status_of(name)
    if output is None or not stat.S_ISREG(output.st_mode):
        return
    read = {display(other): _status_of(other) for other in inputs if other not in (None, STDIN)}
    for shown, status in {display(STDIN): _status(sys.stdin), **read}.items():
        if status is not None and os.path.samestat(output, status):
            what = f"{shown} is standard output too" if name in (None, STDIN) else f"{name} is an input"
            raise UsageError(f"{what} and would be overwritten", hint="choose another -o FILE")


def _status_of(name: str) -> os.stat_result | None:
    try:
        return os.stat(name)
    except (OSError, ValueError):
        return None


def expect_apart(*names: str | None) -> None:
    """Raises UsageError where two outputs are one file."""
    seen: set[str] = set()
    for name in names:
        if name not in (None, STDIN):
            path = os.path.realpath(name)
            if path in seen:
                raise UsageError(f"{name} is to hold two things at once", hint="name another file for one of them")
            seen.add(path)


def expect_output(name: str | None, *, binary: bool = False) -> None:
    """Raises what `open_output` would at the end of long work, as far as it is known before.

    Raises UsageError for a folder, and for a binary on its way to a terminal; OutputError where the folder
    that it goes into is not there, or nothing may be written into it.
    """
    if name is None or name == STDIN:
        if binary and sys.stdout is not None and is_terminal(sys.stdout):
            raise UsageError("binary data is not written to a terminal", hint="use -o FILE, or a pipe")
        return
    if name.endswith(os.sep) or os.path.isdir(name):
        raise UsageError(f"{name} is a folder", hint="-o names a file")
    if os.path.exists(name) and not os.path.isfile(name):  # /dev/null, a named pipe
        return
    folder = Path(name).resolve().parent
    if not folder.is_dir():
        raise OutputError(f"{name}: {os.strerror(errno.ENOTDIR if folder.exists() else errno.ENOENT)}")
    if not os.access(folder, os.W_OK):
        raise OutputError(f"{name}: {os.strerror(errno.EACCES)}")


def _file_output(name: str, inputs: Iterable[str | None]) -> Iterator[Output]:
    expect_output(name)
    target = Path(name)
    refuse_overwriting_inputs(name, inputs)
    if target.exists() and not target.is_file():  # /dev/null, a named pipe
        with open(target, "wb") as stream:
            yield Output(stream, live=False)
        return
    with replacing(target.resolve()) as stream:  # through a link to the file itself
        yield Output(stream, live=False)


def argument_bytes(text: str, *, raw: bool = False) -> bytes:
    """A command-line argument as the bytes that were typed; `raw`: any bytes will do.

    Raises UsageError where they are not UTF-8.
    """
    data = os.fsencode(text)
    if not raw:
        try:
            data.decode()
        except UnicodeDecodeError as error:
            raise UsageError(
                f"not UTF-8: byte 0x{data[error.start]:02x} in {data.decode(errors='replace')!r}"
            ) from None
    return data


def argument_text(text: str) -> str:
    """A command-line argument as the text that was typed. Raises UsageError where it is not UTF-8."""
    return argument_bytes(text).decode()


def gzipped(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes compressed, without a time stamp or a name, so that equal content gives equal bytes."""
    compressor = zlib.compressobj(6, zlib.DEFLATED, 31)
    for piece in pieces:
        yield compressor.compress(piece)
    yield compressor.flush()
