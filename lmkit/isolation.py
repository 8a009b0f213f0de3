"""Services that work on hostile input (templates, patterns, schemas), run where the program decides.

A service is a function of a module of lmkit: given settings, it returns what answers requests, bytes for bytes. Code of
the core asks a `Worker` and knows no processes. By default a worker answers in this process, without limits;
the command line starts workers that are processes with limits of time and memory (`lmkit.io.limited_process`).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, Protocol

from lmkit.errors import DataError

Settings = Mapping[str, Any]
"""What a service is set up with, as JSON has it."""
Handler = Callable[[bytes], bytes]
Service = Callable[[Settings], Handler]


class LimitError(DataError):
    """A request took more time or memory than it may."""


class Worker(Protocol):
    """A service that was set up."""

    def ask(self, request: bytes) -> bytes:
        """Return the service's answer. Raises what the service raises, and LimitError; threads may share a worker."""

    def ask_each(self, requests: Sequence[bytes]) -> Iterator[bytes]:
        """Yield the answer to each of several requests, as `ask` does, limits holding for each."""


class Job(NamedTuple):
    """A service, its settings, and the modules to import before limits hold."""

    service: Service
    settings: Settings
    imports: Sequence[str] = ()
    memory: int = 0
    """Bytes beyond the usual limit, for large settings that are no danger."""


class _Here:
    """A worker in this process."""

    def __init__(self, job: Job) -> None:
        self.ask = job.service(job.settings)

    def ask_each(self, requests: Sequence[bytes]) -> Iterator[bytes]:
        return map(self.ask, requests)


_start: Callable[[Job], Worker] = _Here


def worker(service: Service, settings: Settings, imports: Sequence[str] = (), memory: int = 0) -> Worker:
    """Return a worker for a service, which must be a function of a module. Raises what the service raises."""
    return _start(Job(service, settings, imports, memory))


@contextmanager
def started_by(start: Callable[[Job], Worker]) -> Iterator[None]:
    """Have all workers started by `start` meanwhile."""
    global _start
    before, _start = _start, start
    try:
        yield
    finally:
        _start = before
