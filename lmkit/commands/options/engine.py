"""The options that place work on FILEs in tasks of an engine, and the tasks' results in order."""

import os
from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Any, TypeVar

import typer

from lmkit.commands.options.standard import choice
from lmkit.errors import LmkitError, MissingError, UsageError
from lmkit.io import streams

Piece = TypeVar("Piece")
Result = TypeVar("Result")
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


def client(scheduler: str) -> Any:
    """A client of a cluster. Raises MissingError where dask.distributed is not installed."""
    try:
        from distributed import Client
    except ImportError:
        raise MissingError("--scheduler needs dask.distributed", package="distributed") from None
    return Client(scheduler)


def expect_files(files: Sequence[str] | None, engine: str | None, scheduler: str | None) -> None:
    """Raises UsageError for a scheduler without an engine, and where an engine's tasks would read stdin."""
    if scheduler is not None and engine is None:
        raise UsageError("--scheduler needs --engine dask")
    if engine is not None and (not files or streams.STDIN in files):
        raise UsageError("--engine reads FILEs in other processes, not stdin", hint="name the FILEs")


def _guarded(task: Callable[[Piece], Result], piece: Piece) -> Result | LmkitError:
    """The result of a task, or its failure: what a task raises comes back with its traceback in the message."""
    try:
        return task(piece)
    except LmkitError as error:
        return error


def in_tasks(task: Callable[[Piece], Result], pieces: Sequence[Piece], scheduler: str | None) -> Iterator[Result]:
    """Yield the result of a task for each piece, in order, a few of which are worked on at a time.

    The task is a function of a module. Raises what it raises.
    """
    for result in _results(task, pieces, scheduler):
        if isinstance(result, LmkitError):
            raise result
        yield result


def _results(
    task: Callable[[Piece], Result], pieces: Sequence[Piece], scheduler: str | None
) -> Iterator[Result | LmkitError]:
    delayed = dask().delayed(_guarded, pure=False)
    if scheduler is None:
        step = 2 * (os.cpu_count() or 1)
        for begin in range(0, len(pieces), step):
            tasks = [delayed(task, piece) for piece in pieces[begin : begin + step]]
            yield from dask().compute(*tasks, scheduler="processes")
        return
    with client(scheduler) as opened:
        for future in opened.compute([delayed(task, piece) for piece in pieces]):
            yield future.result()
