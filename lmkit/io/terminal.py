"""What people see on stderr: messages and progress; and tables and text for a terminal. Knows no models."""

import codecs
import os
import re
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import IO, ClassVar, TextIO

PATIENCE = 2.0  # seconds before progress is shown
PERIOD = 0.25  # seconds between two pictures of a progress bar
LOG_PERIOD = 30.0  # seconds between two lines where there is no terminal
LABEL = 24  # cells of a label beside a bar
EIGHTHS = " ▏▎▍▌▋▊▉█"
_COMMANDING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""What a terminal obeys instead of showing it: control characters but line feed and tab, bidirectional overrides."""


def is_terminal(stream: object) -> bool:
    """Whether a stream is a terminal; a closed or absent one is not."""
    try:
        return bool(stream and stream.isatty())  # type: ignore[attr-defined]
    except ValueError:
        return False


def visible(text: str) -> str:
    r"""The text with control characters but `\n` and `\t`, and bidirectional overrides, escaped: `\x1b`, `\u202e`."""
    return _COMMANDING.sub(_escaped, text)


def _escaped(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"


class VisibleStream:
    """A terminal's stream of bytes to which text is written as `visible` has it, invalid UTF-8 escaped too."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")

    def write(self, data: bytes | memoryview) -> None:
        """Writes bytes; of a character that is cut the rest has to follow."""
        self._show(self._decoder.decode(bytes(data)))

    def flush(self) -> None:
        """Sends out all whole characters."""
        self._stream.flush()

    def finish(self) -> None:
        """Shows what is left of a character that was cut."""
        self._show(self._decoder.decode(b"", final=True))

    def _show(self, text: str) -> None:
        self._stream.write(visible(text).encode())


class Terminal:
    """Messages to people, on stderr; `current` is that of the command that runs."""

    current: ClassVar["Terminal | None"] = None

    def __init__(self, *, quiet: bool = False, verbose: bool = False, stream: TextIO | None = None) -> None:
        self.quiet = quiet
        self.verbose = verbose
        self._stream = stream if stream is not None else sys.stderr
        self._bar_shown = False
        self._shown_once: set[str] = set()

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
            print(visible(f"lmkit: {message}"), file=self._stream, flush=True)

    def clear(self) -> None:
        """Wipes the progress bar, if one is shown."""
        if self._bar_shown:
            print("\r\x1b[K", end="", file=self._stream, flush=True)
            self._bar_shown = False

    def progress(self, title: str, total: int | None = None, unit: str = "B") -> "Progress":
        """A progress display for something of `total` units, None where unknown."""
        picture = not self.quiet and is_terminal(self._stream) and os.environ.get("TERM") != "dumb"
        return Progress(self, visible(title), total, unit, picture=picture)

    def stage(self, title: str, total: int) -> Callable[[int], None]:
        """A progress display for a stage of work; gives the callback for work done."""
        return self.progress(title, total, unit="").advance

    def picture(self, text: str) -> None:
        """Shows one picture of a progress bar."""
        print(f"\r\x1b[K{text}", end="", file=self._stream, flush=True)
        self._bar_shown = True


def _quantity(value: float, unit: str) -> str:
    for prefix in ("", "k", "M", "G", "T"):
        if value < 1000 or prefix == "T":
            break
        value /= 1000
    return f"{value:.0f}{prefix}{unit}" if not prefix or value >= 100 else f"{value:.1f}{prefix}{unit}"


class Progress:
    """A bar with rate and time left, for work that takes long; where no picture can be shown a line now and then."""

    def __init__(self, terminal: Terminal, title: str, total: int | None, unit: str, *, picture: bool) -> None:
        self._terminal, self._title, self._total, self._unit, self._picture = terminal, title, total, unit, picture
        self._begun = time.monotonic()
        self._period = PERIOD if picture else LOG_PERIOD
        self._last = self._begun + (PATIENCE - PERIOD if picture else 0)
        self._done = 0.0
        self._note = ""

    def advance(self, amount: float, note: str = "") -> None:
        """Counts more work done; `note` is shown in place of the rate."""
        self._done += amount
        self._note = note
        if self._total and self._done >= self._total:
            self._terminal.clear()
            return
        now = time.monotonic()
        if now - self._last >= self._period:
            self._last = now
            show = self._terminal.picture if self._picture else self._terminal.notice
            show(self._text(now - self._begun))

    def _text(self, seconds: float) -> str:
        rate = self._done / seconds
        shown = self._note or f"{_quantity(rate, self._unit)}/s"
        text = f"{self._title}: {_quantity(self._done, self._unit)}"
        if self._total:
            share = min(1.0, self._done / self._total)
            left = (self._total - self._done) / rate if rate else 0
            bar = f"[{'#' * round(20 * share):<20}] " if self._picture else ""
            text = f"{self._title} {bar}{share:4.0%}"
            return f"{text}  {shown}  {max(0, left):.0f} s left"
        return f"{text}  {shown}"

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *_: object) -> None:
        self._terminal.clear()

    def over(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        """The same pieces, counted by their bytes as they pass."""
        for piece in pieces:
            yield piece
            self.advance(len(piece))


def bars(rows: Sequence[tuple[str, str, float]]) -> Iterator[str]:
    """Labels, figures and a bar for each number: the highest fills the terminal's width, others are in proportion."""
    from rich.cells import cell_len, set_cell_size

    first = min(LABEL, max((cell_len(label) for label, _, _ in rows), default=0))
    second = max((len(figure) for _, figure, _ in rows), default=0)
    room = max(8, shutil.get_terminal_size((80, 24)).columns - first - second - 4)
    highest = max((row[2] for row in rows), default=0.0)
    for label, figure, number in rows:
        eighths = round(8 * room * number / highest) if highest else 0
        bar = EIGHTHS[8] * (eighths // 8) + EIGHTHS[eighths % 8]
        yield f"{set_cell_size(label, first)}  {figure:<{second}}  {bar}".rstrip(" ")


def table(rows: Sequence[Sequence[str]]) -> str:
    """Rows as aligned columns, numbers to the right; the first row is the header."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]

    def numeric(column: int) -> bool:
        return all(row[column].lstrip("-")[:1].isdigit() or row[column] in ("inf", "-inf", "-") for row in rows[1:])

    right = [numeric(column) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(row, widths, right, strict=True)
        ).rstrip()
        for row in rows
    )
