"""What long runs do when a signal asks them to end: they note it, and stop where they can go on from."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from lmkit.errors import Status, Stopped


@contextmanager
def asked_to_stop(*, alone: bool) -> Iterator[list[Status]]:
    """A list that gets the status to end with when a signal asks for the end.

    A second one ends at once, if this process is alone: torchrun passes on what a terminal has sent already.
    """
    asked: list[Status] = []
    statuses = {signal.SIGINT: Status.INTERRUPTED, signal.SIGTERM: Status.TERMINATED}
    if hasattr(signal, "SIGHUP"):
        statuses[signal.SIGHUP] = Status.TERMINATED
    heeded = [number for number in statuses if signal.getsignal(number) != signal.SIG_IGN]  # not under nohup

    def note(number: int, _frame: object) -> None:
        status = statuses[signal.Signals(number)]
        if asked and alone:
            raise Stopped(status)
        asked.append(status)

    before = {}
    with suppress(ValueError):  # only the main thread is asked
        before = {number: signal.signal(number, note) for number in heeded}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
