"""Matrices between 0 and 1 drawn with characters: deeper shades for larger numbers, in as many columns as there are."""

from collections.abc import Callable, Iterator, Sequence

from lmkit.io.tables import cell_width
from lmkit.io.terminal import visible

SHADES = " ░▒▓█"
STEPS = (0.05, 0.2, 0.4, 0.7)
"""From which number on each shade but the blank is used."""
LEGEND = "   ".join(f"{shade} {step:g}" for shade, step in zip(SHADES[1:], STEPS, strict=True))
LABEL, MOST = 16, 28
"""The widest label of a row; the most rows of a thumbnail, beyond which a cell is the largest of several weights."""
NAME, HEADER, CELL = 20, 12, 2
"""Of a matrix with names: columns of a row's name and lines of a column's at most; columns of a cell."""
Paint = Callable[[str], str]
Rows = Sequence[Sequence[float]]


def plain(text: str) -> str:
    """No style."""
    return text


def shade(value: float) -> str:
    """The character for a number."""
    return SHADES[sum(value >= step for step in STEPS)]


def matrix(rows: Sequence[str], values: Rows, screen: int, weight: Paint = plain, most: Paint = plain) -> Iterator[str]:
    """A labelled matrix, a row each, its columns numbered from 0; in parts where it is wider than the screen.

    `weight` and `most` give shades their styles: the largest of each row has its own.
    """
    label = min(LABEL, max(map(cell_width, rows), default=0))
    count = len(values[0]) if len(values) else 0
    cell = 2 if label + 1 + 2 * count <= screen else 1
    part = max(1, (screen - label - 1) // cell)
    for begin in range(0, count, part):
        places = range(begin, min(begin + part, count))
        if begin:
            yield ""
        for power in (10, 1) if places[-1] > 9 else (1,):
            digits = ("" if power > 1 and place < power else str(place // power % 10) for place in places)
            yield " " * (label + 1) + "".join(f"{digit:<{cell}}" for digit in digits).rstrip()
        for name, row in zip(rows, values, strict=True):
            yield f"{_sized(name, label)} {_shaded(row, places, cell, weight, most)}".rstrip()


def named_matrix(
    rows: Sequence[str], columns: Sequence[str], values: Sequence[Sequence[float]], screen: int
) -> Iterator[str]:
    """Yield the lines of a matrix, at most `screen` wide; columns that do not fit follow below, under their names."""
    names = [_cut(visible(name), NAME) for name in rows]
    margin = max(map(cell_width, names), default=0)
    fit = max(1, (screen - margin - 1) // CELL)
    for begin in range(0, len(columns), fit):
        some = slice(begin, begin + fit)
        if begin:
            yield ""
        for line in _downwards([visible(name)[:HEADER] for name in columns[some]]):
            yield f"{' ' * margin} {line}".rstrip()
        for name, row in zip(names, values, strict=True):
            cells = "".join(shade(value) * CELL for value in row[some])
            yield f"{' ' * (margin - cell_width(name))}{name} {cells}".rstrip()


def _cut(name: str, width: int) -> str:
    while cell_width(name) > width:
        name = name[:-1]
    return name


def _downwards(names: Sequence[str]) -> Iterator[str]:
    """Yield the lines of names whose letters are below each other and end in the last line."""
    height = max(map(len, names), default=0)
    for line in range(height):
        letters = [name[line - height + len(name)] if line >= height - len(name) else " " for name in names]
        yield "".join(letter + " " * (CELL - cell_width(letter)) for letter in letters)


def _sized(name: str, width: int) -> str:
    """A label of a fixed width."""
    from rich.cells import set_cell_size

    return set_cell_size(name, width)


def _shaded(row: Sequence[float], places: range, cell: int, weight: Paint, most: Paint) -> str:
    highest = max(row)
    parts = []
    for place in places:
        text = shade(row[place]) * cell
        parts.append((most if row[place] == highest else weight)(text) if text.strip() else text)
    return "".join(parts)


def thumbnails(
    names: Sequence[str], pictures: Sequence[Rows], screen: int, weight: Paint = plain, most: Paint = plain
) -> Iterator[str]:  # fmt: skip
    """Small pictures side by side under their names, as many as fit."""
    small = [_pooled(picture, MOST) for picture in pictures]
    rows, columns = len(small[0]), len(small[0][0])
    wides = {cell: max(cell * columns, *map(len, names)) + 2 for cell in (1, 2)}
    rows_of = {cell: -(-len(small) // max(1, (screen + 2) // wide)) for cell, wide in wides.items()}
    cell = 2 if rows_of[2] == rows_of[1] and wides[2] <= screen + 2 else 1
    wide = wides[cell]
    each = max(1, (screen + 2) // wide)
    for begin in range(0, len(small), each):
        some = range(begin, min(begin + each, len(small)))
        if begin:
            yield ""
        yield "".join(f"{names[place]:<{wide}}" for place in some).rstrip()
        for row in range(rows):
            parts = [_shaded(small[place][row], range(columns), cell, weight, most) for place in some]
            yield "".join(part + " " * (wide - cell * columns) for part in parts).rstrip()


def _pooled(values: Rows, most: int) -> Rows:
    """The matrix, reduced to at most so many rows and columns: each number is the largest of a rectangle."""
    if max(len(values), len(values[0])) <= most:
        return values
    step = -(-max(len(values), len(values[0])) // most)
    return [
        [
            max(max(row[j : j + step]) for row in values[i : i + step])
            for j in range(0, len(values[0]), step)
        ]
        for i in range(0, len(values), step)
    ]  # fmt: skip
