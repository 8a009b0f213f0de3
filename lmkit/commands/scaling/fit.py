"""`lmkit scaling fit`: the constants of scaling laws."""

from typing import TYPE_CHECKING, Annotated

import typer

from lmkit.commands.options.figures import Plot
from lmkit.commands.options.standard import Json, Level, Output, Resamples, Run, Seed, choice
from lmkit.commands.scaling import figures
from lmkit.commands.scaling.constants import show_constants
from lmkit.commands.scaling.isoflop import warn_of_extrapolation
from lmkit.commands.scaling.run_records import COLUMNS, OnError, Outliers, RunsFile, Tolerance, read, without_outliers
from lmkit.errors import DataError
from lmkit.io import outputs

if TYPE_CHECKING:
    from lmkit.scaling.frontier import Frontier
    from lmkit.scaling.parametric import Law
    from lmkit.scaling.runs import Runs


def fit(
    run: Run,
    file: RunsFile = None,
    method: Annotated[
        str,
        typer.Option(
            "--method", metavar="NAME", callback=choice("parametric", "power-law"),
            help="Law: `parametric`, the loss of any size and data; or `power-law`, the optimum of each budget.",
        ),
    ] = "parametric",
    tolerance: Tolerance = 0.05,
    on_error: OnError = "fail",
    outliers: Outliers = "refuse",
    resamples: Resamples = 1000,
    level: Level = 0.95,
    seed: Seed = 0,
    plot: Plot = None,
    json: Json = False,
    output: Output = None,
) -> None:  # fmt: skip
    """Fit scaling laws to runs, with bootstrap intervals.

    `parametric` fits L = E + A/N^alpha + B/D^beta to the losses of all runs (Hoffmann et al. 2022, approach 3): the
    sum of Huber losses of ln L, by L-BFGS from a hundred starts. Its optima grow as F^a and F^b. Columns parameters,
    tokens and loss are needed. Runs of one budget, or of one number of tokens per parameter, are refused.

    `power-law` fits lines in logarithms to the optimum of each budget: N = G F^a, D = H F^b and L = K F^c. Runs are
    optima if each budget has one, and swept sizes, as for `lmkit scaling isoflop`, otherwise.

    Examples:
      lmkit scaling fit runs.csv
      lmkit scaling fit --json runs.csv | lmkit scaling predict --flops 1e21
      lmkit scaling fit --method power-law --resamples 0 runs.csv
    """
    needed = COLUMNS if method == "power-law" else COLUMNS[1:]
    found = read(run, file, on_error, needed)
    parametric = method == "parametric"
    if parametric and any(found[0].flops != found[0].flops):  # no column of FLOPs
        outliers = "keep"
    runs = without_outliers(run, found, tolerance, outliers)
    with outputs.open_output(output) as out:
        if parametric:
            law = _parametric(run, out, runs, resamples, level, seed, json)
            figures.draw_law(plot, runs, law)
        else:
            optima = _frontier(run, runs, tolerance, resamples, level, seed)
            first = {"method": method, "runs": len(runs), "range": [float(runs.flops.min()), float(runs.flops.max())]}
            show_constants(run, out, first, optima.constants, optima.intervals, as_json=json)
            figures.draw_frontier(plot, runs, optima)


def _parametric(
    run: Run, out: outputs.Output, runs: "Runs", resamples: int, level: float, seed: int, json: bool
) -> "Law":
    from dataclasses import asdict

    from lmkit.scaling import parametric

    found = parametric.fit(runs, resamples=resamples, level=level, seed=seed)
    compute = 6 * runs.parameters * runs.tokens
    first = {
        "method": "parametric", "runs": len(runs), "range": [float(compute.min()), float(compute.max())],
        "deviation": found.deviation,
    }  # fmt: skip
    constants = {**asdict(found.law), "a": found.law.a, "b": found.law.b}
    show_constants(run, out, first, constants, found.intervals, as_json=json)
    return found.law


def _frontier(run: Run, runs: "Runs", tolerance: float, resamples: int, level: float, seed: int) -> "Frontier":
    from lmkit.scaling import frontier, isoflop

    budgets = runs.budgets(tolerance)
    if all(len(places) == 1 for places in budgets):
        if len(budgets) == 1:
            raise DataError("1 run cannot tell an exponent: expected at least 2 budgets", hint="add runs")
        return frontier.through_optima(runs, resamples=resamples, level=level, seed=seed)
    found = isoflop.fit(runs, tolerance=tolerance, resamples=resamples, level=level, seed=seed)
    warn_of_extrapolation(run, found)
    return found.frontier
