"""`lmkit eval regress`: predicted numbers against gold numbers."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from lmkit.commands.options.evaluation import EvaluationOptions
from lmkit.commands.options.option_groups import with_groups
from lmkit.commands.options.standard import Run
from lmkit.commands.records import predictions
from lmkit.commands.reports import metrics
from lmkit.errors import DataError, UnmetError

PREDICTED = ("prediction", "score", "label", "answer")


@with_groups()
def regress(run: Run, options: EvaluationOptions) -> None:
    """Score predicted numbers against gold numbers.

    `pearson` is Pearson's r; `spearman` is that of the ranks, where equal numbers share their mean rank; `mse` and
    `mae` are the mean squared and mean absolute error. Numbers equal scipy's and scikit-learn's. -b prints
    `pearson`.

    A correlation is undefined if one side is constant, with a warning (with -b exit status 1); constant
    resamples are left out of its interval. Intervals and --against are as in `lmkit eval classify`. A million
    items take a minute, or seconds with --resamples 20.

    Examples:
      lmkit eval regress --gold gold.txt predicted.txt
      lmkit eval regress --field score answers.jsonl --gold gold.tsv --gold-field 3
      lmkit eval regress answers.jsonl --against baseline.jsonl --json
    """
    from lmkit.metrics import regression

    with metrics.open_report(run, "regress", options, options.inputs) as report:
        judged = predictions.read_judged(run, options, PREDICTED)
        right = _numbers(judged.gold, "gold value ")
        found = regression.compare(right, [_numbers(items) for items in judged.systems], options.sampling)
        if not options.bare:
            _warn_undefined(run, found.values)
        elif found.values["pearson"] is None:
            raise UnmetError("pearson is undefined: the predictions or the gold values are constant")
        report.show(found, len(right))


def _numbers(items: Sequence[predictions.Item], what: str = "") -> Any:
    """Return finite numbers, (N,). Raises DataError naming the place of anything else."""
    import numpy as np

    found = np.empty(len(items))
    for number, item in enumerate(items):
        text = item.value
        try:
            value = math.nan if "_" in text else float(text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            shown = text if len(text) <= 40 else text[:40] + "..."
            raise DataError(f"{item.place}: {what}{shown!r} is not a finite number")
        found[number] = value
    return found


def _warn_undefined(run: Run, values: Mapping[str, float | None]) -> None:
    missing = [name for name, value in values.items() if value is None]
    if missing:
        run.terminal.notice(f"{', '.join(missing)}: undefined, because the predictions or the gold values are constant")
