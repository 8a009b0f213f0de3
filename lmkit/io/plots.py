"""Figures as PNG or SVG files, drawn by matplotlib without a screen. Knows curves, not what they mean."""

import io
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from lmkit.errors import MissingError, OutputError, UsageError
from lmkit.io import outputs

INCHES = (8.0, 5.0)
FORMATS = ("png", "svg")
BLUE, PALE, ORANGE, GREY = "#1f5fa8", "#a9c6e8", "#d9600f", "#6b7280"
POINTS, LABEL = 7.0, (2.5, -2.5)
"""Size of a word on a map, and where it begins beside its place."""
CELL = 60.0
STYLE: Any = {
    "axes.edgecolor": GREY, "axes.spines.right": False, "axes.spines.top": False, "axes.titlelocation": "left",
    "axes.titlesize": 11, "figure.dpi": 100, "font.family": "DejaVu Sans", "font.size": 9, "grid.color": "#e5e7eb",
    "legend.frameon": False, "savefig.dpi": 150, "svg.hashsalt": "lmkit",
}  # fmt: skip


@dataclass(frozen=True)
class Points:
    """Places on both axes."""

    x: Sequence[float]
    y: Sequence[float]


@dataclass(frozen=True)
class TrainingFigure:
    """Losses over steps in nats a token; bits a byte of text are `bits_per_nat` times that, None: nothing is."""

    title: str
    loss: Points
    validation: Points
    rate: Points
    bits_per_nat: float | None


@dataclass(frozen=True)
class MapFigure:
    """Words on a plane; those at the places in `marked` stand out."""

    title: str
    words: Sequence[str]
    points: Points
    marked: frozenset[int]


def check(name: str) -> None:
    """Raises UsageError where a name says no format, MissingError without matplotlib, OutputError without a folder."""
    from importlib.util import find_spec

    if _format(name) not in FORMATS:
        raise UsageError(f"{name}: a figure is a .png or an .svg")
    if find_spec("matplotlib") is None:
        raise MissingError("figures are drawn with matplotlib", package="matplotlib")
    if not os.path.isdir(os.path.dirname(name) or "."):
        raise OutputError(f"{name}: there is no such folder")


def _format(name: str) -> str:
    return name.rpartition(".")[2].lower()


def write_training(figure: TrainingFigure, name: str) -> None:
    """Draws a training curve into a file; the same curve, the same bytes. Raises OutputError."""
    write_figure(name, lambda: _training(figure))


def write_map(figure: MapFigure, name: str) -> None:
    """Draws words on a plane into a file; the same map, the same bytes. Raises OutputError."""
    write_figure(name, lambda: _map(figure))


def write_figure(name: str, draw: Callable[[], Any]) -> None:
    """Draws a matplotlib figure, which `draw` makes in this module's style, into a file. Raises OutputError."""
    check(name)
    import matplotlib

    matplotlib.use("Agg")
    with matplotlib.rc_context(STYLE):
        data = _saved(draw(), _format(name))
    with outputs.open_output(name, binary=True) as out:
        out.write(data)


def _saved(drawn: Any, kind: str) -> bytes:
    buffer = io.BytesIO()
    drawn.savefig(buffer, format=kind, metadata={"Date": None} if kind == "svg" else {"Software": None})
    return buffer.getvalue()


def _training(figure: TrainingFigure) -> Any:
    from matplotlib.figure import Figure

    drawn = Figure(figsize=INCHES, layout="constrained")
    loss, rate = drawn.subplots(2, 1, sharex=True, height_ratios=(4, 1))
    loss.plot(figure.loss.x, figure.loss.y, color=PALE, linewidth=0.8, label="training, each step")
    loss.plot(figure.loss.x, averaged(figure.loss.y), color=BLUE, linewidth=1.6, label="training, average")
    if figure.validation.x:
        marks: dict[str, Any] = {"marker": "o", "markersize": 4, "linewidth": 1.0, "zorder": 3}
        loss.plot(figure.validation.x, figure.validation.y, color=ORANGE, label="validation", **marks)
    loss.set_title(figure.title)
    loss.set_ylabel("loss, nats a token")
    loss.grid(visible=True)
    loss.legend(loc="upper right")
    if figure.bits_per_nat is not None:
        _bits_axis(loss, figure.bits_per_nat)
    rate.plot(figure.rate.x, figure.rate.y, color=GREY, linewidth=1.0)
    rate.set_ylabel("learning rate")
    rate.set_ylim(bottom=0)
    rate.locator_params(axis="y", nbins=3)
    rate.set_xlabel("step")
    rate.xaxis.get_major_locator().set_params(integer=True)
    rate.margins(x=0.01)
    rate.grid(visible=True)
    return drawn


def _map(figure: MapFigure) -> Any:
    from matplotlib.figure import Figure

    drawn = Figure(figsize=(10.0, 10.0), layout="constrained")
    axes = drawn.subplots()
    x, y = figure.points.x, figure.points.y
    marks = [place in figure.marked for place in range(len(figure.words))]
    axes.scatter(x, y, s=[16 if mark else 5 for mark in marks], c=[ORANGE if mark else BLUE for mark in marks])
    axes.set_title(figure.title)
    axes.set_aspect("equal", adjustable="datalim")
    axes.spines[:].set_visible(False)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.margins(0.05)
    drawn.draw_without_rendering()  # now places are pixels
    places = axes.transData.transform(list(zip(x, y, strict=True))) * (72 / drawn.dpi)
    for place in unobstructed([(a, b) for a, b in places.tolist()], figure.words, figure.marked):
        color = ORANGE if marks[place] else "#111827"
        label: Any = {"xytext": LABEL, "textcoords": "offset points", "fontsize": POINTS, "color": color}
        axes.annotate(_plain(figure.words[place]), (x[place], y[place]), annotation_clip=False, **label)
    return drawn


def _plain(word: str) -> str:
    """A word that is not taken for a formula."""
    return word.replace("\\", "\\\\").replace("$", r"\$") if "$" in word else word


def unobstructed(
    places: Sequence[tuple[float, float]], words: Sequence[str], first: frozenset[int] = frozenset()
) -> list[int]:
    """Which words can be written right of their places, in points, without one lying on another; earlier ones win."""
    taken: dict[tuple[int, int], list[tuple[float, float, float]]] = {}
    kept = []
    for place in [*sorted(first), *(place for place in range(len(words)) if place not in first)]:
        x, y = places[place]
        width, height = 0.65 * POINTS * len(words[place]) + LABEL[0], 1.2 * POINTS
        rows, columns = int(y // height), range(int(x // CELL), int((x + width) // CELL) + 1)
        near = [
            other for row in (rows - 1, rows, rows + 1) for column in columns for other in taken.get((row, column), ())
        ]
        if any(abs(other[1] - y) < height and x < other[0] + other[2] and other[0] < x + width for other in near):
            continue
        kept.append(place)
        for column in columns:
            taken.setdefault((rows, column), []).append((x, y, width))
    return kept


def averaged(values: Sequence[float]) -> list[float]:
    """Means of each value and of as many before as after it: a thirtieth of all on either side, fewer at the ends."""
    sums = [0.0, *accumulate(values)]
    reach = [min(place, len(values) - 1 - place, len(values) // 30) for place in range(len(values))]
    return [(sums[i + r + 1] - sums[i - r]) / (2 * r + 1) for i, r in enumerate(reach)]


def _bits_axis(axes: Any, factor: float) -> None:
    """The same losses in bits a byte on the right."""
    right = axes.secondary_yaxis("right", functions=(lambda nats: nats * factor, lambda bits: bits / factor))
    right.set_ylabel("bits a byte")
    right.spines["right"].set_visible(True)
