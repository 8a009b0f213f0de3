"""Tables for a terminal: rows of records aligned, folded to its width; bars, and pairs of names and values.

Widths are those of cells of a terminal, in which CJK characters and emoji take two. All that fits is shown, and what
does not fit is folded, never cut: columns of text into several lines, and a table of too many numbers by turning it,
so that each record is a column. Texts must be `terminal.visible`.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple, Protocol

EIGHTHS = " ▏▎▍▌▋▊▉█"
GAP = "  "
LABEL = 24  # columns of a label beside a bar
TEXT, NUMBER = 12, 10
"""Columns that a text is narrowed to, and that a number gets where more rows may follow."""

Row = Sequence[str]


class Layout(NamedTuple):
    """Widths of the columns of a table, which of them are numbers, and the width of the terminal it was made for."""

    widths: tuple[int, ...]
    numeric: tuple[bool, ...]
    screen: int

    def takes(self, rows: Sequence[Row], screen: int) -> bool:
        """Whether more rows can follow in it: the terminal is as wide as it was, and no number would be folded."""
        return screen == self.screen and all(
            cell_width(row[column]) <= self.widths[column]
            for column, numeric in enumerate(self.numeric)
            if numeric
            for row in rows
        )


def cell_width(text: str) -> int:
    """The columns that a text takes."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def folded(text: str, width: int) -> list[str]:
    """The text in lines of at most so many columns, between words where there are any."""
    if cell_width(text) <= width:
        return [text]
    from rich.cells import chop_cells

    lines, line, used = list[str](), "", 0
    for word in _words(text):
        wide = cell_width(word.rstrip(" "))
        if used + wide > width and line:
            lines.append(line.rstrip(" "))
            line, used = "", 0
        if wide > width:
            *full, word = chop_cells(word, width)
            lines += full
        line += word
        used += cell_width(word)
    return [*lines, line.rstrip(" ")]


def _words(text: str) -> Iterator[str]:
    """Words with the blanks after them."""
    begin = 0
    while begin < len(text):
        end = text.find(" ", begin)
        end = len(text) if end < 0 else end
        while end < len(text) and text[end] == " ":
            end += 1
        yield text[begin:end]
        begin = end


def laid_out(header: Row, rows: Sequence[Row], numeric: Sequence[bool], screen: int, *, more: bool) -> Layout | None:
    """The layout of a table in a terminal of so many columns; None where its numbers do not fit.

    `more`: rows may follow, so columns get room for any, as far as there is.
    """
    widths = [max(cell_width(name), *(cell_width(row[column]) for row in rows)) for column, name in enumerate(header)]
    room = screen - len(GAP) * (len(widths) - 1)
    if more:
        for column, number in enumerate(numeric):
            widths[column] += min(max(0, (NUMBER if number else TEXT) - widths[column]), max(0, room - sum(widths)))
        widths[-1] += 0 if numeric[-1] else max(0, room - sum(widths))
    while sum(widths) > room:
        texts = [column for column, number in enumerate(numeric) if not number]
        wide = [c for c in texts if widths[c] > max(TEXT, cell_width(header[c]))]
        if not wide:
            return None
        widest = max(wide, key=lambda column: widths[column])
        others = max((widths[column] for column in wide if column != widest), default=0)
        least = max(TEXT, cell_width(header[widest]), min(others, widths[widest] - 1))
        widths[widest] = max(least, widths[widest] - (sum(widths) - room))
    return Layout(tuple(widths), tuple(numeric), screen)


def aligned(row: Row, layout: Layout) -> Iterator[str]:
    """The lines of a row: numbers to the right, texts folded to their columns."""
    cells = [folded(text, width) for text, width in zip(row, layout.widths, strict=True)]
    for line in range(max(map(len, cells))):
        parts = [
            _placed(lines[line] if line < len(lines) else "", width, right=number)
            for lines, width, number in zip(cells, layout.widths, layout.numeric, strict=True)
        ]
        yield GAP.join(parts).rstrip(" ")


def _placed(text: str, width: int, *, right: bool) -> str:
    blanks = " " * (width - cell_width(text))
    return blanks + text if right else text + blanks


def turned(header: Row, rows: Sequence[Row], screen: int, bold: Callable[[str], str]) -> Iterator[str]:
    """The lines of a table whose records are columns, as many side by side as fit; names come first, again for each."""
    names = max(map(cell_width, header))
    room = max(TEXT, screen - names - len(GAP))
    widths = [min(room, max(1, *map(cell_width, row))) for row in rows]
    begin = 0
    while begin < len(rows):
        end, used = begin, 0
        while end < len(rows) and (end == begin or used + len(GAP) + widths[end] <= room):
            used += widths[end] + (len(GAP) if end > begin else 0)
            end += 1
        if begin:
            yield ""
        layout = Layout(tuple(widths[begin:end]), (end - begin > 1,) * (end - begin), screen)
        for column, name in enumerate(header):
            label = bold(name) + " " * (names - cell_width(name))
            for line in aligned([row[column] for row in rows[begin:end]], layout):
                yield (label + GAP + line).rstrip(" ")
                label = " " * names
        begin = end


def paired(
    pairs: Iterable[tuple[str, str]], margin: int, screen: int, bold: Callable[[str], str]
) -> Iterator[str]:  # fmt: skip
    """Lines of names, in a margin of so many columns, and their values; long values are folded."""
    for name, value in pairs:
        label = bold(name) + " " * (margin - cell_width(name))
        for line in folded(value, max(TEXT, screen - margin - len(GAP))):
            yield (label + GAP + line).rstrip(" ")
            label = " " * margin


def bars(rows: Sequence[tuple[str, str, float]], screen: int) -> Iterator[str]:
    """Labels, figures and a bar for each number: the highest fills the width, others are in proportion."""
    from rich.cells import cell_len, set_cell_size

    first = min(LABEL, max((cell_len(label) for label, _, _ in rows), default=0))
    second = max((len(figure) for _, figure, _ in rows), default=0)
    room = max(8, screen - first - second - 4)
    highest = max((row[2] for row in rows), default=0.0)
    for label, figure, number in rows:
        eighths = round(8 * room * number / highest) if highest else 0
        bar = EIGHTHS[8] * (eighths // 8) + EIGHTHS[eighths % 8]
        yield f"{set_cell_size(label, first)}  {figure:<{second}}  {bar}".rstrip(" ")


class Screen(Protocol):
    """A terminal that results go to."""

    @property
    def columns(self) -> int:
        """Its width as it is now."""

    def heading(self, text: str) -> str:
        """The text in the style of headings."""


class RowPrinter:
    """Rows that come one after another, as tables of a terminal: those that come together are laid out together."""

    def __init__(self, screen: Screen, header: Row, show: Callable[[str], None]) -> None:
        self._screen, self._header, self._show = screen, header, show
        self._layout: Layout | None = None
        self._begun = False

    def show(self, rows: Sequence[Row], numeric: Sequence[bool], *, more: bool) -> None:
        """Shows rows, under the header unless they follow others in its layout; `more`: others may follow."""
        screen = self._screen.columns
        follows = self._layout is not None and self._layout.takes(rows, screen)
        lines = list[str]()
        if not follows:
            self._layout = laid_out(self._header, rows, numeric, screen, more=more)
            lines += [""] if self._begun else []
            if self._layout is not None:
                lines += map(self._screen.heading, aligned(self._header, self._layout))
        if self._layout is None:
            lines += turned(self._header, rows, screen, self._screen.heading)
        else:
            lines += [line for row in rows for line in aligned(row, self._layout)]
        self._begun = True
        self._show("\n".join(lines))
