"""Processes that run services of `lmkit.isolation` within limits of time and memory, and are ended beyond them.

A limited process is a fresh interpreter, not a fork: it shares no locks, threads, files or memory with this one. It
starts once for a job and answers many requests. Time is that of this process's waiting for one answer; while the
program is stopped (Ctrl-Z) it does not run. Memory is private memory (RLIMIT_DATA) beyond what the process has
when it is ready; macOS has no such limit, so that only time is limited there.
"""

import json
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import Any, NamedTuple

from lmkit import errors
from lmkit.io.limited_service import BUG, DONE, HEADER, MEMORY
from lmkit.isolation import Job, LimitError

_CODE = "import sys; sys.path[:] = sys.argv[1:]; from lmkit.io.limited_service import main; main()"
_START = 120.0  # seconds until an interpreter must be ready, on a machine that is busy
_SLICE = 0.25  # seconds of waiting that count at most at once, however long the program was stopped
_PIECE = 1 << 18  # bytes received at once
_AHEAD = 1 << 16  # bytes of requests that wait for their answers, fewer than a socket holds
_NO_SIGNAL = getattr(socket, "MSG_NOSIGNAL", 0)
_SO_NOSIGPIPE = 0x1022  # of macOS, which has no MSG_NOSIGNAL


class Limits(NamedTuple):
    """What one request may take: seconds, bytes of memory, bytes of its answer."""

    seconds: float = 10.0
    memory: int = 512 << 20
    answer: int = 512 << 20


LIMITS = Limits()


class EndedError(LimitError):
    """A process ended before it answered."""

    how: str = ""
    """In a few words."""


class Workers:
    """The limited processes of one command, ended with it."""

    def __init__(self) -> None:
        self._started: list[LimitedWorker] = []

    def start(self, job: Job) -> "LimitedWorker":
        """Return a worker for a job, which is set up. Raises what the service raises, and LimitError."""
        worker = LimitedWorker(job)
        self._started.append(worker)
        return worker

    def __enter__(self) -> "Workers":
        return self

    def __exit__(self, _kind: object, _error: object, _trace: TracebackType | None) -> None:
        for worker in self._started:
            worker.close()


class LimitedWorker:
    """A worker of `lmkit.isolation`: one limited process, or as many as threads ask at the same time."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._lock = threading.Lock()
        self._idle: list[LimitedProcess] = [LimitedProcess(job)]

    def ask(self, request: bytes) -> bytes:
        """See `isolation.Worker.ask`."""
        (answer,) = self.ask_each([request])
        return answer

    def ask_each(self, requests: Sequence[bytes]) -> Iterator[bytes]:
        """See `isolation.Worker.ask_each`."""
        process = self._taken()
        try:
            yield from process.ask_each(requests)
        finally:
            if process.alive:
                with self._lock:
                    self._idle.append(process)

    def close(self) -> None:
        """End its processes; a later request starts another."""
        with self._lock:
            idle, self._idle = self._idle, []
        for process in idle:
            process.end()

    def _taken(self) -> "LimitedProcess":
        with self._lock:
            while self._idle:
                process = self._idle.pop()
                if process.alive:
                    return process
        return LimitedProcess(self._job)


class LimitedProcess:
    """A process that serves one job. Raises what its service raises while it is set up.

    `session`: it gets a session of its own, which ends with it.
    """

    def __init__(self, job: Job, limits: Limits | None = None, *, session: bool = False) -> None:
        self.limits = limits or LIMITS
        self._owner, self._session = os.getpid(), session
        self._held = bytearray()
        ours, theirs = socket.socketpair()
        if not _NO_SIGNAL:
            ours.setsockopt(socket.SOL_SOCKET, _SO_NOSIGPIPE, 1)
        for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
            ours.setsockopt(socket.SOL_SOCKET, option, struct.pack("@ll", 0, int(_SLICE * 1e6)))
        self._socket: socket.socket | None = ours
        root = str(Path(errors.__file__).parent.parent)
        path = [*(entry for entry in sys.path if entry), *([] if root in sys.path else [root])]
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", _CODE, *path],
                stdin=theirs.fileno(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=session,
            )  # fmt: skip
        try:
            self._set_up(job)
        except BaseException:
            self.end()
            raise

    def _set_up(self, job: Job) -> None:
        parent = os.getpid() if threading.current_thread() is threading.main_thread() else None
        hello = {
            "service": f"{job.service.__module__}:{job.service.__qualname__}", "imports": list(job.imports),
            "seconds": self.limits.seconds, "memory": self.limits.memory + job.memory, "parent": parent,
            "processors": os.cpu_count() or 1,
        }  # fmt: skip
        self._send([json.dumps(hello).encode()], _START)
        self._receive(_START)
        self.ask(json.dumps(job.settings).encode())

    @property
    def pid(self) -> int:
        """The process's number."""
        return int(self._process.pid)

    @property
    def alive(self) -> bool:
        """Whether it takes requests of this process; one that was started before a fork is its parent's."""
        return self._socket is not None and self._owner == os.getpid()

    def ask(self, request: bytes) -> bytes:
        """Return the answer to a request. Raises LimitError, and errors of `lmkit.errors` that the service raises."""
        (answer,) = self.ask_each([request])
        return answer

    def ask_each(self, requests: Sequence[bytes]) -> Iterator[bytes]:
        """Yield the answer to each request; some are sent ahead, so that both processes work. Raises as `ask` does."""
        sent = ahead = done = 0
        try:
            for request in requests:
                if ahead <= _AHEAD // 2:
                    begin = sent
                    while sent < len(requests) and (not ahead or ahead + len(requests[sent]) <= _AHEAD):
                        ahead += HEADER.size + len(requests[sent])
                        sent += 1
                    self._send(requests[begin:sent], self.limits.seconds)
                answer = self._receive(self.limits.seconds)
                ahead -= HEADER.size + len(request)
                done += 1
                if answer[:1] != DONE:
                    raise self._failure(json.loads(answer[1:]))
                yield answer[1:]
        except (LimitError, OSError):
            self.end()
            raise
        finally:
            if done < sent:  # answers would be taken for those to later requests
                self.end()

    def _failure(self, said: dict[str, Any]) -> Exception:
        kind, message = said["kind"], said["message"]
        if kind == MEMORY:
            self.end()
            return LimitError(f"more than {self.limits.memory >> 20} MB of memory, the limit")
        if kind == BUG:
            return RuntimeError(message)
        error: Exception = getattr(errors, kind)(message, hint=said["hint"])
        return error

    def _send(self, frames: Sequence[bytes], seconds: float) -> None:
        data = b"".join(part for frame in frames for part in (HEADER.pack(len(frame)), frame))
        view, left = memoryview(data), seconds
        while view:
            before = monotonic()
            try:
                view = view[self._open_socket.send(view, _NO_SIGNAL) :]
            except BlockingIOError:
                left = self._less(left, before, seconds)
            except OSError:
                raise self._ended() from None

    def _receive(self, seconds: float) -> bytes:
        left = self._hold(HEADER.size, seconds, seconds)
        (size,) = HEADER.unpack_from(self._held)
        if size > self.limits.answer:
            raise LimitError(f"an answer of {size} bytes, beyond the limit of {self.limits.answer}")
        end = HEADER.size + size
        self._hold(end, left, seconds)
        frame = bytes(memoryview(self._held)[HEADER.size : end])
        del self._held[:end]
        return frame

    def _hold(self, size: int, left: float, seconds: float) -> float:
        """Receive until so many bytes are held; the time that is then left. Raises LimitError."""
        while len(self._held) < size:
            before = monotonic()
            try:
                piece = self._open_socket.recv(_PIECE)
            except BlockingIOError:
                left = self._less(left, before, seconds)
                continue
            except OSError:
                piece = b""
            if not piece:
                raise self._ended()
            self._held += piece
        return left

    @property
    def _open_socket(self) -> socket.socket:
        if self._socket is None:
            raise ValueError("the process was ended")
        return self._socket

    def _less(self, left: float, before: float, seconds: float) -> float:
        """The time that is left after a wait. Raises LimitError where none is."""
        left -= min(monotonic() - before, 2 * _SLICE)
        if left <= 0:
            raise LimitError(f"not done within {seconds:g} s, the limit")
        return left

    def _ended(self) -> LimitError:
        """What to say of a process that ended before it answered."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(1)
        status = self._process.returncode
        if status == -signal.SIGXCPU:
            return LimitError(f"not done within {self.limits.seconds:g} s, the limit")
        how = f"was ended by signal {-status}" if status is not None and status < 0 else "ended without an answer"
        error = EndedError(f"its process {how}; it may have needed more than {self.limits.memory >> 20} MB of memory")
        error.how = how.removeprefix("was ")
        return error

    def __del__(self) -> None:
        """End the process: one that started after its command ended has no other owner than who asked."""
        try:  # noqa: SIM105 - `suppress` may be gone when the interpreter is on its way out
            self.end()
        except Exception:
            pass

    def end(self) -> None:
        """End the process, if it is this process's own."""
        if self._socket is None or self._owner != os.getpid():
            return
        self._socket.close()
        self._socket = None
        if self._session:
            with suppress(OSError):
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.kill()
        self._process.wait()
