"""The inside of a limited process: it sets up one service and answers requests until its parent closes the socket.

A frame is its length in eight bytes, little-endian, and that many bytes. The first frame from the parent is a JSON
object: `service`, `imports`, `seconds`, `memory`, `processors`, and `parent`, the process to die with. The child
answers it with an empty frame when the imports are done, then takes the settings of the service and requests. An
answer begins with DONE or FAILED; a failure is a JSON object with `kind`, `message`, `hint`.
"""

import json
import os
import resource
import signal
import struct
import sys
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from math import ceil, inf
from time import process_time
from typing import Any

HEADER = struct.Struct("<Q")
DONE, FAILED = b"=", b"!"
BUG, LIMIT, MEMORY = "bug", "LimitError", "memory"
_PR_SET_PDEATHSIG = 1
_PIECE = 1 << 18  # bytes read at once


def main() -> None:
    """Serve the socket at standard input, and end the process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent ends this process
    socket = os.dup(0)
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)
    with suppress(OSError, EOFError):  # the parent is gone
        _serve(socket)
    os._exit(0)


def _serve(socket: int) -> None:
    frames = _Frames(socket)
    hello = json.loads(frames.read())
    _die_with(hello["parent"])
    module, _, name = hello["service"].partition(":")
    for each in (module, *hello["imports"]):
        with suppress(ImportError):  # the service says what it lacks
            import_module(each)
    service: Callable[[Any], Callable[[bytes], bytes]] = getattr(import_module(module), name)
    _limit(hello["memory"])
    _write(socket, b"")
    clock = _Clock(ceil(hello["seconds"] * hello["processors"]) + 2)

    def answer(handle: Callable[[bytes], Any], request: bytes) -> Any:
        clock.wind()
        made, reply = _answered(handle, request)
        _write(socket, reply)
        return made

    handler = answer(lambda settings: service(json.loads(settings)), frames.read())
    while True:
        answer(handler, frames.read())


def _answered(handle: Callable[[bytes], Any], request: bytes) -> tuple[Any, bytes]:
    """What a function makes of a request, and the frame that says so; a service that is set up is an empty answer."""
    try:
        made = handle(request)
    except MemoryError:
        return None, _failure(MEMORY, "")
    except RecursionError:
        return None, _failure("DataError", "nested too deeply")
    except BaseException as error:
        from lmkit.errors import LmkitError

        if isinstance(error, LmkitError):
            return None, _failure(_known_kind(error), str(error), error.hint)
        return None, _failure(BUG, f"{type(error).__name__}: {str(error)[:200]}")
    return made, DONE + (made if isinstance(made, bytes) else b"")


def _known_kind(error: Exception) -> str:
    """The name of an error's class, or of its first ancestor, in `lmkit.errors`."""
    return next(kind.__name__ for kind in type(error).__mro__ if kind.__module__ == "lmkit.errors")


def _failure(kind: str, message: str, hint: str | None = None) -> bytes:
    return FAILED + json.dumps({"kind": kind, "message": message, "hint": hint}).encode()


class _Frames:
    """The frames that the parent sends. Raises EOFError where it is gone."""

    def __init__(self, socket: int) -> None:
        self._socket = socket
        self._held = bytearray()

    def read(self) -> bytes:
        """The next frame."""
        self._hold(HEADER.size)
        (size,) = HEADER.unpack_from(self._held)
        end = HEADER.size + size
        self._hold(end)
        frame = bytes(memoryview(self._held)[HEADER.size : end])
        del self._held[:end]
        return frame

    def _hold(self, size: int) -> None:
        while len(self._held) < size:
            piece = os.read(self._socket, _PIECE)
            if not piece:
                raise EOFError
            self._held += piece


def _write(socket: int, data: bytes) -> None:
    view = memoryview(HEADER.pack(len(data)) + data)
    while view:
        view = view[os.write(socket, view) :]


# Limits.


def _limit(memory: int) -> None:
    """Limit private memory to so many bytes beyond what the process has; where the system can't, there is no limit."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if not sys.platform.startswith("linux"):
        return
    with open("/proc/self/status") as lines:
        held = next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmData:"))
    with suppress(ValueError, OSError):  # a lower limit holds already
        resource.setrlimit(resource.RLIMIT_DATA, (held + memory, held + memory))


class _Clock:
    """Has the kernel end the process after some seconds of processor time for a request, though the parent be gone."""

    def __init__(self, seconds: int) -> None:
        self._seconds = seconds
        self._wound = -inf

    def wind(self) -> None:
        """A request begins."""
        used = process_time()
        if used < self._wound + 1:
            return
        self._wound = used
        _, hard = resource.getrlimit(resource.RLIMIT_CPU)
        soft = ceil(used) + 1 + self._seconds
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_CPU, (soft if hard == resource.RLIM_INFINITY else min(soft, hard), hard))


def _die_with(parent: int | None) -> None:
    """Have Linux end this process with its parent; elsewhere it ends when it next reads."""
    if parent is None or not sys.platform.startswith("linux"):
        return
    import ctypes

    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(0)
