"""`lmkit eval regress`: predicted numbers against right ones."""

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
    """Predicted numbers against right ones.

    `pearson` is Pearson's r, `spearman` that of the ranks, equal numbers sharing the mean of
    theirs; both are undefined where one side does not vary, which stderr says, and with -b status 1. `mse` and
    `mae` are the mean squared and absolute error. The numbers are those of scipy and
    scikit-learn; -b prints `pearson`. Intervals and --against are as in `lmkit eval
    classify`; resamples that do not vary are left out of a correlation's. Each resample is
    ranked, in time linear in the items: a million items take a minute, seconds with
    --resamples 20.

    Examples:
      lmkit eval regress --gold gold.txt predicted.txt
      lmkit eval regress --field score answers.jsonl --gold gold.tsv --gold-field 3
      lmkit eval regress answers.jsonl --against baseline.jsonl --json
    """
    from lmkit.metrics import regression

    with metrics.open_report(run, "regress", options, options.inputs) as report:
        judged = predictions.read_judged(run, options, PREDICTED)
        right = _numbers(judged.gold, "what is right, ")
        found = regression.compare(right, [_numbers(items) for items in judged.systems], options.sampling)
        if not options.bare:
            _warn_undefined(run, found.values)
        elif found.values["pearson"] is None:
            raise UnmetError("pearson is undefined: the predictions or what is right do not vary")
        report.show(found, len(right))


def _numbers(items: Sequence[predictions.Item], what: str = "") -> Any:
    """Return finite numbers, (N,). Raises DataError naming the place of what is none."""
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
            raise DataError(f"{item.place}: {what}{shown!r}{',' if what else ''} is not a finite number")
        found[number] = value
    return found


def _warn_undefined(run: Run, values: Mapping[str, float | None]) -> None:
    missing = [name for name, value in values.items() if value is None]
    if missing:
        run.terminal.notice(f"undefined, since predictions or what is right do not vary: {', '.join(missing)}")
