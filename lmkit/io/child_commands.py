"""Other runs of lmkit as child processes, several at a time, that end with this one."""

import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import IO, NamedTuple

_PAUSE = 0.02  # seconds between two looks at the children
_PATIENCE = 10.0  # seconds for a child to end when it is asked to


class Ended(NamedTuple):
    """A command that ended: its place among all, its exit status, and what it wrote to stderr."""

    place: int
    status: int
    messages: str


def ended(commands: Sequence[Sequence[str]], processes: int) -> Iterator[Ended]:
    """Run lmkit with each list of arguments, some at a time, and yield each as it ends.

    Their stdin is empty and what they print is dropped. When the iterator is closed, those that still run are ended.
    """
    import tempfile

    running: dict[int, tuple[subprocess.Popen[bytes], IO[bytes]]] = {}
    waiting = list(enumerate(commands))[::-1]
    try:
        while waiting or running:
            while waiting and len(running) < processes:
                place, arguments = waiting.pop()
                stderr: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115
                running[place] = (_started(arguments, stderr), stderr)
            for place in [place for place, (child, _) in running.items() if child.poll() is not None]:
                child, messages = running.pop(place)
                yield Ended(place, child.returncode, _text(messages))
            time.sleep(_PAUSE if running else 0)
    finally:
        for child, _ in running.values():
            child.terminate()
        for child, messages in running.values():
            messages.close()
            with suppress(subprocess.TimeoutExpired):
                child.wait(_PATIENCE)
            child.kill()
            child.wait()


def _started(arguments: Sequence[str], messages: IO[bytes]) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "lmkit", *arguments]
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=messages)


def _text(stream: IO[bytes]) -> str:
    with stream:
        stream.seek(0)
        return stream.read().decode(errors="replace")
