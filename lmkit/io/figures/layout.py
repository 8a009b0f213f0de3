"""From a figure to a drawing: where titles, panels, axes, ticks and legends are."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lmkit.io.figures import style
from lmkit.io.figures.charts import Axis, Bars, Dots, Figure, Line, Matrix, Panel
from lmkit.io.figures.mark_shapes import DOT, THICK, THIN, Canvas, dashes, look_of, names_of, shapes_of
from lmkit.io.figures.scales import Scale, scale
from lmkit.io.figures.shapes import Box, Drawing, Marker, Shape, Stroke, Words

WIDTH, HEIGHT = 960.0, 540.0
MARGIN = 24.0
LONGEST_NAME = 220.0
"""The most that names of categories take beside or below an axis."""
BAR, CELLS, SMALLEST_CELL, LARGEST_CELL = 34.0, 680.0, 13.0, 84.0
LINE = 1.35
SWATCH = 34.0


@dataclass(frozen=True)
class Frame:
    """A rectangle."""

    left: float
    top: float
    right: float
    bottom: float


def drawing(figure: Figure) -> Drawing:
    """The drawing of a figure."""
    width, height = _size(figure)
    shapes: list[Shape] = []
    y = MARGIN
    for line in style.wrapped(figure.title, style.TITLE, width - 2 * MARGIN, bold=True) if figure.title else ():
        y += style.TITLE
        shapes.append(Words(MARGIN, y, line, style.TITLE, bold=True))
        y += (LINE - 1) * style.TITLE
    frames = _frames(figure, Frame(MARGIN, y + 4, width - MARGIN, y + 4 + height))
    scales = [scale(panel.y, _values(panel)[1], 0.0, 1.0) for panel in figure.panels]
    sides = [(_left(panel, y), _right(panel, y)) for panel, y in zip(figure.panels, scales, strict=True)]
    widest = max(left for left, _ in sides), max(right for _, right in sides)
    for panel, frame, side in zip(figure.panels, frames, sides, strict=True):
        shapes += _panel(panel, frame, side if figure.beside else widest)
    return Drawing(width, round(y + height + MARGIN), shapes, figure.title, figure.description)


def _size(figure: Figure) -> tuple[float, float]:
    """The width of a figure and the height of its panels: a slide's, or what names and cells need."""
    if len(figure.panels) == 1:
        panel = figure.panels[0]
        if any(isinstance(mark, Matrix) for mark in panel.marks):
            cell = _cell(panel)
            left, below = _left(panel, Scale(0, 1, 0, 1)), _below(panel, cell)
            wide = cell * len(panel.x.names) + left + 2 * MARGIN
            return max(wide, 420.0), cell * len(panel.y.names) + below + _above(panel, wide)
        if panel.plane:
            return WIDTH, WIDTH
        if panel.y.names:
            groups = max(1, sum(isinstance(mark, Bars) for mark in panel.marks))
            bar = BAR if groups == 1 else 0.75 * BAR * groups
            return WIDTH, max(160.0, bar * len(panel.y.names) + 90.0)
        return WIDTH, HEIGHT - 60.0
    return (1280.0, HEIGHT - 60.0) if figure.beside else (WIDTH, HEIGHT + 60.0 * len(figure.panels))


def _cell(panel: Panel) -> float:
    """The size of a matrix's cells."""
    return min(LARGEST_CELL, max(SMALLEST_CELL, CELLS / max(1, len(panel.x.names), len(panel.y.names))))


def _frames(figure: Figure, whole: Frame) -> Iterator[Frame]:
    count, gap = len(figure.panels), MARGIN
    if figure.beside:
        wide = (whole.right - whole.left - gap * (count - 1)) / count
        for place in range(count):
            left = whole.left + place * (wide + gap)
            yield Frame(left, whole.top, left + wide, whole.bottom)
        return
    total, top = sum(panel.height for panel in figure.panels), whole.top
    for panel in figure.panels:
        tall = (whole.bottom - whole.top - gap * (count - 1)) * panel.height / total
        yield Frame(whole.left, top, whole.right, top + tall)
        top += tall + gap


def _values(panel: Panel) -> tuple[list[float], list[float]]:
    """What both axes have to show."""
    x: list[float] = []
    y: list[float] = []
    for mark in panel.marks:
        if isinstance(mark, Bars):
            (x if panel.y.names else y).extend([*mark.values, *mark.low, *mark.high, 0.0])
        elif not isinstance(mark, Matrix):
            x.extend(mark.x)
            y.extend([*mark.y, *mark.low, *mark.high])
    return x, y


def _panel(panel: Panel, frame: Frame, sides: tuple[float, float]) -> Iterator[Shape]:
    """A panel with so much room left and right of its marks."""
    x_values, y_values = _values(panel)
    plot = _plot(panel, frame, *sides)
    x = scale(panel.x, x_values, plot.left, plot.right, room=0.02)
    ends = (plot.top, plot.bottom) if panel.y.names else (plot.bottom, plot.top)
    y = scale(panel.y, y_values, *ends)
    yield from _header(panel, frame)
    if panel.plane:
        x, y = _equal(x, y)
    else:
        yield from _y_axis(panel, plot, y)
        yield from _x_axis(panel, plot, x)
    if panel.right:
        yield from _right_axis(panel, plot, y)
    bars = [mark for mark in panel.marks if isinstance(mark, Bars)]
    for place, mark in enumerate(panel.marks):
        if isinstance(mark, Matrix):
            yield from shapes_of(mark, Canvas(panel, x, y))
        else:
            group = bars.index(mark) if isinstance(mark, Bars) else 0
            yield from shapes_of(mark, Canvas(panel, x, y, look_of(mark, place), group, len(bars)))
    yield from names_of(panel.marks, x, y, frame.right)


def _plot(panel: Panel, frame: Frame, left: float, right: float) -> Frame:
    """Where the marks of a panel are."""
    top = frame.top + _above(panel, frame.right - frame.left)
    if panel.plane:
        return Frame(frame.left + 4, top, frame.right - 60, frame.bottom)
    left += frame.left
    if any(isinstance(mark, Matrix) for mark in panel.marks):
        cell = _cell(panel)
        return Frame(left, top, left + cell * len(panel.x.names), top + cell * len(panel.y.names))
    right = frame.right - right
    return Frame(left, top, right, frame.bottom - _below(panel, (right - left) / max(1, len(panel.x.names))))


def _equal(x: Scale, y: Scale) -> tuple[Scale, Scale]:
    """The scales with one unit as long across as down, what they show in the middle."""
    unit = min(abs(scale.end - scale.begin) / (scale.high - scale.low) for scale in (x, y))
    widened = []
    for one in (x, y):
        middle, half = (one.low + one.high) / 2, abs(one.end - one.begin) / unit / 2
        widened.append(Scale(middle - half, middle + half, one.begin, one.end))
    return widened[0], widened[1]


# Above a panel: its title, what its y axis shows, the legend.


def _legend(panel: Panel, room: float) -> list[list[tuple[int, Line | Dots | Bars]]]:
    """Rows of labelled series; none where there is one series alone."""
    labelled = [(i, mark) for i, mark in enumerate(panel.marks) if not isinstance(mark, Matrix) and mark.label]
    if len(labelled) < 2:
        return []
    rows: list[list[tuple[int, Line | Dots | Bars]]] = [[]]
    used = 0.0
    for place, mark in labelled:
        wide = SWATCH + 8 + style.width(mark.label, style.SMALL) + 22
        if rows[-1] and used + wide > room:
            rows.append([])
            used = 0.0
        rows[-1].append((place, mark))
        used += wide
    return rows


def _above(panel: Panel, room: float) -> float:
    title = LINE * style.TEXT if panel.title else 0.0
    axis = LINE * style.SMALL if panel.y.label else 0.0
    numbers = style.SMALL if panel.x.names and any(isinstance(mark, Bars) for mark in panel.marks) else 0.0
    return title + axis + LINE * style.SMALL * len(_legend(panel, room)) + numbers + 10.0


def _header(panel: Panel, frame: Frame) -> Iterator[Shape]:
    y = frame.top
    if panel.title:
        yield Words(
            frame.left,
            y + style.TEXT,
            style.fitted(panel.title, style.TEXT, frame.right - frame.left),
            style.TEXT,
            bold=True,
        )
        y += LINE * style.TEXT
    for row in _legend(panel, frame.right - frame.left):
        x = frame.left
        for place, mark in row:
            yield from _swatch(mark, place, x, y + 0.72 * style.SMALL)
            yield Words(x + SWATCH + 8, y + style.SMALL, mark.label, style.SMALL)
            x += SWATCH + 30 + style.width(mark.label, style.SMALL)
        y += LINE * style.SMALL
    if panel.y.label:
        yield Words(frame.left, y + style.SMALL, panel.y.label, style.SMALL, "aside")
    if panel.right:
        yield Words(frame.right, y + style.SMALL, panel.right[0], style.SMALL, "aside", "end")


def _swatch(mark: Line | Dots | Bars, place: int, x: float, y: float) -> Iterator[Shape]:
    look = look_of(mark, place)
    color, marker = style.SERIES[look % len(style.SERIES)], style.MARKERS[look % len(style.MARKERS)]
    if isinstance(mark, Bars):
        yield Box(x + SWATCH - 18, y - 8, 16, 16, color)
        return
    if isinstance(mark, Line):
        width, opacity = (THIN, 0.6) if mark.faint else (THICK, 1.0)
        yield Stroke([(x, y), (x + SWATCH, y)], color, width, dashes(mark, look), opacity)
    if isinstance(mark, Dots) or mark.points:
        yield Marker(x + SWATCH / 2, y, marker, DOT, color)


# Axes.


def _left(panel: Panel, y: Scale) -> float:
    """The room for what is written left of the y axis."""
    texts = panel.y.names or [text for _, text in y.ticks()]
    return min(LONGEST_NAME, max((style.width(text, style.SMALL) for text in texts), default=0.0)) + 12.0


def _right(panel: Panel, y: Scale) -> float:
    """The room for what is written right of the marks."""
    if panel.y.names:
        return style.width("0.000", style.SMALL)
    if panel.right is None:
        return 4.0
    return _left(Panel(panel.marks, panel.x, Axis()), _relabelled(panel, y))


def _relabelled(panel: Panel, y: Scale) -> Scale:
    """The scale on the right."""
    factor = panel.right[1] if panel.right else 1.0
    return Scale(y.low * factor, y.high * factor, y.begin, y.end, y.log)


def _below(panel: Panel, slot: float) -> float:
    """The room for what is written below the x axis."""
    names = LINE * style.SMALL + 6.0
    if panel.x.names and not _level(panel.x.names, slot):
        names = min(LONGEST_NAME, max(style.width(name, style.SMALL) for name in panel.x.names)) + 16.0
    return names + (LINE * style.SMALL if panel.x.label else 0.0)


def _level(names: Sequence[str], slot: float) -> bool:
    """Whether names are written horizontally."""
    return max((style.width(name, style.SMALL) for name in names), default=0.0) < slot - 6


def _y_axis(panel: Panel, plot: Frame, y: Scale) -> Iterator[Shape]:
    if panel.y.names:
        every = max(1, -int(-0.9 * style.SMALL // abs(y(1.0) - y(0.0))))
        for place, name in enumerate(panel.y.names):
            if place % every == 0:
                shown = style.fitted(name, style.SMALL, LONGEST_NAME)
                yield Words(plot.left - 8, y(place) + style.SMALL / 3, shown, _letters(y), anchor="end")
        return
    for value, text in y.ticks(_count(plot.bottom - plot.top, 2.2 * style.SMALL)):
        yield Stroke([(plot.left, y(value)), (plot.right, y(value))], "grid")
        yield Words(plot.left - 8, y(value) + style.SMALL / 3, text, style.SMALL, "aside", "end")


def _letters(categories: Scale) -> float:
    """The size of names, which shrink a little before they are left out."""
    return min(style.SMALL, max(11.0, 0.95 * abs(categories(1.0) - categories(0.0))))


def _count(room: float, each: float) -> int:
    return max(2, min(7, int(room // each)))


def _x_axis(panel: Panel, plot: Frame, x: Scale) -> Iterator[Shape]:
    bottom = plot.bottom
    if not panel.y.names:
        yield Stroke([(plot.left, bottom), (plot.right, bottom)], "aside", 1.5)
    if panel.x.names:
        yield from _x_names(panel.x.names, bottom, x)
    else:
        for value, text in x.ticks(_count(plot.right - plot.left, 90.0)):
            if panel.y.names:
                yield Stroke([(x(value), plot.top), (x(value), bottom)], "grid")
            else:
                yield Stroke([(x(value), bottom), (x(value), bottom + 6)], "aside", 1.5)
            yield Words(x(value), bottom + 8 + style.SMALL, text, style.SMALL, "aside", "middle")
    if panel.x.label:
        y = bottom + _below(panel, (plot.right - plot.left) / max(1, len(panel.x.names))) - 4
        yield Words((plot.left + plot.right) / 2, y, panel.x.label, style.SMALL, "aside", "middle")


def _x_names(names: Sequence[str], bottom: float, x: Scale) -> Iterator[Shape]:
    slot = x(1.0) - x(0.0)
    letters = _letters(x)
    if _level(names, slot):
        for place, name in enumerate(names):
            yield Words(x(place), bottom + 8 + style.SMALL, name, style.SMALL, anchor="middle")
        return
    every = max(1, -int(-0.9 * letters // slot))
    for place, name in enumerate(names):
        if place % every == 0:
            shown = style.fitted(name, letters, LONGEST_NAME)
            yield Words(x(place) + letters / 3, bottom + 10, shown, letters, anchor="end", upright=True)


def _right_axis(panel: Panel, plot: Frame, y: Scale) -> Iterator[Shape]:
    right = _relabelled(panel, y)
    for value, text in right.ticks(_count(plot.bottom - plot.top, 2.2 * style.SMALL)):
        yield Stroke([(plot.right, right(value)), (plot.right + 6, right(value))], "aside", 1.5)
        yield Words(plot.right + 10, right(value) + style.SMALL / 3, text, style.SMALL, "aside")
