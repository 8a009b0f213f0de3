"""`lmkit eval classify`: predicted labels against right ones."""

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from lmkit.commands.options.evaluation import EvaluationOptions
from lmkit.commands.options.option_groups import Before, with_groups
from lmkit.commands.options.standard import Run
from lmkit.commands.records import predictions
from lmkit.commands.reports import metrics
from lmkit.errors import DataError, UsageError

PREDICTED = ("label", "prediction", "answer")
_WIDEST = 2000  # labels that a table of confusions may have
_SHOWN = 5  # undefined measures that are listed one by one


@with_groups()
def classify(
    run: Run,
    options: EvaluationOptions,
    positive: Annotated[
        str | None,
        typer.Option("--positive", metavar="LABEL", help="Precision, recall and F1 of this label too."),
        Before("against"),
    ] = None,
    confusion: Annotated[
        bool,
        typer.Option("--confusion", help="Print how often each label was taken for each; with --json as a key."),
        Before("resamples"),
    ] = False,
    classes: Annotated[
        bool, typer.Option("--classes", help="Print precision, recall and F1 of each label."), Before("resamples")
    ] = False,
) -> None:
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
    from lmkit.metrics import classification

    if options.bare and (confusion or classes):
        raise UsageError("-b prints a number, and --confusion and --classes print tables")
    if confusion and classes:
        raise UsageError("--confusion and --classes exclude each other", hint="--json has both")
    with metrics.open_report(run, "classify", options, options.inputs) as report:
        judged = predictions.read_judged(run, options, PREDICTED)
        right, *systems = ([item.value.strip() for item in items] for items in (judged.gold, *judged.systems))
        more = [] if positive is None else [positive]
        found = classification.cells(right, systems[0], more)
        both = classification.together(right, systems, more) if options.against is not None else []
        _warn_undefined(run, found)
        if confusion:
            _check_size(found)
        if (confusion or classes) and not options.json:
            metrics.show_table(run, report.out, *(_confusion(found) if confusion else _classes(found)))
            return
        measured = classification.compare(found, both, options.sampling, positive)
        report.show(
            measured, found.total, {"labels": found.size},
            counts={name: value for name, value in measured.values.items() if name not in classification.MEASURES},
            tables=_tables(found, confusion=confusion), more=_sign_test(both),
        )  # fmt: skip


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
        raise DataError(f"{found.size} labels, and a table of confusions shows {_WIDEST} at the most")


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
        run.terminal.notice(f"undefined, 0 instead: {what}")
    if len(undefined) > _SHOWN:
        run.terminal.notice(f"undefined, 0 instead: {len(undefined) - _SHOWN} more like these")
