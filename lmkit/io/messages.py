"""Messages to people, on stderr: notices, errors and the line of progress below them. Knows no models."""

import sys
from collections.abc import Callable
from typing import ClassVar, TextIO

from lmkit.io.progress import Progress
from lmkit.io.terminal import is_dumb, is_terminal, styled, visible

WIPE = "\r\x1b[J"
"""Wipes a picture: it begins where the cursor is, and takes more lines where the terminal became narrower."""


class Terminal:
    """Messages to people, on stderr; `current` is that of the command that runs."""

    current: ClassVar["Terminal | None"] = None

    def __init__(self, *, quiet: bool = False, verbose: bool = False, stream: TextIO | None = None) -> None:
        self.quiet = quiet
        self.verbose = verbose
        self._stream = stream if stream is not None else sys.stderr
        self._picture_shown = False
        self._shown_once: set[str] = set()

    @property
    def shows_pictures(self) -> bool:
        """Whether progress is shown as a line that changes."""
        return not self.quiet and is_terminal(self._stream) and not is_dumb()

    def notice(self, message: str) -> None:
        """One line that the user should see, unless --quiet."""
        if not self.quiet:
            self._line(message)

    def notice_once(self, message: str) -> None:
        """The same where it was not shown before."""
        if message not in self._shown_once:
            self._shown_once.add(message)
            self.notice(message)

    def detail(self, message: str) -> None:
        """One line for --verbose."""
        if self.verbose:
            self._line(message)

    def _line(self, message: str) -> None:
        if self._stream is not None:
            self.clear()
            prefix = styled("lmkit:", "heading", self._stream)
            print(f"{prefix} {visible(message)}", file=self._stream, flush=True)

    def clear(self) -> None:
        """Wipes the picture, if one is shown."""
        if self._picture_shown:
            print(WIPE, end="", file=self._stream, flush=True)
            self._picture_shown = False

    def progress(self, title: str, total: float | None = None, unit: str = "B") -> Progress:
        """A progress display for something of `total` units, None where unknown."""
        return Progress(self, visible(title), total, unit)

    def stage(self, title: str, total: int) -> Callable[[int], None]:
        """A progress display for a stage of work; gives the callback for work done.

        The time until the first work is done, such as that of compilation, says nothing of the rest.
        """
        shown = self.progress(title, total, unit="")
        begun = False

        def told(amount: int) -> None:
            nonlocal begun
            if begun or not amount:
                shown.advance(amount)
            else:
                begun = True
                shown.begin(amount)

        return told

    def picture(self, draw: Callable[[TextIO], str]) -> None:
        """Shows a picture of one line; the cursor returns to its beginning, whence it can be wiped in any width."""
        if self._stream is not None:
            print(f"{WIPE}{draw(self._stream)}\r", end="", file=self._stream, flush=True)
            self._picture_shown = True


def tell_error(program: str, message: str, hint: str | None = None) -> None:
    """Shows why a program ended, in one line, and what to do, in another."""
    stream = sys.stderr
    print(f"{styled(f'{program}:', 'error', stream)} {visible(' '.join(message.splitlines()))}", file=stream)
    if hint:
        print(f"  {styled('hint:', 'hint', stream)} {visible(hint)}", file=stream)
