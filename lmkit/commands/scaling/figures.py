"""What `isoflop`, `fit` and `run` draw with --plot."""

from typing import TYPE_CHECKING

from lmkit.commands.options.standard import Run
from lmkit.commands.scaling.run_records import read
from lmkit.errors import DataError
from lmkit.io.figures import files, page, scaling_charts
from lmkit.io.figures.charts import Figure
from lmkit.io.figures.scaling_charts import Optima

if TYPE_CHECKING:
    from lmkit.scaling.frontier import Frontier
    from lmkit.scaling.isoflop import IsoFlop, Valley
    from lmkit.scaling.parametric import Law
    from lmkit.scaling.runs import Runs

STEPS = 60
TOLERANCE = 0.15
"""Share by which the FLOPs of runs of one budget of a sweep may differ: whole steps of training miss it."""
BEYOND = 10.0
"""How far lines are drawn beyond the runs, in FLOPs."""


def draw_isoflop(plot: str | None, runs: "Runs", found: "IsoFlop", tolerance: float) -> None:
    """Draw valleys and optima. Raises OutputError."""
    if plot is not None:
        files.write(plot, _isoflop(runs, found, tolerance))


def _isoflop(runs: "Runs", found: "IsoFlop", tolerance: float) -> Figure:
    flops = [valley.flops for valley in found.valleys]
    over = _spaced(min(flops), max(flops) * BEYOND)
    valleys = [
        _valley(runs.of(places), valley) for places, valley in zip(runs.budgets(tolerance), found.valleys, strict=True)
    ]
    law = found.frontier
    optima = [
        Optima(
            f"{what}, exponent {power.exponent:.3f}",
            (flops, [getattr(valley, what) for valley in found.valleys]),
            (over, [power(value) for value in over]),
        )
        for what, power in (("parameters", law.size), ("tokens", law.data))
    ]
    title = f"{len(flops)} budgets, {len(runs)} runs; the optimal parameters and tokens"
    return scaling_charts.isoflop(title, valleys, optima)


def draw_sweep(run: Run, plot: str | None, name: str | None) -> None:
    """Draw the runs of a file, and what can be fitted to them: on a page all figures, else the first.

    What cannot be fitted is said on stderr. Raises OutputError.
    """
    if plot is None:
        return
    from lmkit.scaling import isoflop, parametric

    runs, _ = read(run, name, "skip")
    by_budget = [
        (f"{float(runs.flops[places].max()):.3g} FLOPs", (runs.parameters[places].tolist(), runs.loss[places].tolist()))
        for places in runs.budgets(TOLERANCE)
    ]
    found = [scaling_charts.runs(f"{len(runs)} runs: losses of sizes, by budget", by_budget)]
    try:
        found.insert(
            0, _isoflop(runs, isoflop.fit(runs, tolerance=TOLERANCE, resamples=0, level=0.95, seed=0), TOLERANCE)
        )
    except DataError as error:
        run.terminal.notice(f"no valleys: {error}")
    try:
        found.append(_law(runs, parametric.fit(runs, resamples=0, level=0.95, seed=0).law))
    except DataError as error:
        run.terminal.notice(f"no parametric law: {error}")
    if files.format_of(plot) == "html":
        sections = map(page.figure_section, found)
        files.write_page(plot, page.page("Scaling laws", sections, heading=True).encode(errors="replace"))
    else:
        files.write(plot, found[0])


def _valley(runs: "Runs", valley: "Valley") -> scaling_charts.Valley:
    import numpy as np

    ends = sorted((valley.smallest, valley.largest, valley.parameters))
    sizes = _spaced(ends[0], ends[-1])
    curve = valley.loss + valley.curvature * np.log(np.array(sizes) / valley.parameters) ** 2
    return scaling_charts.Valley(
        f"{valley.flops:.3g}",
        (runs.parameters.tolist(), runs.loss.tolist()),
        (sizes, curve.tolist()),
        (valley.parameters, valley.loss),
    )


def draw_law(plot: str | None, runs: "Runs", law: "Law") -> None:
    """Draw losses of runs, those of a parametric law, and those of its optima. Raises OutputError."""
    if plot is not None:
        files.write(plot, _law(runs, law))


def _law(runs: "Runs", law: "Law") -> Figure:
    compute = (6 * runs.parameters * runs.tokens).tolist()
    fitted = [law.loss(*run) for run in zip(runs.parameters.tolist(), runs.tokens.tolist(), strict=True)]
    over = _spaced(min(compute), max(compute) * BEYOND)
    best = [law.loss(*law.optimum(value)) for value in over]
    title = f"{len(runs)} runs: L = {law.E:.3g} + {law.A:.3g} / N^{law.alpha:.3g} + {law.B:.3g} / D^{law.beta:.3g}"
    best_label = "the law's optimum"
    runs_at = (compute, runs.loss.tolist())
    return scaling_charts.fit(title, runs_at, (compute, fitted), (over, best), best_label)


def draw_frontier(plot: str | None, runs: "Runs", law: "Frontier") -> None:
    """Draw losses of runs and the power law of the optima. Raises OutputError."""
    if plot is None:
        return
    over = _spaced(float(runs.flops.min()), float(runs.flops.max()) * BEYOND)
    best = [law.loss(value) for value in over]
    label = f"optima, exponent {law.loss.exponent:.3g}"
    runs_at = (runs.flops.tolist(), runs.loss.tolist())
    files.write(plot, scaling_charts.fit(f"{len(runs)} runs", runs_at, ([], []), (over, best), label))


def _spaced(low: float, high: float) -> list[float]:
    import numpy as np

    found: list[float] = np.geomspace(low, high, STEPS).tolist()
    return found
