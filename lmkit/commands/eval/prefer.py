"""`lmkit eval prefer`: how often a model prefers the chosen answers."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lmkit.commands.options.evaluation import ComparisonOptions, Predictions
from lmkit.commands.options.option_groups import Before, with_groups
from lmkit.commands.options.standard import Run
from lmkit.commands.records.record_files import open_records
from lmkit.commands.reports import metrics
from lmkit.errors import DataError
from lmkit.io import streams, text_files

if TYPE_CHECKING:
    from lmkit.protocols import F64

POLICY = ("policy_chosen", "policy_rejected")
REFERENCE = ("reference_chosen", "reference_rejected")


@with_groups()
def prefer(
    run: Run,
    file: Predictions = streams.STDIN,
    *,
    beta: Annotated[
        float,
        typer.Option("--beta", metavar="B", min=1e-6, help="Scale of margins, where a record has no `beta`."),
        Before("against"),
    ] = 0.1,
    options: ComparisonOptions,
) -> None:
    """Measure how often a model prefers the chosen answers.

    Records have log-probabilities of whole answers: `policy_chosen`, `policy_rejected`, and `reference_chosen` and
    `reference_rejected` of the reference model, 0 where they are absent. `margin` is the mean of beta
    ((policy_chosen - reference_chosen) - (policy_rejected - reference_rejected)), `accuracy` the share of pairs
    whose margin is above 0; a margin of 0 counts as half. -b prints `accuracy`.

    Intervals are bootstrap percentiles; --against is as in `lmkit eval classify`.

    Examples:
      lmkit eval prefer scores.jsonl
      lmkit eval prefer --json scores.jsonl --against before.jsonl
    """
    from lmkit.metrics import comparison

    with metrics.open_report(run, "prefer", options, (file, options.against)) as report:
        systems = [_scores(run, name, beta) for name in (file, options.against) if name is not None]
        sizes = [len(one["accuracy"]) for one in systems]
        if len(set(sizes)) > 1:
            raise DataError(f"{streams.display(str(options.against))}: {sizes[1]} pairs, but the first has {sizes[0]}")
        found = comparison.of_means(systems, options.sampling)
        interval = metrics.ends(found.intervals["accuracy"])
        report.show(found, sizes[0], counts={"interval": interval})


def _scores(run: Run, name: str, beta: float) -> "Mapping[str, F64]":
    """The measures of each pair of a file. Raises DataError where there are none."""
    import numpy as np

    from lmkit.metrics import preference

    records = open_records(run, name, text_files.TextReader()).records("jsonl")
    rows = np.array([_row(record.fields or {}, record.place, beta) for record in records])
    if not len(rows):
        raise DataError(f"{streams.display(name)}: no pairs: the input is empty")
    margin = preference.margins(*rows.T)
    return {"accuracy": preference.agreements(margin), "margin": margin}


def _row(fields: Mapping[str, Any], place: str, beta: float) -> list[float]:
    """The four log-probabilities and beta. Raises DataError."""
    given = [name in fields for name in REFERENCE]
    if any(given) and not all(given):
        raise DataError(f"{place}: only one of {' and '.join(map(repr, REFERENCE))}")
    if missing := [name for name in POLICY if name not in fields]:
        raise DataError(f"{place}: no `{missing[0]}`", hint="expected the log-probability of each answer")
    row = [fields.get(name) for name in POLICY] + [fields.get(name, 0.0) for name in REFERENCE]
    for key, value in zip((*POLICY, *REFERENCE, "beta"), [*row, fields.get("beta", beta)], strict=True):
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise DataError(f"{place}: `{key}` is no finite number")
    return [float(value) for value in [*row, fields.get("beta", beta)] if value is not None]
