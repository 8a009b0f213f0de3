"""Files of JSON Lines that grow while work is done, and outlive its end at any moment. Knows no keys and no values."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

from lmkit.errors import DataError, OutputError, UsageError
from lmkit.io.streams import reason


class Journal:
    """Lines under a header that says what file it is; each is on its way to the disk when `add` is done."""

    def __init__(self, stream: IO[bytes], name: str, header: bytes) -> None:
        self._stream, self._name = stream, name
        self.lines: list[Any] = []
        """What was there before."""
        self.torn = False
        """Whether the last line was cut off, since it was not written to its end."""
        self._read(header)

    def _read(self, header: bytes) -> None:
        data = self._stream.read()
        end = data.rfind(b"\n") + 1
        if not end and header.startswith(data):  # new, or stopped while it was begun
            self._stream.truncate(0)
            self._stream.seek(0)
            self._write(header)
            return
        first, *lines = data[:end].split(b"\n")[:-1] or [b""]
        if first + b"\n" != header:
            raise DataError(
                f"{self._name}: no cache of finished items, and it is not written to", hint="name another file, or none"
            )
        self.torn = end < len(data)
        for number, line in enumerate(lines, 2):
            try:
                self.lines.append(json.loads(line))
            except (ValueError, RecursionError):
                raise DataError(f"{self._name}:{number}: a damaged line", hint="remove the file") from None
        self._stream.truncate(end)
        self._stream.seek(end)

    def add(self, value: object) -> None:
        """Writes one line. Raises OutputError."""
        self._write(json.dumps(value).encode() + b"\n")

    def _write(self, data: bytes) -> None:
        try:
            self._stream.write(data)
            self._stream.flush()
        except OSError as error:
            raise OutputError(f"{self._name}: {reason(error)}") from None


@contextmanager
def open_journal(name: str, header: bytes) -> Iterator[Journal]:
    """A journal, made if there is none, and locked against others that write to it.

    Raises DataError where a file is something else, UsageError while another run has it, OutputError where it
    can't be written.
    """
    if os.path.exists(name) and not os.path.isfile(name):
        raise UsageError(f"{name} is no file that can be kept")
    try:
        handle = os.open(name, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666)
    except OSError as error:
        raise OutputError(f"{name}: {reason(error)}") from None
    with os.fdopen(handle, "r+b", buffering=0) as stream:
        _lock(stream, name)
        yield Journal(stream, name, header)


def _lock(stream: IO[bytes], name: str) -> None:
    """Keeps others out until the file is closed, where the system can."""
    try:
        import fcntl
    except ImportError:
        return
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise UsageError(f"{name}: another run writes to it", hint="wait for its end, or name another file") from None
    except OSError:  # a file system without locks
        return
