"""Plain files mapped into memory, and the end of a process whose mapped file another process truncates.

Reading a page beyond the end of a file raises SIGBUS, which ends a process without a message. A handler written in
Python with `signal` would never run, as the read is tried again first; one that the C library calls at once does.
It runs Python in the middle of that read, which is safe here: it happens only where memory of a file is read, where
no lock of the allocator is held, and all it does is to look at sizes, write one line and end the process.
"""

import mmap
import os
import signal
from contextlib import suppress
from typing import Any, BinaryIO
from weakref import ref

from lmkit.errors import CheckpointError

program = "lmkit"
"""What messages begin with."""
_mapped: list[tuple[str, "ref[mmap.mmap]"]] = []
_kept: list[Any] = []  # the handler: what C calls must not be collected


def map_file(file: BinaryIO, name: str) -> mmap.mmap:
    """The bytes of an open file, mapped for reading. Raises OSError or ValueError where it can't be mapped."""
    mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    _mapped[:] = [(other, known) for other, known in _mapped if known() is not None]
    _mapped.append((name, ref(mapped)))
    if not _kept and hasattr(signal, "SIGBUS"):
        with suppress(ImportError, OSError, AttributeError, MemoryError):  # no such library, or none that may be called
            _install()
    return mapped


def release_pages() -> None:
    """Give back the memory of what was read of mapped files so far; what is read again comes from the files."""
    for _, known in _mapped:
        mapped = known()
        if mapped is not None and hasattr(mmap, "MADV_DONTNEED"):
            with suppress(OSError, ValueError):
                mapped.madvise(mmap.MADV_DONTNEED)


def truncation() -> CheckpointError | None:
    """What is wrong where a mapped file is shorter than it was."""
    for name, known in _mapped:
        mapped = known()
        with suppress(OSError, ValueError):
            if mapped is not None and mapped.size() < len(mapped):
                return CheckpointError(
                    f"{name}: truncated while it was read, expected {len(mapped)} bytes, got {mapped.size()}",
                    hint="write a new file and rename it over the old one",
                )
    return None


def _install() -> None:
    import ctypes

    signals = ctypes.CDLL(None).signal
    signals.argtypes, signals.restype = (ctypes.c_int, ctypes.c_void_p), ctypes.c_void_p
    owner = os.getpid()

    def handle(number: int) -> None:
        found = truncation()
        if found is not None:
            if os.getpid() == owner:  # of a process that shares the work, the one that waits for it says so
                os.write(2, f"{program}: {found}\n  hint: {found.hint}\n".encode(errors="backslashreplace"))
            os._exit(found.status)
        signals(number, before)  # of another cause, it ends the process as it always did
        os.kill(os.getpid(), number)

    called = ctypes.CFUNCTYPE(None, ctypes.c_int)(handle)
    before = signals(signal.SIGBUS, ctypes.cast(called, ctypes.c_void_p))
    _kept.append(called)
