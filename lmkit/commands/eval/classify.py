"""`lmkit eval classify`: predicted labels against right ones."""

import math
from typing import Annotated, Any

import typer

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
from lmkit.errors import DataError, UsageError
from lmkit.io import streams
from lmkit.io.records import to_json

PREDICTED = ("label", "prediction", "answer")
_WIDEST = 2000  # labels that a table of confusions may have
_TOLD = 5  # undefined measures that are told one by one


def classify(
    run: Run,
    file: Predictions = streams.STDIN,
    gold: Gold = None,
    field: PredictionField = None,
    gold_field: GoldField = None,
    positive: Annotated[
        str | None,
        typer.Option("--positive", metavar="LABEL", help="Precision, recall and F1 of this label too."),
    ] = None,
    against: Against = None,
    confusion: Annotated[
        bool, typer.Option("--confusion", help="Print how often each label was taken for each; with --json as a key.")
    ] = False,
    classes: Annotated[
        bool, typer.Option("--classes", help="Print precision, recall and F1 of each label.")
    ] = False,
    resamples: Resamples = 1000,
    level: Level = 0.95,
    seed: Seed = 0,
    json: Json = False,
    bare: Bare = False,
    output: Output = None,
) -> None:  # fmt: skip
    """Predicted labels against right ones.

    Predictions are records as `lmkit prompt answer` writes them, whose `label` is the
    prediction and whose `gold` is right unless --gold says what is; or labels, one a line.
    White space around labels does not count.

    `macro_f1` is the mean F1 of all labels that occur, right or predicted; `micro_f1`, of
    one label for each item, equals `accuracy`; `matthews` is Matthews' correlation, for
    more than two labels R_K (Gorodkin 2004). What is 0 / 0 counts 0, and stderr says so.
    The numbers are those of scikit-learn.

    Intervals are percentiles of the measures of resamples: as many items, drawn with
    replacement; those where a measure is not defined are left out, and if all are alike
    there is no interval. With --against the items are drawn with both predictions (Koehn
    2004): `difference` is the first's measure less the second's, `p`, two-sided, how often
    resamples moved to no difference are as far from 0. Of few items that is too small: `p`
    is never below what so many differing items can show at all, 2 / 2^items, nor, of
    accuracy and wherever fewer than 30 scores differ, below the exact sign test (McNemar),
    which is in --json too.

    Examples:
      lmkit eval classify --gold gold.txt predicted.txt
      lmkit prompt answer -m model.lm --labels pos,neg prompts.jsonl | lmkit eval classify --gold gold.txt
      lmkit eval classify --confusion answers.jsonl
      lmkit eval classify answers.jsonl --against baseline.jsonl --json
    """
    from lmkit.metrics import bootstrap, classification

    opening.check_single_stdin(file, gold, against)
    if bare and (confusion or classes):
        raise UsageError("-b prints a number, and --confusion and --classes print tables")
    if confusion and classes:
        raise UsageError("--confusion and --classes exclude each other", hint="--json has both")
    sampling = bootstrap.Sampling(seed, resamples, level)
    with streams.open_output(output, inputs=[file, gold, against]) as out:
        fields = predictions.Fields(PREDICTED, field)
        items = predictions.read(run, file, fields)
        golds = predictions.gold_of(
            run, file, items, gold, predictions.Fields(predictions.GOLD, gold_field, "--gold-field")
        )
        second = (
            None
            if against is None
            else predictions.aligned(items, predictions.read(run, against, fields), file, against)
        )
        right, predicted = [one.value.strip() for one in golds], [item.value.strip() for item in items]
        more = [] if positive is None else [positive]
        found = classification.cells(right, predicted, more)
        _tell(run, found)
        if bare:
            out.line(repr(classification.values(found)["accuracy"]))
            return
        measures = _Measured(found, positive, sampling)
        if second is not None:
            measures.compare(right, predicted, [item.value.strip() for item in second], more)
        signature = metrics.signature("classify", sampling, {"labels": found.size})
        if json:
            out.line(to_json(measures.record(signature, confusion=confusion)))
            return
        if confusion:
            _show_confusion(run, out, found)
        if classes:
            rows = [
                (one.label, one.precision, one.recall, one.f1, one.support) for one in classification.classes(found)
            ]
            metrics.show_table(run, out, ("label", "precision", "recall", "f1", "support"), rows)
        if not (confusion or classes):
            metrics.show(run, out, metrics.rows(measures.intervals, measures.others, measures.differences), signature)


class _Measured:
    """The measures of one system, and of a second one beside it."""

    def __init__(self, found: Any, positive: str | None, sampling: Any) -> None:
        from lmkit.metrics import bootstrap, classification

        self._found, self._positive, self._sampling = found, positive, sampling
        values = classification.values(found, positive)
        drawn = bootstrap.gathered(self._of(found), found.counts, sampling, width=found.size)
        self.intervals = bootstrap.intervals(values, drawn, sampling.level)
        self.others: dict[str, float] | None = None
        self.differences: dict[str, Any] | None = None

    def _of(self, found: Any) -> Any:
        from lmkit.metrics import classification

        return lambda counts: classification.measured(found, counts, self._positive, empty=math.nan)

    def compare(self, right: list[str], predicted: list[str], others: list[str], more: list[str]) -> None:
        """Adds a second system."""
        from lmkit.metrics import bootstrap, classification

        both = classification.together(right, [predicted, others], more)
        values = [classification.values(one, self._positive) for one in both]
        drawn = [bootstrap.gathered(self._of(one), one.counts, self._sampling, width=one.size) for one in both]
        self.others = values[1]
        level, least = self._sampling.level, bootstrap.least_p(classification.differing(*both))
        self.differences = bootstrap.differences((values[0], values[1]), (drawn[0], drawn[1]), level, least)
        better, worse = classification.alone_right(*both)
        exact = bootstrap.sign_test(better, worse)
        self._sign_test = {"only_first": better, "only_second": worse, "p": exact}
        for name in ("accuracy", "micro_f1"):  # which are the same, and of right and wrong
            found = self.differences[name]
            if found is not None and found.p is not None:
                self.differences[name] = found._replace(p=max(found.p, exact))

    def record(self, signature: str, *, confusion: bool) -> dict[str, Any]:
        """All of it as a record."""
        from lmkit.metrics import classification

        values = {name: one.value for name, one in self.intervals.items() if one is not None}
        main = {name: values.pop(name) for name in classification.MEASURES}
        record: dict[str, Any] = {**main, "n": self._found.total, **values}
        record["intervals"] = metrics.bounds(self.intervals)
        record["classes"] = [vars(one) for one in classification.classes(self._found)]
        if confusion:
            _check_size(self._found)
            record["confusion"] = {"labels": list(self._found.labels), "table": self._found.table.tolist()}
        if self.differences is not None:
            record |= {"against": self.others, "differences": metrics.apart(self.differences)}
            record["sign_test"] = self._sign_test
        return {**record, "signature": signature}


def _check_size(found: Any) -> None:
    """Raises DataError where labels are too many for a table."""
    if found.size > _WIDEST:
        raise DataError(f"{found.size} labels, and a table of confusions shows {_WIDEST} at the most")


def _show_confusion(run: Run, out: streams.Output, found: Any) -> None:
    """Right labels down, predicted ones across."""
    _check_size(found)
    rows = [(label, *row) for label, row in zip(found.labels, found.table.tolist(), strict=True)]
    metrics.show_table(run, out, ("gold", *found.labels), rows)


def _tell(run: Run, found: Any) -> None:
    """Says what is not defined, and counts as 0."""
    from lmkit.metrics import classification

    told = classification.undefined(found)
    for what in told[:_TOLD]:
        run.terminal.notice(f"undefined, 0 instead: {what}")
    if len(told) > _TOLD:
        run.terminal.notice(f"undefined, 0 instead: {len(told) - _TOLD} more like these")
