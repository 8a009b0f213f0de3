"""`lmkit finetune regress`: a number for a text or a pair of texts."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from lmkit.commands.finetune.bag_run import BagRun
from lmkit.commands.loading import models as opening
from lmkit.commands.options.finetuning import VALUE_METRICS, Bag, Examples, Train, select_by
from lmkit.commands.options.option_groups import with_groups
from lmkit.commands.options.standard import Run
from lmkit.commands.records.labelled import LabelledText, read_examples
from lmkit.errors import DataError
from lmkit.io import outputs

if TYPE_CHECKING:
    from lmkit.protocols import F64

SelectBy = select_by(*VALUE_METRICS)


@with_groups()
def regress(
    run: Run,
    train: Train,
    *,
    examples: Examples,
    select_by: SelectBy = "pearson",  # type: ignore[valid-type]
    bag: Bag,
) -> None:
    """Train a regressor on texts with numbers.

    Ridge regression on a bag of hashed n-grams of words and characters, weighted by TF-IDF; its numbers are those
    of scikit-learn's Ridge. The column of labels holds numbers. All else is as in `lmkit finetune classify`; --l2
    multiplies the squared weights.

    Examples:
      lmkit finetune regress train.tsv --valid dev.tsv -o reg.lm
      lmkit predict -m reg.lm < texts.txt | lmkit eval regress --gold gold.txt
    """
    opening.check_single_stdin(train, examples.valid)
    outputs.expect_output(examples.output, binary=True)
    settings, normalization = bag.settings, bag.normalization
    found = read_examples(run, train, examples.form)
    held_out = None if examples.valid is None else read_examples(run, examples.valid, examples.form)
    from lmkit.linear_models import bag_training

    values = numbers(found)
    others = None if held_out is None else numbers(held_out)
    session = BagRun(run, examples, bag, settings, normalization)
    session.go(
        found, bag_training.Regression(values), held_out, f"values from {values.min():g} to {values.max():g}",
        merit=bag_training.value_merit(str(select_by), values),
        held_out_merit=None if others is None else bag_training.value_merit(str(select_by), others),
        measures=None if others is None else lambda model: _measures(model, held_out or [], others),
    )  # fmt: skip


def numbers(found: Sequence[LabelledText]) -> "F64":
    """Return the labels as finite numbers, (N,). Raises DataError for anything else."""
    import numpy as np

    values = np.empty(len(found))
    for place, example in enumerate(found):
        text = example.label or ""
        try:
            value = math.nan if "_" in text else float(text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise DataError(f"{example.place}: {text[:40]!r} is not a finite number")
        values[place] = value
    return values


def _measures(model: Any, found: Sequence[LabelledText], values: "F64") -> dict[str, float | None]:
    from lmkit.metrics import regression

    return regression.measured(values, model.predicted_values([example.texts for example in found]))
