"""`lmkit scaling isoflop`: the best size for each compute budget."""

from typing import TYPE_CHECKING

from lmkit.commands.options.figures import Plot
from lmkit.commands.options.standard import Json, Level, Output, Resamples, Run, Seed
from lmkit.commands.scaling import figures
from lmkit.commands.scaling.constants import show_constants
from lmkit.commands.scaling.run_records import OnError, Outliers, RunsFile, Tolerance, read, without_outliers
from lmkit.io import outputs
from lmkit.io.records import Table

if TYPE_CHECKING:
    from lmkit.scaling.isoflop import IsoFlop, Valley


def isoflop(
    run: Run,
    file: RunsFile = None,
    tolerance: Tolerance = 0.05,
    on_error: OnError = "fail",
    outliers: Outliers = "refuse",
    resamples: Resamples = 1000,
    level: Level = 0.95,
    seed: Seed = 0,
    plot: Plot = None,
    json: Json = False,
    output: Output = None,
) -> None:
    """Find the best model size for each compute budget (IsoFLOP).

    Fits a parabola to the losses of the runs of each budget over the logarithm of their size. Its lowest point is
    the compute-optimal size, printed with the number of tokens and the loss there. Over budgets, power laws
    N = G F^a and D = H F^b are fitted in logarithms (Hoffmann et al. 2022, approach 2).

    Intervals are a residual bootstrap's, of noise in proportion to the loss. The parabola is an approximation: on
    exact data of a law L = E + A/N^0.34 + B/D^0.28, sizes within half a decade give sizes 1 % too large, and
    exact exponents.

    An optimum outside the swept sizes is extrapolated, with a warning.

    Examples:
      lmkit scaling isoflop runs.csv
      lmkit scaling isoflop --on-error skip --outliers drop runs.csv --json
      lmkit scaling isoflop runs.csv --plot valleys.png | lmkit scaling predict --flops 1e21
    """
    from lmkit.scaling import isoflop as analysis

    runs = without_outliers(run, read(run, file, on_error), tolerance, outliers)
    found = analysis.fit(runs, tolerance=tolerance, resamples=resamples, level=level, seed=seed)
    warn_of_extrapolation(run, found)
    figures.draw_isoflop(plot, runs, found, tolerance)
    with outputs.open_output(output) as out:
        columns = ("flops", "parameters", "tokens", "loss", "smallest", "largest", "inside")
        rows = [_row(valley) for valley in found.valleys]
        for row in rows:
            row["inside"] = row["inside"] if json else "yes" if row["inside"] else "no"
        Table(out, columns, as_json=json).rows(map(run.signed, rows))
        if not json:
            out.line("")
        show_constants(run, out, {}, found.frontier.constants, found.frontier.intervals, as_json=json)


def warn_of_extrapolation(run: Run, found: "IsoFlop") -> None:
    """Say of which budgets the optimum lies outside the swept sizes."""
    for valley in found.valleys:
        if not valley.inside:
            run.terminal.notice(
                f"budget {valley.flops:.4g}: the optimum, {valley.parameters:.4g} parameters, lies outside the swept "
                f"sizes, {valley.smallest:.4g} to {valley.largest:.4g}, extrapolated"
            )


def _row(valley: "Valley") -> dict[str, object]:
    return {
        "flops": valley.flops, "parameters": valley.parameters, "tokens": valley.tokens, "loss": valley.loss,
        "smallest": valley.smallest, "largest": valley.largest, "inside": valley.inside,
    }  # fmt: skip
