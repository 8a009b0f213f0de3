"""`lmkit eval prefer`: how often a model prefers the chosen answers."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lmkit.commands.finetune import answer_pairs
from lmkit.commands.options.answer_scoring import Beta, Reference
from lmkit.commands.options.chat_templates import ChatTemplateOptions
from lmkit.commands.options.evaluation import ComparisonOptions, Predictions
from lmkit.commands.options.option_groups import Before, with_groups
from lmkit.commands.options.standard import Run
from lmkit.commands.records.record_files import open_records
from lmkit.commands.reports import metrics
from lmkit.errors import DataError, UsageError
from lmkit.io import streams, text_files

if TYPE_CHECKING:
    from lmkit.protocols import F64

POLICY = ("policy_chosen", "policy_rejected")
REFERENCE = ("reference_chosen", "reference_rejected")


@with_groups(without=["values", "day"])
def prefer(
    run: Run,
    file: Predictions = streams.STDIN,
    *,
    model: Annotated[
        str | None,
        typer.Option(
            "--model", "-m", metavar="MODEL", show_default=False,
            help="Policy: the model whose preferences are measured. Records are then pairs of answers.",
        ),
        Before("against"),
    ] = None,
    reference: Annotated[Reference, Before("against")] = None,
    templates: ChatTemplateOptions,
    beta: Annotated[Beta, Before("against")] = 0.1,
    options: ComparisonOptions,
) -> None:  # fmt: skip
    """Measure how often a model prefers the chosen answers.

    With -m, records have a `prompt`, a `chosen` and a `rejected` answer, as for `lmkit finetune prefer`. Without,
    they have log-probabilities of whole answers: `policy_chosen`, `policy_rejected`, and `reference_chosen` and
    `reference_rejected`, 0 where they are absent. `margin` is the mean of beta ((policy_chosen - reference_chosen) -
    (policy_rejected - reference_rejected)); a record's `beta` replaces --beta. `accuracy` is the share of pairs whose
    margin is above 0; a margin of 0 counts as half. -b prints `accuracy`.

    Intervals are bootstrap percentiles; --against is as in `lmkit eval classify`, with -m of another policy.

    Examples:
      lmkit eval prefer -m dpo.lm --reference sft.lm pairs.jsonl
      lmkit eval prefer -m dpo.lm --against sft.lm pairs.jsonl
      lmkit eval prefer --json scores.jsonl --against before.jsonl
    """
    from lmkit.metrics import comparison

    if model is None and (reference is not None or templates.template is not None):
        raise UsageError(f"{'--reference' if reference is not None else '--template'} needs -m MODEL")
    inputs = (file, model, reference, options.against)
    with metrics.open_report(run, "prefer", options, inputs) as report:
        if model is None:
            systems = [_scores(run, name, beta) for name in (file, options.against) if name is not None]
        else:
            judged = answer_pairs.AnswerPairs(run, file, templates)
            policies = [name for name in (model, options.against) if name is not None]
            systems = [_measures(judged.scores(name, reference, beta)) for name in policies]
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
    return _measures(preference.margins(*rows.T))


def _measures(margin: "F64") -> "Mapping[str, F64]":
    from lmkit.metrics import preference

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
