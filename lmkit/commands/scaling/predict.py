"""`lmkit scaling predict`: size, data and loss for a compute budget."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from lmkit.commands.options.quantities import Factor, Flops, Parameters, TokenCount
from lmkit.commands.options.standard import Json, Output, Run, choice
from lmkit.commands.scaling.constants import read_constants
from lmkit.errors import DataError, UsageError
from lmkit.io import outputs, streams
from lmkit.io.records import Table

if TYPE_CHECKING:
    from lmkit.scaling.parametric import Law

FAR = 100.0
"""How many times the FLOPs of the runs a budget may have without a warning."""


def predict(
    run: Run,
    file: Annotated[
        str | None,
        typer.Argument(
            metavar="[FILE]", show_default=False,
            help="What `lmkit scaling fit` or `isoflop` printed, with --json in full precision. `-`, or no FILE, reads "
            "stdin.",
        ),
    ] = None,
    published: Annotated[
        str | None,
        typer.Option(
            "--published", metavar="NAME", callback=choice("hoffmann", "besiroglu"), show_default=False,
            help="Published constants instead of FILE: `hoffmann` (2022, of Chinchilla), or `besiroglu` (2024), the "
            "same runs fitted again.",
        ),
    ] = None,
    compute: Flops = None,
    parameters: Parameters = None,
    tokens: TokenCount = None,
    factor: Factor = 6.0,
    json: Json = False,
    output: Output = None,
) -> None:  # fmt: skip
    """Predict the compute-optimal size, data and loss for a budget.

    --flops alone gives the optimum. With a parametric law, two of --flops, --params and --tokens give the loss of
    that model, the third by F = 6 N D.

    Published constants are of models, data and tokens of their time; the two sets differ since the first was fitted
    less well. Their optimum for Chinchilla's own budget, 5.88e23, is not the 70e9 parameters that it has: Hoffmann's
    constants give 32e9, though the paper's other two methods give about 70e9.

    Examples:
      lmkit scaling predict --published hoffmann --flops 5.88e23
      lmkit scaling fit --json runs.csv | lmkit scaling predict --flops 1e21
      lmkit scaling predict law.json --params 70B --tokens 1.4T
    """
    given = sum(value is not None for value in (compute, parameters, tokens))
    if given == 0 or given == 3 or (given == 1 and compute is None):
        raise UsageError("expected --flops, or two of --flops, --params and --tokens")
    if file is not None and published is not None:
        raise UsageError("FILE and --published exclude each other")
    from lmkit.scaling import parametric

    if published is not None:
        law: Law | None = parametric.PUBLISHED[published]
        constants: Mapping[str, float] = {}
    else:
        constants, between = read_constants(file)
        law = _law(constants, streams.display(file or streams.STDIN))
        total = compute if compute is not None else factor * (parameters or 1) * (tokens or 1)
        if between and not between[0] / FAR <= total <= between[1] * FAR:
            run.terminal.notice(
                f"{total:.3g} FLOPs are far from those of the runs, {between[0]:.3g} to {between[1]:.3g}, extrapolated"
            )
    if law is not None:
        row = _of_law(law, compute, parameters, tokens, factor)
    elif given > 1:
        raise UsageError("power laws are of optima alone: give --flops", hint="`--method parametric` fits all sizes")
    else:
        row = _of_power_laws(constants, compute or 1)
    row["tokens_per_parameter"] = row["tokens"] / row["parameters"]
    with outputs.open_output(output) as out:
        Table(out, tuple(row), as_json=json).row(run.signed(row))


def _law(constants: Mapping[str, float], shown: str) -> "Law | None":
    """Return the parametric law, None where constants are those of power laws. Raises DataError for neither."""
    from lmkit.scaling.parametric import CONSTANTS, Law

    if all(name in constants for name in CONSTANTS):
        law = Law(*(constants[name] for name in CONSTANTS))
        if min(constants[name] for name in CONSTANTS[1:]) <= 0 or law.E < 0:
            raise DataError(f"{shown}: constants of a law are positive", hint="lmkit scaling fit writes them")
        return law
    if missing := [name for name in ("a", "b", "log_G", "log_H") if name not in constants]:
        raise DataError(f"{shown}: no constant {missing[0]!r}", hint="lmkit scaling fit writes them")
    return None


def _of_law(
    law: "Law", compute: float | None, parameters: float | None, tokens: float | None, factor: float
) -> dict[str, float]:
    try:
        if parameters is None and tokens is None:
            parameters, tokens = law.optimum(compute or 1, factor)
        elif parameters is None:
            parameters = (compute or 1) / factor / (tokens or 1)
        elif tokens is None:
            tokens = (compute or 1) / factor / parameters
        size, data = parameters or 1.0, tokens or 1.0
        return {"flops": factor * size * data, "parameters": size, "tokens": data, "loss": law.loss(size, data)}
    except OverflowError:
        raise DataError("the law gives numbers beyond 1e308", hint="check its constants") from None


def _of_power_laws(constants: Mapping[str, float], compute: float) -> dict[str, float]:
    def value(exponent: str, factor: str) -> float:
        return math.exp(constants[factor] + constants[exponent] * math.log(compute))

    try:
        row = {"flops": compute, "parameters": value("a", "log_G"), "tokens": value("b", "log_H")}
        return row | ({"loss": value("c", "log_K")} if "log_K" in constants and "c" in constants else {})
    except OverflowError:
        raise DataError("the law gives numbers beyond 1e308", hint="check its constants") from None
