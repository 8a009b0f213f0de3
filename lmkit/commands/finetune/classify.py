"""`lmkit finetune classify`: a classifier of texts or pairs of texts."""

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from lmkit.commands.finetune.bag_run import BagRun
from lmkit.commands.loading import models as opening
from lmkit.commands.options.finetuning import LABEL_METRICS, Bag, ClassWeights, Examples, Train, select_by
from lmkit.commands.options.option_groups import with_groups
from lmkit.commands.options.standard import Run
from lmkit.commands.records.labelled import LabelledText, read_examples
from lmkit.errors import DataError
from lmkit.io import outputs, streams

if TYPE_CHECKING:
    from lmkit.protocols import I64

SelectBy = select_by(*LABEL_METRICS)


@with_groups()
def classify(
    run: Run,
    train: Train,
    *,
    examples: Examples,
    class_weights: ClassWeights = "none",
    select_by: SelectBy = "accuracy",  # type: ignore[valid-type]
    bag: Bag,
) -> None:
    """Train a classifier on labelled texts.

    The classifier is a bag of hashed n-grams of words and characters, weighted by TF-IDF, with softmax regression
    trained to convergence: seconds for ten thousand texts, and an honest baseline. Its numbers are those of
    scikit-learn's LogisticRegression.

    With --valid or --folds the regularisation strength is the best of 3, 1, .3, .1, .03 and .01 by --select-by.
    TSV has no quoting. `lmkit predict` runs the classifier. See lmkit-finetuning(7).

    Examples:
      lmkit finetune classify train.tsv --valid dev.tsv -o clf.lm
      lmkit finetune classify --char-ngrams 2-5 train.tsv -o clf.lm
      lmkit predict -m clf.lm < texts.txt | lmkit eval classify --gold gold.txt
    """
    opening.check_single_stdin(train, examples.valid)
    outputs.expect_output(examples.output, binary=True)
    settings, normalization = bag.settings, bag.normalization
    found = read_examples(run, train, examples.form)
    held_out = None if examples.valid is None else read_examples(run, examples.valid, examples.form)
    names = label_names(found, train)
    from lmkit.linear_models import bag_training

    labels = numbered(found, names)
    costs = bag_training.balanced(labels, len(names)) if class_weights == "balanced" else None
    task = bag_training.Classification(labels, names, costs)
    others = None if held_out is None else numbered(held_out, names)
    if held_out is not None and others is not None:
        warn_unseen(run, held_out, others)
    session = BagRun(run, examples, bag, settings, normalization)
    session.go(
        found, task, held_out, f"{len(names)} labels",
        merit=bag_training.label_merit(str(select_by), labels),
        held_out_merit=None if others is None else bag_training.label_merit(str(select_by), others),
        measures=None if others is None else lambda model: _measures(model, held_out or [], names, others),
    )  # fmt: skip


def label_names(found: Sequence[LabelledText], name: str) -> tuple[str, ...]:
    """The labels of examples, sorted. Raises DataError where there is only one."""
    names = tuple(sorted({example.label or "" for example in found}))
    if len(names) < 2:
        raise DataError(f"{streams.display(name)}: all labels are {names[0]!r}, expected two or more different ones")
    return names


def numbered(found: Sequence[LabelledText], names: Sequence[str]) -> "I64":
    """Return the labels as numbers of `names`, (N,); -1 for others."""
    import numpy as np

    numbers = {name: number for number, name in enumerate(names)}
    return np.array([numbers.get(example.label or "", -1) for example in found], dtype=np.int64)


def warn_unseen(run: Run, found: Sequence[LabelledText], labels: "I64") -> None:
    """Says which labels of validation examples no training example has."""
    unseen = Counter(example.label for example, label in zip(found, labels.tolist(), strict=True) if label < 0)
    if unseen:
        name, _ = unseen.most_common(1)[0]
        run.terminal.notice(
            f"{sum(unseen.values())} of {len(found)} validation examples have labels that training lacks, such as "
            f"{name!r}; they count as wrong"
        )


def _measures(model: Any, found: Sequence[LabelledText], names: Sequence[str], labels: "I64") -> dict[str, float]:
    """How well a classifier does on validation examples."""
    from lmkit.metrics import classification

    chances = model.label_probabilities([example.texts for example in found])
    predicted = [names[number] for number in chances.argmax(axis=1).tolist()]
    measured = classification.values(classification.cells([example.label or "" for example in found], predicted))
    return {name: measured[name] for name in ("accuracy", "macro_f1")}
