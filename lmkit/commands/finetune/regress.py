"""`lmkit finetune regress`: a number for a text or a pair of texts."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from lmkit.commands.finetune.bag_run import records
from lmkit.commands.finetune.neural_run import Labelled, Task, fine_tune
from lmkit.commands.finetune.vectors_run import bag_run, check_vectors, opened_vectors, tune_vectors
from lmkit.commands.loading import models as opening
from lmkit.commands.options.finetuning import VALUE_METRICS, Bag, Examples, Train, Windows, sections, select_by
from lmkit.commands.options.neural_finetuning import Base, NeuralFinetuning
from lmkit.commands.options.option_groups import in_sections, with_groups
from lmkit.commands.options.standard import Run
from lmkit.commands.records.labelled import LabelledText, read_examples
from lmkit.errors import DataError
from lmkit.io import outputs, streams

if TYPE_CHECKING:
    from lmkit.protocols import F64

SelectBy = select_by(*VALUE_METRICS)


@in_sections(sections())
@with_groups()
def regress(
    run: Run,
    file: Train = streams.STDIN,
    model: Base = None,
    *,
    examples: Examples,
    select_by: SelectBy = "pearson",  # type: ignore[valid-type]
    bag: Bag,
    windows: Windows = False,
    neural: NeuralFinetuning,
) -> None:
    """Train a regressor on texts with numbers.

    Without -m it is ridge regression on a bag of hashed n-grams of words and characters, weighted by TF-IDF; its
    numbers are those of scikit-learn's Ridge, and --l2 multiplies the squared weights. With -m a head of one number
    is put on the model's states and trained on squared errors. The column of labels holds numbers. All else is as in
    `lmkit finetune classify`.

    Examples:
      lmkit finetune regress train.tsv --valid dev.tsv -o reg.lm
      lmkit finetune regress -m enc.lm train.tsv --valid dev.tsv -o reg.lm
      lmkit predict -m reg.lm < texts.txt | lmkit eval regress --gold gold.txt
    """
    opening.check_single_stdin(file, examples.valid)
    space = opened_vectors(run, model, bag)
    outputs.expect_output(examples.output, binary=True)
    found = read_examples(run, file, examples.form)
    held_out = None if examples.valid is None else read_examples(run, examples.valid, examples.form)
    values = numbers(found)
    others = None if held_out is None else numbers(held_out)
    if held_out is not None and len(held_out[0].texts) != len(found[0].texts):
        raise DataError(f"{held_out[0].place}: the validation examples have another number of texts")
    trains = space is not None and check_vectors(run, neural)
    if model is not None and not trains:
        task = Task(
            "regress", (), len(found[0].texts), str(select_by), float(values.mean()), float(values.std()) or 1.0,
            windows=windows,
        )  # fmt: skip
        right = None if held_out is None or others is None else _labelled(held_out, others)
        inputs, labelled = records(run, examples, found, held_out, file), _labelled(found, values)
        if space is not None:
            tune_vectors(run, space, examples, task, labelled, right, inputs)
            return
        fine_tune(run, model, examples, neural, task, labelled, right, inputs)
        return
    from lmkit.linear_models import bag_training

    session = bag_run(run, examples, bag, neural, space, _labelled(found, values))
    session.go(
        found, bag_training.Regression(values), held_out, f"values from {values.min():g} to {values.max():g}",
        merit=bag_training.value_merit(str(select_by), values),
        held_out_merit=None if others is None else bag_training.value_merit(str(select_by), others),
        measures=None if others is None else lambda model: _measures(model, held_out or [], others),
    )  # fmt: skip


def _labelled(found: Sequence[LabelledText], values: "F64") -> Labelled:
    return Labelled([one.texts for one in found], values, values.tolist())


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
