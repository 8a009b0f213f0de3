"""What surrounds each call: notices become warnings, hostile input has limits, sums do not depend on threads."""

import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import RLock

import lmkit
from lmkit import isolation
from lmkit.commands.options.standard import Run
from lmkit.errors import LmkitWarning
from lmkit.inference import blas_threads
from lmkit.io.limited_process import LimitedWorker
from lmkit.io.messages import Terminal
from lmkit.io.progress import Progress

_HERE = str(Path(lmkit.__file__).parent) + os.sep
_lock = RLock()


class Warnings(Terminal):
    """Messages to people as warnings, at the line that called lmkit; no progress is shown."""

    def __init__(self) -> None:
        super().__init__(quiet=True)

    def notice(self, message: str) -> None:
        """See `Terminal.notice`."""
        warnings.warn(message, LmkitWarning, stacklevel=_depth())

    def progress(self, title: str, total: float | None = None, unit: str = "B") -> Progress:
        """See `Terminal.progress`."""
        return Terminal(quiet=True).progress(title, total, unit)


def _depth() -> int:
    """How far up the first caller outside of lmkit is, as `warnings.warn` in `Warnings.notice` counts."""
    depth, frame = 1, sys._getframe(1)
    while frame.f_back is not None and _is_inner(frame.f_code.co_filename):
        depth, frame = depth + 1, frame.f_back
    return depth


def _is_inner(file: str) -> bool:
    return file.startswith(_HERE) or file.endswith(f"{os.sep}contextlib.py")


@contextmanager
def session() -> Iterator[Run]:
    """One call: what a command gets to know of its surroundings. Calls of several threads wait for one another."""
    with _lock, isolation.started_by(LimitedWorker), blas_threads.alone():
        before, Terminal.current = Terminal.current, Warnings()
        try:
            yield Run("", {}, Terminal.current)
        finally:
            Terminal.current = before
