"""`lmkit eval classify`: predicted labels against gold labels."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lmkit.commands.options.evaluation import EvaluationOptions
from lmkit.commands.options.figures import Plot
from lmkit.commands.options.option_groups import Before, with_groups
from lmkit.commands.options.standard import Run
from lmkit.commands.records import predictions
from lmkit.commands.reports import metrics
from lmkit.errors import DataError, UsageError
from lmkit.io.records import write_rows

if TYPE_CHECKING:
    from lmkit.metrics.comparison import Comparison

PREDICTED = ("label", "prediction", "answer")
_WIDEST = 2000  # labels that a table of confusions may have
_DRAWN = 60  # and a picture of them
_SHOWN = 5  # undefined measures that are listed one by one


@with_groups()
def classify(
    run: Run,
    options: EvaluationOptions,
    positive: Annotated[
        str | None,
        typer.Option("--positive", metavar="LABEL", help="Report precision, recall and F1 of this label as well."),
        Before("against"),
    ] = None,
    confusion: Annotated[
        bool,
        typer.Option(
            "--confusion", help="Print the confusion matrix, gold labels in rows; with --json, add it as `confusion`."
        ),
        Before("resamples"),
    ] = False,
    calibration: Annotated[
        bool,
        typer.Option(
            "--calibration",
            help="Add the expected calibration error `ece` and the Brier score of the records' `scores`, label to "
            "probability; with --json, the bins as `reliability`.",
        ),
        Before("resamples"),
    ] = False,
    classes: Annotated[
        bool, typer.Option("--classes", help="Print precision, recall and F1 of each label."), Before("resamples")
    ] = False,
    plot: Plot = None,
) -> None:
    """Score predicted labels against gold labels.

    Predictions are records of `lmkit prompt answer` (`label`; and `gold`, unless --gold is given), or labels, one
    per line. White space around labels is ignored. Numbers equal scikit-learn's.

    `macro_f1` is the mean F1 of all labels that occur, gold or predicted; `micro_f1` equals `accuracy`;
    `matthews` is Matthews' correlation, R_K for more than two labels (Gorodkin 2004). 0 / 0 counts as 0, with a
    warning.

    Intervals are bootstrap percentiles. --against evaluates a second system on the same items (paired
    bootstrap, Koehn 2004): the `difference` with its interval and a two-sided `p`. For few items `p` has a
    lower bound. --plot draws the confusion matrix, with --calibration the reliability diagram. See
    lmkit-evaluation(7).

    Examples:
      lmkit eval classify --gold gold.txt predicted.txt
      lmkit prompt answer -m model.lm --labels pos,neg prompts.jsonl | lmkit eval classify --gold gold.txt
      lmkit eval classify --confusion answers.jsonl
      lmkit predict -m clf.lm --json dev.tsv | lmkit eval classify --calibration
      lmkit predict -m clf.lm --json dev.tsv | lmkit eval classify --calibration --plot reliability.svg
      lmkit eval classify answers.jsonl --against baseline.jsonl --json
    """
    from lmkit.metrics import classification

    if options.bare and (confusion or classes):
        raise UsageError("--bare cannot be combined with --confusion or --classes, which print tables")
    if confusion and classes:
        raise UsageError("--confusion and --classes exclude each other", hint="--json prints both")
    if calibration and options.against is not None:
        raise UsageError("--calibration is of one system and cannot be combined with --against")
    with metrics.open_report(run, "classify", options, options.inputs) as report:
        judged = predictions.read_judged(run, options, PREDICTED)
        right, *systems = ([item.value.strip() for item in items] for items in (judged.gold, *judged.systems))
        more = [] if positive is None else [positive]
        found = classification.cells(right, systems[0], more)
        both = classification.together(right, systems, more) if options.against is not None else []
        _warn_undefined(run, found)
        if confusion:
            _check_size(found)
        if plot is not None and not calibration:
            _draw_confusion(plot, found)
        if (confusion or classes) and not options.json:
            write_rows(report.out, *(_confusion(found) if confusion else _classes(found)))
            return
        measured = classification.compare(found, both, options.sampling, positive)
        reliability: dict[str, Any] = {}
        if calibration:
            measured, reliability = _calibrated(measured, judged.systems[0], right)
            _draw_reliability(plot, reliability["reliability"])
        report.show(
            measured, found.total, {"labels": found.size},
            counts={name: value for name, value in measured.values.items() if name not in classification.MEASURES},
            tables={**_tables(found, confusion=confusion), **reliability}, more=_sign_test(both),
        )  # fmt: skip


def _calibrated(
    measured: "Comparison", items: Sequence[predictions.Item], right: Sequence[str]
) -> tuple["Comparison", dict[str, Any]]:
    """Return the measures with those of calibration, without intervals, and the table of bins. Raises DataError."""
    import numpy as np

    from lmkit.metrics import calibration
    from lmkit.metrics.bootstrap import Interval

    labels = sorted({label for item in items for label in _scores(item)})
    chances = np.array([[_scores(item).get(label, 0.0) for label in labels] for item in items])
    wanted = np.array([[label == gold for label in labels] for gold in right])
    hits = wanted[np.arange(len(items)), chances.argmax(axis=1)]
    found = calibration.bins(chances.max(axis=1), hits)
    values = {"ece": calibration.expected_error(found), "brier": calibration.brier(chances, wanted)}
    more = {name: Interval(value, None, None) for name, value in values.items()}
    return replace(measured, intervals={**measured.intervals, **more}), {"reliability": [vars(one) for one in found]}


def _draw_confusion(plot: str, found: Any) -> None:
    """Draw the confusion matrix. Raises DataError where labels are too many for a picture."""
    from lmkit.io.figures import charts, files

    if found.size > _DRAWN:
        raise DataError(f"{found.size} labels are too many for a picture: expected at most {_DRAWN}")
    labels = [label[:40] for label in found.labels]
    title = f"confusion of {found.total:,} items"
    files.write(plot, charts.matrix(title, labels, labels, found.table.tolist(), x="predicted", y="gold", digits=0))


def _draw_reliability(plot: str | None, bins: Sequence[dict[str, Any]]) -> None:
    from lmkit.io.figures import charts, files

    columns = ([one[name] for one in bins] for name in ("confidence", "accuracy", "items"))
    files.write(plot, charts.reliability("reliability of predicted probabilities", *columns))


def _scores(item: predictions.Item) -> dict[str, float]:
    """The probabilities of an item's labels. Raises DataError where there are none."""
    scores = item.scores
    numbers = list(scores.values()) if isinstance(scores, dict) else [None]
    if not numbers or not all(isinstance(one, int | float) and 0 <= one <= 1 for one in numbers):
        raise DataError(
            f"{item.place}: no `scores` of probabilities", hint="`lmkit predict --json` prints label to probability"
        )
    found: dict[str, float] = scores
    return found


def _tables(found: Any, *, confusion: bool) -> dict[str, Any]:
    """Return the tables that --json has."""
    from lmkit.metrics import classification

    tables: dict[str, Any] = {"classes": [vars(one) for one in classification.classes(found)]}
    if confusion:
        tables["confusion"] = {"labels": list(found.labels), "table": found.table.tolist()}
    return tables


def _sign_test(both: Sequence[Any]) -> dict[str, Any]:
    """Return the exact test of two systems; nothing of one."""
    from lmkit.metrics import bootstrap, classification

    if not both:
        return {}
    better, worse = classification.alone_right(*both)
    return {"sign_test": {"only_first": better, "only_second": worse, "p": bootstrap.sign_test(better, worse)}}


def _check_size(found: Any) -> None:
    """Raises DataError where labels are too many for a table."""
    if found.size > _WIDEST:
        raise DataError(f"{found.size} labels are too many for a confusion matrix: expected at most {_WIDEST}")


def _confusion(found: Any) -> tuple[Sequence[str], list[tuple[Any, ...]]]:
    """Return the header and the rows: right labels down, predicted ones across."""
    rows = zip(found.labels, found.table.tolist(), strict=True)
    return ("gold", *found.labels), [(label, *row) for label, row in rows]


def _classes(found: Any) -> tuple[Sequence[str], list[tuple[Any, ...]]]:
    """Return the header and the rows of labels."""
    from lmkit.metrics import classification

    header = ("label", "precision", "recall", "f1", "support")
    return header, [tuple(vars(one).values()) for one in classification.classes(found)]


def _warn_undefined(run: Run, found: Any) -> None:
    """Say what is not defined, and counts as 0."""
    from lmkit.metrics import classification

    undefined = classification.undefined(found)
    for what in undefined[:_SHOWN]:
        run.terminal.notice(f"undefined, counted as 0: {what}")
    if len(undefined) > _SHOWN:
        run.terminal.notice(f"undefined, counted as 0: {len(undefined) - _SHOWN} more")
