"""Figures of scaling laws: valleys of budgets, optima over compute, losses beside those of a law."""

from collections.abc import Sequence
from dataclasses import dataclass

from lmkit.io.figures.charts import Axis, Dots, Figure, Line, Mark, Panel
from lmkit.io.figures.style import SOLID
from lmkit.io.figures.training_curve import Points

VALLEY_LOOKS = 6
"""Colours that valleys take in turn; grey is not one."""


@dataclass(frozen=True)
class Valley:
    """The runs of one budget, the parabola through them, and its lowest point."""

    label: str
    runs: Points
    curve: Points
    optimum: tuple[float, float]


@dataclass(frozen=True)
class Optima:
    """Optimal sizes or tokens over compute, and the line of their power law."""

    label: str
    found: Points
    law: Points


def isoflop(title: str, valleys: Sequence[Valley], optima: Sequence[Optima]) -> Figure:
    """Valleys beside optima over compute."""
    left: list[Mark] = []
    for place, valley in enumerate(valleys):
        look = place % VALLEY_LOOKS
        left.append(Line("", *valley.curve, color=look))
        left.append(Dots(f"{valley.label} FLOPs", *valley.runs, color=look))
    optimal = [valley.optimum for valley in valleys]
    best = Dots("optimum", [size for size, _ in optimal], [loss for _, loss in optimal], color=SOLID)
    right: list[Mark] = []
    for look, curve in enumerate(optima):
        right.append(Line(curve.label, *curve.law, color=look))
        right.append(Dots("", *curve.found, color=look))
    return Figure(
        title,
        (
            Panel([*left, best], Axis("parameters", log=True), Axis("loss, nats a token")),
            Panel(right, Axis("FLOPs", log=True), Axis("parameters and tokens", log=True)),
        ),
        beside=True,
    )


def runs(title: str, budgets: Sequence[tuple[str, Points]]) -> Figure:
    """Losses of runs over their size, by budget."""
    marks = [Line(name, *at, points=True, color=place % VALLEY_LOOKS) for place, (name, at) in enumerate(budgets)]
    return Figure(title, (Panel(marks, Axis("parameters", log=True), Axis("loss, nats a token")),))


def fit(title: str, runs: Points, fitted: Points, frontier: Points, frontier_label: str) -> Figure:
    """Losses of runs over compute, and what a law says of them and of the optimum."""
    marks: list[Mark] = [Dots("runs", *runs, color=0)]
    if fitted[0]:
        marks.append(Dots("the law, at each run", *fitted, small=True, color=SOLID))
    marks.append(Line(frontier_label, *frontier, color=1))
    return Figure(title, (Panel(marks, Axis("FLOPs", log=True), Axis("loss, nats a token")),))
