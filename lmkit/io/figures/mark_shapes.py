"""Shapes of marks: lines, points, bars and matrices on the scales of their panel."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lmkit.io.figures import style
from lmkit.io.figures.charts import Bars, Dots, Line, Mark, Matrix, Numbers, Panel, number
from lmkit.io.figures.label_placement import unobstructed
from lmkit.io.figures.scales import Scale
from lmkit.io.figures.shapes import Area, Box, Image, Marker, Point, Shape, Stroke, Words

CLOSE = 4.0
"""Points of a line that are closer, in pixels, are thinned to the extremes of each pixel."""
THICK, THIN, DOT, CAP = 3.0, 1.2, 5.5, 6.0
MOST_CELLS = 2000
"""Cells of a matrix up to which each is a shape, with its number for a pointer; larger ones are one image."""
DARK_CELL = 0.65
"""From this depth of colour on, the number in a cell is written in the colour of the paper."""


@dataclass(frozen=True)
class Canvas:
    """The scales of a panel, and the place of a series among its like."""

    panel: Panel
    x: Scale
    y: Scale
    look: int = 0
    """Which colour, shape and dashes the series has."""
    group: int = 0
    groups: int = 1
    """The place of bars among those of a category, and how many there are."""

    @property
    def color(self) -> str:
        """The role of the series' colour."""
        return style.SERIES[self.look % len(style.SERIES)]

    @property
    def marker(self) -> str:
        """The shape of the series' points."""
        return style.MARKERS[self.look % len(style.MARKERS)]

    def hint(self, label: str, x: float, y: float) -> str:
        """What is said of a point."""
        at = self.panel.x.names[round(x)] if self.panel.x.names else number(x)
        return f"{label}: {at}, {number(y)}" if label else f"{at}, {number(y)}"


def shapes_of(mark: Mark, canvas: Canvas) -> Iterator[Shape]:
    """The shapes of a mark."""
    if isinstance(mark, Line):
        yield from _line(mark, canvas)
    elif isinstance(mark, Dots):
        yield from _dots(mark, canvas)
    elif isinstance(mark, Bars):
        yield from _bars(mark, canvas)
    else:
        yield from _matrix(mark, canvas)


def look_of(mark: Line | Dots | Bars, place: int) -> int:
    """The look of a series: its place among all, where it has no colour of its own."""
    return place if mark.color is None else mark.color


def dashes(mark: Line, look: int) -> Sequence[float]:
    """The dashes of a line: each look has its own, so that colour is not needed to distinguish them."""
    if mark.faint or (look == style.SOLID and not mark.dashed):
        return ()
    return style.DASHES[1] if mark.dashed else style.DASHES[look % len(style.DASHES)]


def _pixels(canvas: Canvas, x: Numbers, y: Numbers) -> Iterator[list[Point]]:
    """Runs of points that have a place."""
    run: list[Point] = []
    for one, other in zip(x, y, strict=True):
        if canvas.x.shows(one) and canvas.y.shows(other):
            run.append((canvas.x(one), canvas.y(other)))
        elif run:
            yield run
            run = []
    if run:
        yield run


def _line(mark: Line, canvas: Canvas) -> Iterator[Shape]:
    color = canvas.color
    if len(mark.low):
        ends = zip(_pixels(canvas, mark.x, mark.low), _pixels(canvas, mark.x, mark.high), strict=False)
        yield from (Area([*low, *reversed(high)], color) for low, high in ends)
    for run in _pixels(canvas, mark.x, mark.y):
        if len(run) > 1:
            width, opacity = (THIN, 0.45) if mark.faint else (THICK, 1.0)
            yield Stroke(_thinned(run), color, width, dashes(mark, canvas.look), opacity)
    if mark.points or len(mark.x) == 1:
        for x, y in zip(mark.x, mark.y, strict=True):
            if canvas.x.shows(x) and canvas.y.shows(y):
                yield Marker(canvas.x(x), canvas.y(y), canvas.marker, DOT, color, canvas.hint(mark.label, x, y))


def _thinned(run: list[Point]) -> list[Point]:
    """The points of a line, where they are dense the first, lowest, highest and last of each pixel."""
    if len(run) < CLOSE * (abs(run[-1][0] - run[0][0]) + 1):
        return run
    kept: list[Point] = []
    begin = 0
    while begin < len(run):
        end = begin
        while end < len(run) and math.floor(run[end][0]) == math.floor(run[begin][0]):
            end += 1
        part = range(begin, end)
        extremes = {begin, end - 1, min(part, key=lambda i: run[i][1]), max(part, key=lambda i: run[i][1])}
        kept += [run[place] for place in sorted(extremes)]
        begin = end
    return kept


def _dots(mark: Dots, canvas: Canvas) -> Iterator[Shape]:
    color, size = canvas.color, DOT / 2 if mark.small else DOT
    shown = [
        place
        for place, (x, y) in enumerate(zip(mark.x, mark.y, strict=True))
        if canvas.x.shows(x) and canvas.y.shows(y)
    ]
    places = [(canvas.x(mark.x[place]), canvas.y(mark.y[place])) for place in shown]
    for place, (x, y) in zip(shown, places, strict=True):
        if len(mark.low):
            yield from _interval(canvas.y(mark.low[place]), canvas.y(mark.high[place]), x, color, lying=False)
        label = mark.names[place] if mark.names else mark.label
        yield Marker(x, y, canvas.marker, size, color, canvas.hint(label, mark.x[place], mark.y[place]))


def names_of(marks: Sequence[Mark], x: Scale, y: Scale, right: float) -> Iterator[Shape]:
    """Names beside the points of all series, where there is room up to `right`; those of later series come first."""
    found = [
        (x(one), y(other), name, look_of(mark, place))
        for place, mark in reversed(list(enumerate(marks)))
        if isinstance(mark, Dots)
        for one, other, name in zip(mark.x, mark.y, mark.names, strict=False)
        if x.shows(one) and y.shows(other)
    ]
    letters = 0.75 * style.SMALL
    found = [entry for entry in found if entry[0] + style.width(entry[2], letters) + 8 < right]
    for place in unobstructed([(entry[0], entry[1]) for entry in found], [entry[2] for entry in found], letters):
        across, down, name, look = found[place]
        color = style.SERIES[look % len(style.SERIES)] if look else "ink"
        yield Words(across + 7, down + letters / 3, name, letters, color)


def _interval(low: float, high: float, across: float, color: str, *, lying: bool) -> Iterator[Shape]:
    """An error bar with caps."""
    for begin, end in (((across, low), (across, high)), *(((across - CAP, y), (across + CAP, y)) for y in (low, high))):
        points = [begin, end]
        yield Stroke([(y, x) for x, y in points] if lying else points, color, 2.0)


def _bars(mark: Bars, canvas: Canvas) -> Iterator[Shape]:
    lying = bool(canvas.panel.y.names)
    measure, category = (canvas.x, canvas.y) if lying else (canvas.y, canvas.x)
    names = canvas.panel.y.names if lying else canvas.panel.x.names
    slot = abs(category(1.0) - category(0.0))
    thick = 0.78 * slot / canvas.groups
    zero = measure(min(max(0.0, measure.low), measure.high)) if not measure.log else measure.begin
    color = canvas.color
    for place, value in enumerate(mark.values):
        if not measure.shows(value):
            continue
        middle = category(place) + (canvas.group - (canvas.groups - 1) / 2) * thick
        end, first = measure(value), middle - 0.46 * thick
        low, size = min(zero, end), abs(end - zero)
        hint = (
            f"{names[place]}: {number(value)}" if not mark.label else f"{names[place]}, {mark.label}: {number(value)}"
        )
        yield (
            Box(low, first, size, 0.92 * thick, color, hint=hint)
            if lying
            else Box(first, low, 0.92 * thick, size, color, hint=hint)
        )
        edge = end
        if len(mark.low):
            ends = measure(mark.low[place]), measure(mark.high[place])
            yield from _interval(*ends, middle, "ink", lying=lying)
            edge = max(ends) if lying else min(ends)
        yield from _value(value, edge, middle, thick, lying=lying)


def _value(value: float, end: float, middle: float, thick: float, *, lying: bool) -> Iterator[Shape]:
    """The number of a bar at its end, where it has room."""
    text = f"{value:.3g}"
    if lying and thick > 0.8 * style.SMALL:
        yield Words(end + 6, middle + style.SMALL / 3, text, style.SMALL)
    elif not lying and style.width(text, style.SMALL) < thick + 4:
        yield Words(middle, end - 6, text, style.SMALL, anchor="middle")


def _matrix(mark: Matrix, canvas: Canvas) -> Iterator[Shape]:
    values = [value for row in mark.values for value in row if math.isfinite(value)]
    highest = mark.high if mark.high is not None else max(values, default=1.0)
    wide, tall = canvas.x(1.0) - canvas.x(0.0), canvas.y(1.0) - canvas.y(0.0)
    longest = max((style.width(_cell(value, mark.digits), style.SMALL) for value in values), default=0.0)
    letters = min(style.SMALL, style.SMALL * (wide - 6) / longest if longest else 0.0, 0.6 * tall)
    rows, columns = canvas.panel.y.names, canvas.panel.x.names
    if len(rows) * len(columns) > MOST_CELLS:
        depths = [
            [value / highest if math.isfinite(value) and highest > 0 else 0.0 for value in row] for row in mark.values
        ]
        yield Image(canvas.x.begin, canvas.y.begin, wide * len(columns), tall * len(rows), depths, "c0")
        return
    for i, row in enumerate(mark.values):
        for j, value in enumerate(row):
            if not math.isfinite(value):
                continue
            depth = min(1.0, max(0.0, value / highest)) if highest > 0 else 0.0
            hint = f"{rows[i]} → {columns[j]}: {number(value)}"
            x, y = canvas.x(j), canvas.y(i)
            yield Box(x - wide / 2 + 0.5, y - tall / 2 + 0.5, wide - 1, tall - 1, "c0", round(depth, 3), hint)
            if letters >= 0.6 * style.SMALL and value != 0:
                color = "paper" if depth > DARK_CELL else "ink"
                yield Words(x, y + letters / 3, _cell(value, mark.digits), letters, color, "middle")


def _cell(value: float, digits: int) -> str:
    """A number of a matrix; without the zero before the point, so that the digits have room."""
    text = f"{value:.{digits}f}"
    return text[1:] if text.startswith("0.") else text
