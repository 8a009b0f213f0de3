"""Processes that a child started and that may have left its session: found and ended, where the system is Linux.

While `adopted`, this process is the subreaper: a descendant whose parent ends becomes its child, and can't escape by
setsid or a double fork. Elsewhere nothing is adopted, and a child's session is all that can be ended.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from time import monotonic, sleep

_PR_SET_CHILD_SUBREAPER = 36
_LONGEST = 5.0  # seconds that processes are looked for which start others faster than they are ended
_PAUSE = 0.005  # seconds for the kernel to hand over orphans


@contextmanager
def adopted() -> Iterator[None]:
    """Adopt the orphans of processes started meanwhile, and at the end kill all that are left of them."""
    if not _set_subreaper(True):
        yield
        return
    before = _children(os.getpid())
    try:
        yield
    finally:
        _end_all(before)
        _set_subreaper(False)


def _set_subreaper(on: bool) -> bool:
    """Whether the system has done so."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        done: int = ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, int(on), 0, 0, 0)
    except (OSError, AttributeError):
        return False
    return done == 0


def _end_all(before: set[int]) -> None:
    """Kill all descendants of this process but children that it had before, and theirs."""
    own, begin = os.getpid(), monotonic()
    while monotonic() - begin < _LONGEST:
        found = _descendants(_children(own) - before)
        if not found:
            return
        for pid in found:
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        for pid in _children(own) & found:
            with suppress(OSError):
                os.waitpid(pid, 0)
        sleep(_PAUSE)


def _descendants(roots: set[int]) -> set[int]:
    """Processes and all that descend from them."""
    parents = _parents()
    found = set(roots)
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def _children(pid: int) -> set[int]:
    return {child for child, parent in _parents().items() if parent == pid}


def _parents() -> dict[int, int]:
    """The parent of each process."""
    found = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            with suppress(OSError, ValueError, IndexError), open(f"/proc/{name}/stat", "rb") as stat:
                found[int(name)] = int(stat.read().rpartition(b")")[2].split()[1])
    return found
