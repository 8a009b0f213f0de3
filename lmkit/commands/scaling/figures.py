"""What `isoflop` and `fit` draw with --plot."""

from typing import TYPE_CHECKING, Annotated

import typer

from lmkit.commands.options.standard import UNRECORDED
from lmkit.io import plots, scaling_plots
from lmkit.io.plots import Points

if TYPE_CHECKING:
    from lmkit.scaling.frontier import Frontier
    from lmkit.scaling.isoflop import IsoFlop, Valley
    from lmkit.scaling.parametric import Law
    from lmkit.scaling.runs import Runs

Plot = Annotated[
    str | None,
    typer.Option("--plot", metavar="FILE", show_default=False, help="Draw the fit as FILE, a .png or .svg."),
    UNRECORDED,
]
STEPS = 60
BEYOND = 10.0
"""How far lines are drawn beyond the runs, in FLOPs."""


def check(plot: str | None) -> None:
    """Raises UsageError, MissingError or OutputError, before any work, where a figure can't be drawn."""
    if plot is not None:
        plots.check(plot)


def draw_isoflop(plot: str | None, runs: "Runs", found: "IsoFlop", tolerance: float) -> None:
    """Draw valleys and optima. Raises OutputError."""
    if plot is None:
        return
    flops = [valley.flops for valley in found.valleys]
    over = _spaced(min(flops), max(flops) * BEYOND)
    valleys = [
        _valley(runs.of(places), valley) for places, valley in zip(runs.budgets(tolerance), found.valleys, strict=True)
    ]
    law = found.frontier
    figure = scaling_plots.IsoFlopFigure(
        f"{len(flops)} budgets, {len(runs)} runs",
        valleys,
        Points(flops, [valley.parameters for valley in found.valleys]),
        Points(flops, [valley.tokens for valley in found.valleys]),
        Points(over, [law.size(value) for value in over]),
        Points(over, [law.data(value) for value in over]),
        f"parameters, exponent {law.size.exponent:.3f}",
        f"tokens, exponent {law.data.exponent:.3f}",
    )
    scaling_plots.write_isoflop(figure, plot)


def _valley(runs: "Runs", valley: "Valley") -> scaling_plots.ValleyFigure:
    import numpy as np

    ends = sorted((valley.smallest, valley.largest, valley.parameters))
    sizes = _spaced(ends[0], ends[-1])
    curve = valley.loss + valley.curvature * np.log(np.array(sizes) / valley.parameters) ** 2
    return scaling_plots.ValleyFigure(
        f"{valley.flops:.3g}",
        Points(runs.parameters.tolist(), runs.loss.tolist()),
        Points(sizes, curve.tolist()),
        (valley.parameters, valley.loss),
    )


def draw_law(plot: str | None, runs: "Runs", law: "Law") -> None:
    """Draw losses of runs, those of a parametric law, and those of its optima. Raises OutputError."""
    if plot is None:
        return
    compute = (6 * runs.parameters * runs.tokens).tolist()
    fitted = [law.loss(*run) for run in zip(runs.parameters.tolist(), runs.tokens.tolist(), strict=True)]
    over = _spaced(min(compute), max(compute) * BEYOND)
    best = [law.loss(*law.optimum(value)) for value in over]
    title = f"{len(runs)} runs: L = {law.E:.3g} + {law.A:.3g} / N^{law.alpha:.3g} + {law.B:.3g} / D^{law.beta:.3g}"
    figure = scaling_plots.FitFigure(
        title, Points(compute, runs.loss.tolist()), Points(compute, fitted), Points(over, best), "the law's optimum"
    )
    scaling_plots.write_fit(figure, plot)


def draw_frontier(plot: str | None, runs: "Runs", law: "Frontier") -> None:
    """Draw losses of runs and the power law of the optima. Raises OutputError."""
    if plot is None:
        return
    over = _spaced(float(runs.flops.min()), float(runs.flops.max()) * BEYOND)
    figure = scaling_plots.FitFigure(
        f"{len(runs)} runs",
        Points(runs.flops.tolist(), runs.loss.tolist()),
        Points([], []),
        Points(over, [law.loss(value) for value in over]),
        f"optima, exponent {law.loss.exponent:.3g}",
    )
    scaling_plots.write_fit(figure, plot)


def _spaced(low: float, high: float) -> list[float]:
    import numpy as np

    found: list[float] = np.geomspace(low, high, STEPS).tolist()
    return found
