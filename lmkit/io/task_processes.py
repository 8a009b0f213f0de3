"""Processes of this machine that work on pieces of a job, one piece a process at a time, and end with this one.

A process is a fresh interpreter, not a fork. A thread waits for each, so that results are received while this process
does other work, and a process that is ended from outside is noticed.
"""

import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from queue import SimpleQueue
from typing import Any, TypeVar

from lmkit.errors import ProcessError

Piece = TypeVar("Piece")
Result = TypeVar("Result")
_AHEAD = 2
"""Pieces for each process that are worked on, or done, before they are asked for."""


@contextmanager
def results_of(work: Callable[[Piece], Result], pieces: Sequence[Piece], processes: int) -> Iterator[Iterator[Result]]:
    """The result for each piece, in order; work begins now, and ends with the context.

    `work` is a function of a module, or a partial of one. Raises what it raises, and ProcessError where its process
    is ended from outside.
    """
    children = [_Child(work) for _ in range(min(processes, len(pieces)))]
    idle = SimpleQueue[_Child]()
    for child in children:
        idle.put(child)

    def ask(piece: Piece) -> Result:
        child = idle.get()
        try:
            answer: Result = child.ask(piece)
            return answer
        finally:
            idle.put(child)

    threads = ThreadPoolExecutor(len(children) or 1, "task", _block_sigpipe)
    try:
        waiting = iter(pieces)
        futures = deque(threads.submit(ask, piece) for piece in islice(waiting, _AHEAD * len(children)))

        def results() -> Iterator[Result]:
            while futures:
                result = futures.popleft().result()
                futures.extend(threads.submit(ask, piece) for piece in islice(waiting, 1))
                yield result

        yield results()
    finally:
        for child in children:
            child.end()
        threads.shutdown(cancel_futures=True)


class _Child:
    """A process that does one kind of work."""

    def __init__(self, work: Callable[[Any], Any]) -> None:
        from multiprocessing import get_context

        context = get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, work), daemon=True)
        self._process.start()
        theirs.close()

    def ask(self, piece: Any) -> Any:
        try:
            self._connection.send(piece)
            done, answer = self._connection.recv()
        except (EOFError, OSError):
            raise ProcessError(
                "a process that worked on a file was ended from outside", hint="it may need more memory"
            ) from None
        if not done:
            raise answer
        return answer

    def end(self) -> None:
        self._process.kill()
        self._process.join()


def _block_sigpipe() -> None:
    """Make a broken pipe an error of this thread, where the program leaves SIGPIPE its default action."""
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGPIPE])


def _serve(connection: Any, work: Callable[[Any], Any]) -> None:
    """The inside of a process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent ends this process
    threading.Thread(target=_end_with_parent, daemon=True).start()
    while True:
        piece = connection.recv()
        try:
            answer = True, work(piece)
        except Exception as error:
            answer = False, error
        connection.send(answer)


def _end_with_parent() -> None:
    from multiprocessing import parent_process

    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
