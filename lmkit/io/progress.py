"""Progress of long work: one line with rate, time left and figures on a terminal, or a plain line now and then.

The line is drawn with rich, which is imported when the first one is: quick work, pipes and files do without it.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol, TextIO

from lmkit.io.terminal import columns_asked, columns_of, has_colours

PATIENCE = 2.0  # seconds before progress is shown
PERIOD = 0.25  # seconds between two pictures of it
LOG_PERIOD = 30.0  # seconds between two lines where there is no terminal
GAP = 2  # columns between fields
SHORTEST_BAR, LONGEST_BAR = 5, 40  # columns
NEEDED = 4
"""Fields that are shown before there is a bar: share, time left, the first figure and the rate."""


class Messages(Protocol):
    """Where progress is shown."""

    @property
    def shows_pictures(self) -> bool:
        """Whether it is shown as a line that changes."""

    def picture(self, draw: Callable[[TextIO], str]) -> None:
        """Shows a line that is replaced by the next."""

    def notice(self, message: str) -> None:
        """Shows a line that stays."""

    def clear(self) -> None:
        """Wipes the picture, if one is shown."""


class Progress:
    """Progress of work of so many units, with figures about it; `total` is None where it is not known."""

    def __init__(self, messages: Messages, title: str, total: float | None, unit: str) -> None:
        self._messages, self._title, self._total, self._unit = messages, title, total, unit
        self.is_picture = messages.shows_pictures
        """Whether a terminal shows it: figures that stay on the line need no message of their own."""
        self._done = self._uncounted = 0.0
        self._begun = time.monotonic()
        self._period = PERIOD if self.is_picture else LOG_PERIOD
        self._last = self._begun + (PATIENCE - PERIOD if self.is_picture else 0)
        self._figures: tuple[str, ...] = ()
        self._kept = ""

    def begin(self, done: float = 0.0) -> None:
        """Starts the clock: the rate is that of what follows, not of what was `done`, nor of what came before."""
        self._done = self._uncounted = done
        self._begun = time.monotonic()

    def advance(self, amount: float, *figures: str) -> None:
        """Counts more work done; `figures` take the place of the rate, the most important first."""
        self._done += amount
        self._figures = figures
        if self._total and self._done >= self._total:
            self._messages.clear()
            return
        now = time.monotonic()
        if now - self._last >= self._period:
            self._last = now
            self._show(now)

    def keep(self, figure: str) -> None:
        """A figure that stays in the line from now on, as that of an evaluation does."""
        self._kept = figure
        if self.is_picture and time.monotonic() - self._begun >= PATIENCE:
            self._show(time.monotonic())

    def _show(self, now: float) -> None:
        fields = self._fields(now - self._begun)
        if self.is_picture:
            share = min(1.0, self._done / self._total) if self._total else None
            self._messages.picture(lambda stream: drawn(self._title, share, fields, stream))
        else:
            self._messages.notice("  ".join([self._title, *fields]))

    def _fields(self, seconds: float) -> list[str]:
        """What is said beside the title, the most important first."""
        rate = (self._done - self._uncounted) / seconds if seconds > 0 else 0.0
        first, rest = self._figures[:2] or (f"{quantity(rate, self._unit)}/s",), self._figures[2:]
        figures = [*first, *filter(None, [self._kept]), *rest]
        if not self._total:
            return [quantity(self._done, self._unit), *figures]
        left = [f"{duration(max(0.0, self._total - self._done) / rate)} left"] if rate > 0 else []
        return [f"{min(1.0, self._done / self._total):4.0%}", *left, *figures]

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *_: object) -> None:
        self._messages.clear()

    def over(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        """The same pieces, counted by their bytes as they pass."""
        for piece in pieces:
            yield piece
            self.advance(len(piece))


def drawn(title: str, share: float | None, fields: list[str], stream: TextIO) -> str:
    """One line for a terminal: title, bar and as many fields as its width has room for."""
    from rich.cells import cell_len, set_cell_size
    from rich.console import Console
    from rich.progress_bar import ProgressBar

    width = min(columns_of(stream), columns_asked() or LONGEST_BAR * 100) - 1
    shown, used = [title], cell_len(title)
    for place, field in enumerate(fields):
        reserved = 0 if place < NEEDED or share is None else GAP + SHORTEST_BAR
        if used + GAP + cell_len(field) + reserved > width:
            break
        shown.append(field)
        used += GAP + cell_len(field)
    room = min(LONGEST_BAR, width - used - GAP)
    bar = ""
    if share is not None and room >= SHORTEST_BAR:
        console = Console(
            file=stream, width=width, force_terminal=True, legacy_windows=False,
            color_system="standard" if has_colours(stream) else None,
        )  # fmt: skip
        with console.capture() as capture:
            console.print(ProgressBar(total=1.0, completed=share, width=room), end="")
        bar = capture.get().rstrip("\n")
        bar += "" if has_colours(stream) else " " * (room - cell_len(bar))  # what is left is drawn in colours only
    if not bar:
        return set_cell_size((" " * GAP).join(shown), min(used, width))
    return (" " * GAP).join([shown[0], bar, *shown[1:]])


def quantity(value: float, unit: str) -> str:
    """A number of units in three digits: `12.3kB`."""
    for prefix in ("", "k", "M", "G", "T"):
        if value < 1000 or prefix == "T":
            break
        value /= 1000
    return f"{value:.0f}{prefix}{unit}" if not prefix or value >= 100 else f"{value:.1f}{prefix}{unit}"


def duration(seconds: float) -> str:
    """A time in its largest units: `14 s`, `12 min`, `3 h 05 min`."""
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60:02} min"
