"""A matrix of numbers from 0 to 1 in characters: the darker a cell, the larger its number."""

from collections.abc import Iterator, Sequence

from lmkit.io.tables import cell_width
from lmkit.io.terminal import visible

SHADES = " ░▒▓█"
FAINT = 0.05
CELL = 2
LABEL = 20
"""Columns of a row's name at most."""
HEADER = 12
"""Lines of a column's name at most, which is written downwards."""


def shaded(
    rows: Sequence[str], columns: Sequence[str], values: Sequence[Sequence[float]], screen: int
) -> Iterator[str]:
    """Yield the lines of a matrix, at most `screen` wide; columns that do not fit follow below, under their names."""
    names = [_cut(visible(name), LABEL) for name in rows]
    margin = max(map(cell_width, names), default=0)
    fit = max(1, (screen - margin - 1) // CELL)
    for begin in range(0, len(columns), fit):
        some = slice(begin, begin + fit)
        if begin:
            yield ""
        for line in _downwards([visible(name)[:HEADER] for name in columns[some]]):
            yield f"{' ' * margin} {line}".rstrip()
        for name, row in zip(names, values, strict=True):
            cells = "".join(_shade(value) * CELL for value in row[some])
            yield f"{' ' * (margin - cell_width(name))}{name} {cells}".rstrip()


def _shade(value: float) -> str:
    """The nearest shade; all that is not faint has one."""
    return SHADES[min(len(SHADES) - 1, max(value >= FAINT, round(value * (len(SHADES) - 1))))]


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
