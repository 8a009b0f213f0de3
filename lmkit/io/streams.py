"""Files, pipes and standard input: bytes, decompressed, as a whole or as they come; command-line arguments."""

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
from time import monotonic
from typing import Any, BinaryIO, cast

from lmkit.errors import DataError, MissingError, UsageError
from lmkit.io import size_limits
from lmkit.io.mapped_files import map_file
from lmkit.io.terminal import is_terminal

STDIN = "-"
BLOCK = 4 << 20
SNIFF = 1 << 20  # bytes of a file by which its format is known
Extent = Callable[[bytearray], int]
_stdin_read = False
"""Whether standard input is an input of the command."""
_CORRUPT = (EOFError, gzip.BadGzipFile, lzma.LZMAError, zlib.error)


def display(name: str) -> str:
    """A file's name as results and messages show it."""
    return "<stdin>" if name == STDIN else name


def reason(error: OSError) -> str:
    """What the system says of a failure, in its own words."""
    return error.strerror or str(error)


def _stdin() -> BinaryIO:
    global _stdin_read
    if sys.stdin is None:
        raise DataError("standard input is closed")
    _stdin_read = True
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
            raise MissingError(f"{purpose} needs backports.zstd", package="backports.zstd") from None
    return zstd


def _zstandard(raw: BinaryIO) -> BinaryIO:
    return cast(BinaryIO, zstandard("reading .zst").ZstdFile(raw))


def is_compressed(name: str) -> bool:
    """Whether a plain file is compressed, by its first bytes. Raises OSError."""
    with open(name, "rb") as plain:
        return _decompressed(plain, plain.read(10)) is not plain


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


def awaits_stdin() -> bool:
    """Whether standard input is read, and has nothing to give at this moment: an answer may be waited for."""
    import select

    try:
        return _stdin_read and sys.stdin is not None and not select.select([sys.stdin], [], [], 0)[0]
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
