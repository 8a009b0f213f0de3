"""The look of all figures: colours that colour-blind readers distinguish, sizes of letters, widths of text."""

import unicodedata
from collections.abc import Mapping

TITLE, TEXT, SMALL = 26.0, 20.0, 17.0
"""Sizes of letters in pixels of a figure about 1000 pixels wide, to be read from the back of a room."""
FONT = "DejaVu Sans, Verdana, Segoe UI, Helvetica, Arial, sans-serif"
LIGHT: Mapping[str, str] = {
    "paper": "#ffffff", "ink": "#111827", "aside": "#4b5563", "grid": "#e5e7eb",
    "c0": "#0072b2", "c1": "#d55e00", "c2": "#009e73", "c3": "#aa4499", "c4": "#b8860b", "c5": "#56b4e9",
    "c6": "#6b7280",
}  # fmt: skip
"""Roles of colours on white. c0 to c6 are of the palette of Okabe and Ito (2008), those too pale for lines darker."""
DARK: Mapping[str, str] = {
    "paper": "#111827", "ink": "#f3f4f6", "aside": "#b6bcc8", "grid": "#374151",
    "c0": "#56b4e9", "c1": "#ff8f45", "c2": "#2fd0a0", "c3": "#e29bd0", "c4": "#f0c94d", "c5": "#a9d8f5",
    "c6": "#b6bcc8",
}  # fmt: skip
SERIES = tuple(f"c{number}" for number in range(7))
MARKERS = ("circle", "square", "triangle", "diamond", "cross")
"""Shapes of points and dashes of lines tell series apart where colours do not."""
SOLID = len(SERIES) - 1
"""The grey look, for what is no series among others."""
DASHES = ((), (10.0, 5.0), (3.0, 4.0), (14.0, 4.0, 3.0, 4.0))
_ASCII = (
    32, 40, 46, 84, 64, 95, 78, 27, 39, 39, 50, 84, 32, 36, 32, 34, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 34, 34, 84,
    84, 84, 53, 100, 68, 69, 70, 77, 63, 58, 77, 75, 29, 29, 66, 56, 86, 75, 79, 60, 79, 69, 63, 61, 73, 68, 99, 69, 61,
    69, 39, 34, 39, 84, 50, 50, 61, 63, 55, 63, 62, 35, 63, 63, 28, 28, 58, 28, 97, 63, 61, 63, 63, 41, 52, 39, 63, 59,
    82, 59, 59, 52, 64, 34, 64, 84,
)  # fmt: skip
"""Widths of the characters from the blank to the tilde in DejaVu Sans, in hundredths of the size."""


def width(text: str, size: float, *, bold: bool = False) -> float:
    """The width of a text in pixels: that of DejaVu Sans, which is wider than the fonts that may replace it."""
    hundredths = sum(_hundredths(character) for character in text)
    return hundredths * size / 100 * (1.1 if bold else 1.0)


def _hundredths(character: str) -> int:
    code = ord(character) - 32
    if 0 <= code < len(_ASCII):
        return _ASCII[code]
    if unicodedata.combining(character):
        return 0
    return 100 if unicodedata.east_asian_width(character) in "WF" else 64


def fitted(text: str, size: float, room: float) -> str:
    """The text, its end replaced by an ellipsis where it is wider than the room."""
    if width(text, size) <= room:
        return text
    while text and width(text + "…", size) > room:
        text = text[:-1]
    return text + "…"


def wrapped(text: str, size: float, room: float, *, bold: bool = False) -> list[str]:
    """The text in lines that fit the room, broken at blanks."""
    lines = [""]
    for word in text.split(" "):
        longer = f"{lines[-1]} {word}" if lines[-1] else word
        if lines[-1] and width(longer, size, bold=bold) > room:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def shown_token(token: str) -> str:
    """A token as a figure has it: blanks and line ends, which no one would see, as signs for them."""
    marked = token.replace("\n", "⏎").replace("\t", "⇥").replace("\r", "␍")
    return marked.replace(" ", "␣") if marked.strip(" ") != marked or not marked else marked
