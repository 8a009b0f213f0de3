"""`lmkit eval regress`: predicted numbers against right ones."""

import math
from collections.abc import Iterable
from typing import Any

from lmkit.commands.loading import models as opening
from lmkit.commands.options.standard import (
    Against,
    Bare,
    Gold,
    GoldField,
    Json,
    Level,
    Output,
    PredictionField,
    Predictions,
    Resamples,
    Run,
    Seed,
)
from lmkit.commands.records import predictions
from lmkit.commands.reports import metrics
from lmkit.errors import DataError, UnmetError
from lmkit.io import streams
from lmkit.io.records import to_json

PREDICTED = ("prediction", "score", "label", "answer")


def regress(
    run: Run,
    file: Predictions = streams.STDIN,
    gold: Gold = None,
    field: PredictionField = None,
    gold_field: GoldField = None,
    against: Against = None,
    resamples: Resamples = 1000,
    level: Level = 0.95,
    seed: Seed = 0,
    json: Json = False,
    bare: Bare = False,
    output: Output = None,
) -> None:
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
    import numpy as np

    from lmkit.metrics import bootstrap, regression

    opening.check_single_stdin(file, gold, against)
    sampling = bootstrap.Sampling(seed, resamples, level)
    infinite = np.errstate(over="ignore", invalid="ignore")  # squares of numbers such as 1e308 are infinite
    with streams.open_output(output, inputs=[file, gold, against]) as out, infinite:
        fields = predictions.Fields(PREDICTED, field)
        items = predictions.read(run, file, fields)
        golds = predictions.gold_of(
            run, file, items, gold, predictions.Fields(predictions.GOLD, gold_field, "--gold-field")
        )
        right = _numbers((one.value for one in golds), [one.place for one in golds], "what is right, ")
        systems = [_numbers((item.value for item in items), [item.place for item in items])]
        if against is not None:
            others = predictions.aligned(items, predictions.read(run, against, fields), file, against)
            systems.append(_numbers((item.value for item in others), [item.place for item in others]))
        values = [regression.measured(right, system) for system in systems]
        if bare:
            if values[0]["pearson"] is None:
                raise UnmetError("pearson is undefined: the predictions or what is right do not vary")
            out.line(repr(values[0]["pearson"]))
            return
        _tell(run, values[0])
        ones = np.ones(len(right), dtype=np.int64)
        drawn = [bootstrap.gathered(regression.Sampled(right, system), ones, sampling) for system in systems]
        intervals = bootstrap.intervals(values[0], drawn[0], level)
        record: dict[str, Any] = {**values[0], "n": len(right), "intervals": metrics.bounds(intervals)}
        rows = metrics.rows(intervals)
        if against is not None:
            least = bootstrap.least_p(int((systems[0] != systems[1]).sum()))
            differences = bootstrap.differences((values[0], values[1]), (drawn[0], drawn[1]), level, least)
            record |= {"against": values[1], "differences": metrics.apart(differences)}
            rows = metrics.rows(intervals, values[1], differences)
        signature = metrics.signature("regress", sampling)
        if json:
            out.line(to_json({**record, "signature": signature}))
        else:
            metrics.show(run, out, rows, signature)


def _numbers(texts: Iterable[str], places: list[str], what: str = "") -> Any:
    """Finite numbers. Raises DataError naming the place of what is none."""
    import numpy as np

    found = np.empty(len(places))
    for number, (text, place) in enumerate(zip(texts, places, strict=True)):
        try:
            value = math.nan if "_" in text else float(text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            shown = text if len(text) <= 40 else text[:40] + "..."
            raise DataError(f"{place}: {what}{shown!r}{',' if what else ''} is not a finite number")
        found[number] = value
    return found


def _tell(run: Run, values: dict[str, float | None]) -> None:
    """Says what is not defined."""
    missing = [name for name, value in values.items() if value is None]
    if missing:
        run.terminal.notice(f"undefined, since predictions or what is right do not vary: {', '.join(missing)}")
