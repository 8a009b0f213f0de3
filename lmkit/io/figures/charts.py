"""What figures show: panels of lines, points, bars and matrices. Knows numbers and labels, not how they are drawn."""

from collections.abc import Sequence
from dataclasses import dataclass

Numbers = Sequence[float]


@dataclass(frozen=True)
class Axis:
    """An axis: what its numbers are. `names` are categories at 0, 1, 2, ...; `low` and `high` are always shown."""

    label: str = ""
    log: bool = False
    names: Sequence[str] = ()
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Line:
    """Values over x. `low` and `high` bound a band; `points` marks each value; `faint` stays in the background."""

    label: str
    x: Numbers
    y: Numbers
    low: Numbers = ()
    high: Numbers = ()
    points: bool = False
    dashed: bool = False
    faint: bool = False
    color: int | None = None


@dataclass(frozen=True)
class Dots:
    """Points. `low` and `high` are ends of intervals of y; `names` are written beside points where there is room."""

    label: str
    x: Numbers
    y: Numbers
    low: Numbers = ()
    high: Numbers = ()
    names: Sequence[str] = ()
    small: bool = False
    color: int | None = None


@dataclass(frozen=True)
class Bars:
    """A value for each category of the axis that has names; `low` and `high` are ends of intervals."""

    label: str
    values: Numbers
    low: Numbers = ()
    high: Numbers = ()
    color: int | None = None


@dataclass(frozen=True)
class Matrix:
    """Values of [row][column], shown by depth of colour, and as numbers of so many digits where there is room."""

    values: Sequence[Numbers]
    digits: int = 2
    high: float | None = None


Mark = Line | Dots | Bars | Matrix


@dataclass(frozen=True)
class Panel:
    """Marks on two axes. `right` relabels the y axis: what it is there, and a factor.

    A `plane` has no axes, and one unit is as long across as down.
    """

    marks: Sequence[Mark]
    x: Axis
    y: Axis
    title: str = ""
    height: float = 1.0
    right: tuple[str, float] | None = None
    plane: bool = False


@dataclass(frozen=True)
class Figure:
    """Panels below each other, or beside. `alt` describes the figure to those who can't see it."""

    title: str
    panels: Sequence[Panel]
    beside: bool = False
    alt: str = ""

    @property
    def description(self) -> str:
        """The alternative text: `alt`, or what the panels show, with the ends of each series."""
        return self.alt or " ".join([f"{self.title}.", *(_described(panel) for panel in self.panels)])


def lines(
    title: str, series: Sequence[Line], *, x: str, y: str, log_x: bool = False, log_y: bool = False
) -> Figure:  # fmt: skip
    """A chart of lines."""
    return Figure(title, (Panel(series, Axis(x, log_x), Axis(y, log_y)),))


def bars(
    title: str, names: Sequence[str], series: Sequence[Bars], *, y: str, low: float | None = 0.0,
    high: float | None = None, flat: bool = False,
) -> Figure:  # fmt: skip
    """A chart of bars, a group for each name; `flat`: the bars lie, so that long names have room."""
    measure, category = Axis(y, low=low, high=high), Axis(names=names)
    return Figure(title, (Panel(series, measure, category) if flat else Panel(series, category, measure),))


def matrix(
    title: str, rows: Sequence[str], columns: Sequence[str], values: Sequence[Numbers], *, x: str = "", y: str = "",
    digits: int = 2, high: float | None = None,
) -> Figure:  # fmt: skip
    """A matrix: attention, alignment, confusion."""
    return Figure(title, (Panel((Matrix(values, digits, high),), Axis(x, names=columns), Axis(y, names=rows)),))


def reliability(title: str, confidence: Numbers, accuracy: Numbers, counts: Numbers) -> Figure:
    """A reliability diagram: accuracy over mean confidence of each bin, and how many predictions the bins hold."""
    confident = Axis("confidence", low=0.0, high=1.0)
    diagonal = Line("perfect calibration", (0.0, 1.0), (0.0, 1.0), dashed=True, color=6)
    found = Line("accuracy", confidence, accuracy, points=True, color=0)
    sizes = [Line("", (at, at), (0.0, count), color=0) for at, count in zip(confidence, counts, strict=True)]
    return Figure(
        title,
        (
            Panel((diagonal, found), confident, Axis("accuracy", low=0.0, high=1.0), height=3.0),
            Panel(sizes, confident, Axis("predictions", low=0.0)),
        ),
    )


def number(value: float) -> str:
    """A number as a figure has it: at most four digits."""
    return f"{value:.4g}"


def _described(panel: Panel) -> str:
    parts = []
    for mark in panel.marks:
        if isinstance(mark, Matrix):
            parts.append(f"a matrix of {len(panel.y.names)} rows and {len(panel.x.names)} columns")
        elif isinstance(mark, Bars):
            names = panel.x.names or panel.y.names
            shown = ", ".join(
                f"{name} {number(value)}" for name, value in list(zip(names, mark.values, strict=False))[:12]
            )
            parts.append(f"{mark.label or 'bars'}: {shown}" + (", ..." if len(names) > 12 else ""))
        elif len(mark.y) and (mark.label or len(panel.marks) == 1):
            ends = f"from {number(mark.y[0])} at {number(mark.x[0])} to {number(mark.y[-1])} at {number(mark.x[-1])}"
            parts.append(f"{mark.label or panel.y.label}, {len(mark.y)} points, {ends}")
    axes = " over ".join(label for label in (panel.y.label, panel.x.label) if label)
    return f"{': '.join(text for text in (panel.title, axes) if text)}: {'; '.join(parts)}."
