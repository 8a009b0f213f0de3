"""Lines typed at a terminal, edited and recalled as readline does, and Ctrl-C as a wish of the one who types."""

import contextlib
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from lmkit.errors import Status, Stopped
from lmkit.io.terminal import is_terminal


def is_conversation() -> bool:
    """Whether a person types at a terminal and reads there."""
    return is_terminal(sys.stdin) and is_terminal(sys.stdout)


class LineEditor:
    """Reads lines. Ctrl-C discards the line, and ends the program where it is empty twice; elsewhere it is `asked`."""

    def __init__(self) -> None:
        self.asked = False
        """Whether Ctrl-C was typed since the last line was read."""
        self._typing = False
        self._typed = ""
        self._buffer: Callable[[], str] = str
        with contextlib.suppress(ImportError):  # without it the terminal's own editing has to do
            import readline

            readline.set_auto_history(True)
            self._buffer = readline.get_line_buffer

    @contextmanager
    def interrupts(self) -> Iterator[None]:
        """Takes Ctrl-C, unless it is ignored."""
        before = signal.getsignal(signal.SIGINT)
        if before != signal.SIG_IGN:
            signal.signal(signal.SIGINT, self._caught)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)

    def _caught(self, _number: int, _frame: FrameType | None) -> None:
        if self._typing:
            self._typed = self._buffer()
            raise KeyboardInterrupt
        self.asked = True

    def line(self, prompt: str, *, more: str = "") -> str | None:
        r"""The next line; one that ends in `\` is continued after the prompt `more`. None at the end, Ctrl-D.

        Raises Stopped after Ctrl-C at two empty lines.
        """
        parts: list[str] = []
        empty = 0
        while True:
            try:
                part = self._read(more if parts else prompt)
            except KeyboardInterrupt:
                print()
                if not parts and not self._typed:
                    empty += 1
                    if empty == 2:
                        raise Stopped(Status.INTERRUPTED) from None
                    print("(Ctrl-C again, or Ctrl-D, ends the conversation)", file=sys.stderr)
                else:
                    empty = 0
                parts = []
                continue
            except EOFError:
                print()
                return "\n".join(parts) if parts else None
            self.asked = False
            if not part.endswith("\\"):
                return "\n".join([*parts, part])
            parts.append(part[:-1])

    def _read(self, prompt: str) -> str:
        with contextlib.suppress(AttributeError, OSError):
            sys.stdout.flush()
        self._typing = True
        try:
            return input(prompt)
        finally:
            self._typing = False
