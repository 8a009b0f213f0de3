"""Figures of scaling laws, in the style of `plots`: valleys of budgets, optima over compute, losses beside a law's."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lmkit.io.plots import BLUE, GREY, ORANGE, Points, write_figure

BUDGETS = "viridis"
"""Colours that lightness alone orders."""


@dataclass(frozen=True)
class ValleyFigure:
    """The runs of one budget, the parabola through them, and its lowest point."""

    label: str
    runs: Points
    curve: Points
    optimum: tuple[float, float]


@dataclass(frozen=True)
class IsoFlopFigure:
    """Valleys, and optima over compute with the lines of their power laws."""

    title: str
    valleys: Sequence[ValleyFigure]
    sizes: Points
    tokens: Points
    size_law: Points
    token_law: Points
    size_label: str
    token_label: str


@dataclass(frozen=True)
class FitFigure:
    """Losses of runs over compute, and what a law says of them and of the optimum."""

    title: str
    runs: Points
    fitted: Points
    frontier: Points
    frontier_label: str


def write_isoflop(figure: IsoFlopFigure, name: str) -> None:
    """Draws an IsoFLOP analysis into a file; the same analysis, the same bytes. Raises OutputError."""
    write_figure(name, lambda: _isoflop(figure))


def write_fit(figure: FitFigure, name: str) -> None:
    """Draws a fitted law into a file; the same law, the same bytes. Raises OutputError."""
    write_figure(name, lambda: _fit(figure))


def _isoflop(figure: IsoFlopFigure) -> Any:
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    drawn = Figure(figsize=(10.0, 5.0), layout="constrained")
    left, right = drawn.subplots(1, 2)
    colors = colormaps[BUDGETS](
        [0.85 * place / max(1, len(figure.valleys) - 1) for place in range(len(figure.valleys))]
    )
    for valley, color in zip(figure.valleys, colors, strict=True):
        left.plot(valley.curve.x, valley.curve.y, color=color, linewidth=1.2)
        left.plot(valley.runs.x, valley.runs.y, "o", color=color, markersize=4, label=valley.label)
        left.plot(*valley.optimum, "*", color=ORANGE, markersize=9, markeredgecolor="white", markeredgewidth=0.5)
    left.set_xscale("log")
    left.set_xlabel("parameters")
    left.set_ylabel("loss, nats a token")
    left.set_title(figure.title)
    left.legend(title="FLOPs", loc="upper right", ncols=2)
    for points, law, label, color, mark in (
        (figure.sizes, figure.size_law, figure.size_label, BLUE, "o"),
        (figure.tokens, figure.token_law, figure.token_label, ORANGE, "s"),
    ):
        right.plot(law.x, law.y, color=color, linewidth=1.2, label=label)
        right.plot(points.x, points.y, mark, color=color, markersize=5)
    right.set_xscale("log")
    right.set_yscale("log")
    right.set_xlabel("FLOPs")
    right.set_title("optimal parameters and tokens")
    right.legend(loc="upper left")
    for axes in (left, right):
        axes.grid(visible=True)
    return drawn


def _fit(figure: FitFigure) -> Any:
    from matplotlib.figure import Figure

    drawn = Figure(figsize=(8.0, 5.0), layout="constrained")
    axes = drawn.subplots()
    axes.plot(figure.runs.x, figure.runs.y, "o", color=BLUE, markersize=5, label="runs")
    if figure.fitted.x:
        axes.plot(figure.fitted.x, figure.fitted.y, "_", color=GREY, markersize=10, label="the law, at each run")
    axes.plot(figure.frontier.x, figure.frontier.y, color=ORANGE, linewidth=1.6, label=figure.frontier_label)
    axes.set_xscale("log")
    axes.set_xlabel("FLOPs")
    axes.set_ylabel("loss, nats a token")
    axes.set_title(figure.title)
    axes.legend(loc="upper right")
    axes.grid(visible=True)
    return drawn
