"""Outputs: stdout, or files that are written atomically and never replace an input."""

import errno
import os
import stat
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from lmkit.errors import OutputError, UsageError
from lmkit.io.atomic_replacement import replacing
from lmkit.io.messages import Terminal
from lmkit.io.streams import STDIN, display, reason
from lmkit.io.terminal import WIDTH, VisibleStream, columns_asked, columns_of, is_terminal, styled


def make_folder(name: str) -> None:
    """Makes a folder for outputs, unless it is there. Raises UsageError for a file, OutputError where it can't."""
    if os.path.exists(name) and not os.path.isdir(name):
        raise UsageError(f"{name} is a file", hint="-o names a folder here")
    try:
        os.makedirs(name, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{name}: {reason(error)}") from None


def _encoded(text: str) -> bytes:
    """UTF-8; file names keep the bytes that they have, whatever else is no text is escaped."""
    try:
        return text.encode(errors="surrogateescape")
    except UnicodeEncodeError:
        return text.encode(errors="backslashreplace")


class Screen:
    """The terminal that is standard output."""

    def __init__(self, stream: VisibleStream) -> None:
        self._stream = stream

    @property
    def columns(self) -> int:
        """The width of what is shown: what `COLUMNS` says, otherwise that of the terminal as it is now."""
        return columns_asked() or columns_of(sys.stdout)

    def heading(self, text: str) -> str:
        """The text in the style of headings."""
        return styled(text, "heading", sys.stdout)

    def aside(self, text: str) -> str:
        """The text in the style of what is less important."""
        return styled(text, "aside", sys.stdout)

    def weight(self, text: str) -> str:
        """The text in the style of a picture's shades."""
        return styled(text, "weight", sys.stdout)

    def most(self, text: str) -> str:
        """The text in the style of a picture's deepest shade."""
        return styled(text, "most", sys.stdout)

    def show(self, text: str) -> None:
        """Shows lines; what they hold must be `visible`, but for styles."""
        self._stream.show(text + "\n")
        self._stream.flush()


class Output:
    """Where results go: stdout, or a file that appears whole when all is written."""

    def __init__(self, stream: IO[bytes] | VisibleStream, *, live: bool) -> None:
        self._stream = stream
        self._live = live
        self._held: Callable[[], None] | None = None
        self.screen = Screen(stream) if isinstance(stream, VisibleStream) else None
        """The terminal that results go to; None where they go to a file or a pipe."""

    @property
    def columns(self) -> int:
        """The width of pictures made of text."""
        return self.screen.columns if self.screen is not None else columns_asked() or WIDTH

    def write(self, data: bytes | memoryview) -> None:
        """Writes bytes."""
        self.release()
        self._stream.write(data)

    def line(self, text: str) -> None:
        """Writes a line, at once where a reader may be waiting for it."""
        self.answer(_encoded(text) + b"\n")

    def answer(self, data: bytes) -> None:
        """Writes what answers a block of lines, at once where a reader may be waiting for it."""
        self.write(data)
        if self._live:
            self._stream.flush()

    def hold(self, rest: Callable[[], None]) -> None:
        """Has `rest` called before anything else is written, and at the end: it shows what waits for its like."""
        if self._held is not None and self._held != rest:
            self.release()
        self._held = rest

    def release(self) -> None:
        """Shows what waits."""
        held, self._held = self._held, None
        if held is not None:
            held()


def _wipe_progress() -> None:
    if Terminal.current is not None:
        Terminal.current.clear()


@contextmanager
def open_output(name: str | None, *, binary: bool = False, live: bool = False) -> Iterator[Output]:
    """An output file, written beside its final name and renamed when complete; stdout without a name.

    `live`: answers go to stdout at once also where that is a file, which may be watched as it grows.
    Raises UsageError where it would send a binary to a terminal, OutputError where it can't be written. That no
    input is overwritten is seen to for all commands when their options are parsed.
    """
    try:
        if name is None or name == STDIN:
            yield from _standard_output(binary, live=live)
        else:
            yield from _file_output(name)
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
        shown = VisibleStream(stream, _wipe_progress)
        output = Output(shown, live=True)
        try:
            yield output
        finally:  # what was found before a failure is shown, as a pipe would have it
            output.release()
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


def _file_output(name: str) -> Iterator[Output]:
    expect_output(name)
    target = Path(name)
    if target.exists() and not target.is_file():  # /dev/null, a named pipe
        with open(target, "wb") as stream:
            yield Output(stream, live=False)
        return
    with replacing(target.resolve()) as stream:  # through a link to the file itself
        yield Output(stream, live=False)


def gzipped(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes compressed, without a time stamp or a name, so that equal content gives equal bytes."""
    compressor = zlib.compressobj(6, zlib.DEFLATED, 31)
    for piece in pieces:
        yield compressor.compress(piece)
    yield compressor.flush()
