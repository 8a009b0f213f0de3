"""The options that place work on FILEs in tasks of an engine, and the tasks' results in order."""

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager
from functools import partial
from threading import Condition
from typing import Annotated, Any, TypeVar

import typer

from lmkit import __version__
from lmkit.commands.loading.models import core_count
from lmkit.commands.options.standard import choice
from lmkit.errors import DataError, LmkitError, MissingError, ProcessError, UsageError
from lmkit.io import streams
from lmkit.io.task_processes import results_of

Piece = TypeVar("Piece")
Result = TypeVar("Result")
PATIENCE = 10
"""Seconds until a scheduler must answer and have a worker."""
PROCESSES = {"scheduler": "processes", "chunksize": 1}
"""How Dask runs tasks on this machine: one by one, not six in one process, which is its default."""
Engine = Annotated[
    str | None,
    typer.Option(
        "--engine", metavar="NAME", callback=choice("dask"), show_default="this process",
        help="Engine: `dask` works on each FILE in a task. The result is the same.",
    ),
]  # fmt: skip
Scheduler = Annotated[
    str | None,
    typer.Option(
        "--scheduler", metavar="ADDRESS", show_default="processes of this machine",
        help="Address of a Dask cluster whose workers see the FILEs under the same names.",
    ),
]  # fmt: skip


def dask() -> Any:
    """The module. Raises MissingError where it is not installed."""
    try:
        import dask
    except ImportError:
        raise MissingError("--engine dask needs Dask", package="dask") from None
    return dask


@contextmanager
def client(scheduler: str) -> Iterator[Any]:
    """A client of a cluster whose workers have this lmkit.

    Raises MissingError where dask.distributed is not installed, UsageError for a cluster that is not there or has other
    workers, ProcessError where it ends before the tasks do.
    """
    try:
        from distributed import Client
        from distributed.comm.core import CommClosedError
        from distributed.scheduler import KilledWorker
    except ImportError:
        raise MissingError("--scheduler needs dask.distributed", package="distributed") from None
    try:
        opened = Client(scheduler, timeout=PATIENCE, set_as_default=False)
    except (OSError, ValueError, TypeError):
        raise UsageError(
            f"--scheduler {scheduler}: no Dask scheduler answers there", hint="start one with `dask scheduler`"
        ) from None
    with opened:
        try:
            _expect_workers(opened, scheduler)
            yield opened
        except (CancelledError, CommClosedError):
            raise ProcessError(f"--scheduler {scheduler}: the cluster ended before the work was done") from None
        except KilledWorker:
            raise ProcessError(
                f"--scheduler {scheduler}: several workers died of one task", hint="give them more memory"
            ) from None


def _expect_workers(opened: Any, scheduler: str) -> None:
    """Raise UsageError unless there are workers, with the lmkit of this process."""
    try:
        opened.wait_for_workers(1, timeout=PATIENCE)
    except TimeoutError:
        raise UsageError(
            f"--scheduler {scheduler}: the cluster has no workers", hint=f"start some with `dask worker {scheduler}`"
        ) from None
    for worker, found in sorted(opened.run(version, on_error="return").items()):
        if found != __version__:
            what = f"lmkit {found}" if isinstance(found, str) else "no lmkit"
            raise UsageError(f"--scheduler {scheduler}: the worker {worker} has {what}, expected lmkit {__version__}")


def version() -> str:
    """The version of lmkit where this runs."""
    return __version__


def expect_files(files: Sequence[str] | None, engine: str | None, scheduler: str | None) -> None:
    """Raises UsageError for a scheduler without an engine, and where an engine's tasks would read stdin."""
    if scheduler is not None and engine is None:
        raise UsageError("--scheduler needs --engine dask")
    if engine is not None and (not files or streams.STDIN in files):
        raise UsageError("--engine reads FILEs in other processes, not stdin", hint="name the FILEs")


class _Folder:
    """The working folder of a process, of tasks that may run in several threads of it."""

    def __init__(self) -> None:
        self._free = Condition()
        self._tasks = 0

    @contextmanager
    def at(self, folder: str) -> Iterator[None]:
        """Work in a folder, where names are those of the command; tasks of another one wait."""
        with self._free:
            self._free.wait_for(lambda: not self._tasks or os.getcwd() == folder)
            if not self._tasks:
                self._before = os.getcwd()
                try:
                    os.chdir(folder)
                except OSError as error:
                    raise DataError(f"{folder}: {error.strerror} where the tasks run") from None
            self._tasks += 1
        try:
            yield
        finally:
            with self._free:
                self._tasks -= 1
                if not self._tasks:
                    os.chdir(self._before)
                    self._free.notify_all()


_FOLDER = _Folder()


def task_in(folder: str, task: Callable[[Piece], Result], piece: Piece) -> Result:
    """The result of a task, where names of files are those of a folder. Raises DataError where it is not there."""
    with _FOLDER.at(folder):
        return task(piece)


def _guarded(folder: str, task: Callable[[Piece], Result], piece: Piece) -> Result | LmkitError:
    """The result of a task, or its failure: what a task raises comes back with its traceback in the message."""
    try:
        return task_in(folder, task, piece)
    except LmkitError as error:
        return error


@contextmanager
def in_tasks(
    task: Callable[[Piece], Result], pieces: Sequence[Piece], scheduler: str | None
) -> Iterator[Iterator[Result]]:
    """The result of a task for each piece, in order; tasks begin now, are some ahead, and end with the context.

    The task is a function of a module. Raises what it raises, and ProcessError where its process is ended.
    """
    work = partial(_guarded, os.getcwd(), task)
    results = _of_cluster(work, pieces, scheduler) if scheduler else results_of(work, pieces, core_count(None))
    with results as opened:
        yield _raised(opened)


def _raised(results: Iterator[Any]) -> Iterator[Any]:
    for result in results:
        if isinstance(result, LmkitError):
            raise result
        yield result


@contextmanager
def _of_cluster(work: Callable[[Any], Any], pieces: Sequence[Any], scheduler: str) -> Iterator[Iterator[Any]]:
    with client(scheduler) as opened:
        futures = deque(opened.map(work, pieces, pure=False))

        def results() -> Iterator[Any]:
            while futures:
                yield futures.popleft().result()  # a result that is taken is kept no longer by a worker

        yield results()
