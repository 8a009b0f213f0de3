"""What a terminal is: whether a stream is one, its width and colours, and what it would obey shown escaped."""

import codecs
import os
import re
from collections.abc import Callable
from contextlib import suppress
from typing import IO

WIDTH = 80  # columns where a terminal does not say how many it has
NARROWEST = 20
_COMMANDING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""What a terminal obeys instead of showing it: control characters but line feed and tab, bidirectional overrides."""
_STYLES = {"error": "1;31", "heading": "1", "hint": "36", "aside": "2", "weight": "36", "most": "1;33"}
"""Kinds of text to the parameters of `ESC [ ... m`; the colours are of the palette that the user chose."""


def is_terminal(stream: object) -> bool:
    """Whether a stream is a terminal; a closed or absent one is not."""
    try:
        return bool(stream and stream.isatty())  # type: ignore[attr-defined]
    except ValueError:
        return False


def is_dumb() -> bool:
    """Whether the terminal can do no more than print, line after line."""
    return os.environ.get("TERM") == "dumb"


def has_colours(stream: object) -> bool:
    """Whether text on a stream is to be coloured: on a terminal, unless `NO_COLOR` is set, and with `FORCE_COLOR`."""
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or (is_terminal(stream) and not is_dumb())


def styled(text: str, style: str, stream: object) -> str:
    """The text in a style of its kind, where the stream has colours; `text` must be `visible`."""
    return f"\x1b[{_STYLES[style]}m{text}\x1b[0m" if text and has_colours(stream) else text


def columns_asked() -> int | None:
    """The width that the variable `COLUMNS` asks for; None where it asks for none."""
    asked = os.environ.get("COLUMNS", "")
    return max(NARROWEST, int(asked)) if asked.isdecimal() and 0 < int(asked) < 10_000 else None


def columns_of(stream: IO[str]) -> int:
    """The width of a terminal as it is now, in columns."""
    with suppress(OSError, ValueError):
        return os.get_terminal_size(stream.fileno()).columns or WIDTH
    return WIDTH


def visible(text: str) -> str:
    r"""The text with control characters but `\n` and `\t`, and bidirectional overrides, escaped: `\x1b`, `\u202e`."""
    return _COMMANDING.sub(_escaped, text)


def _escaped(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"


class VisibleStream:
    """A terminal's stream of bytes to which text is written as `visible` has it, invalid UTF-8 escaped too."""

    def __init__(self, stream: IO[bytes], before: Callable[[], None] = lambda: None) -> None:
        """`before` is called before anything is shown: it wipes what is in the way."""
        self._stream, self._before = stream, before
        self._decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")

    def write(self, data: bytes | memoryview) -> None:
        """Writes bytes; of a character that is cut the rest has to follow."""
        self.show(visible(self._decoder.decode(bytes(data))))

    def flush(self) -> None:
        """Sends out all whole characters."""
        self._stream.flush()

    def finish(self) -> None:
        """Shows what is left of a character that was cut."""
        self.show(visible(self._decoder.decode(b"", final=True)))

    def show(self, text: str) -> None:
        """Writes text as it is, codes of colours among it."""
        if text:
            self._before()
            self._stream.write(text.encode(errors="backslashreplace"))
