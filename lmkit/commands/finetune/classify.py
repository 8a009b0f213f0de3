"""`lmkit finetune classify`: a classifier of texts or pairs of texts."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lmkit.commands.finetune.bag_run import BagRun, records
from lmkit.commands.finetune.neural_run import Labelled, Task, fine_tune
from lmkit.commands.finetune.vectors_run import bag_run, check_vectors, opened_vectors, tune_vectors
from lmkit.commands.loading import models as opening
from lmkit.commands.options.finetuning import (
    LABEL_METRICS,
    Bag,
    ClassWeights,
    Examples,
    Train,
    Windows,
    sections,
    select_by,
)
from lmkit.commands.options.neural_finetuning import Base, NeuralFinetuning
from lmkit.commands.options.option_groups import in_sections, with_groups
from lmkit.commands.options.standard import Run
from lmkit.commands.records.labelled import LabelledText, read_examples
from lmkit.errors import DataError
from lmkit.io import outputs, streams

if TYPE_CHECKING:
    from lmkit.protocols import I64

SelectBy = select_by(*LABEL_METRICS)


@in_sections(sections("class_weights"))
@with_groups()
def classify(
    run: Run,
    file: Train = streams.STDIN,
    model: Base = None,
    *,
    examples: Examples,
    class_weights: ClassWeights = "none",
    select_by: SelectBy = "accuracy",  # type: ignore[valid-type]
    bag: Bag,
    windows: Windows = False,
    neural: NeuralFinetuning,
) -> None:
    """Train a classifier on labelled texts.

    Without -m the classifier is a bag of hashed n-grams, weighted by TF-IDF, with softmax regression trained to
    convergence: seconds for ten thousand texts, and an honest baseline. Its numbers are those of scikit-learn's
    LogisticRegression. With --valid or --folds the regularisation strength is chosen by --select-by.

    With -m a head is put on the model's states and trained by AdamW; with --valid the weights of the best epoch by
    --select-by are kept. Word vectors are trained too, and with --train head they stay under a head that is trained
    to convergence on their mean. Without -m --dim trains vectors from scratch.

    Examples:
      lmkit finetune classify train.tsv --valid dev.tsv -o clf.lm
      lmkit finetune classify --char-ngrams 2-5 train.tsv -o clf.lm
      lmkit finetune classify -m gpt.lm --train lora --rank 8 train.tsv --valid dev.tsv -o adapter.lm
      lmkit predict -m clf.lm < texts.txt | lmkit eval classify --gold gold.txt
    """
    opening.check_single_stdin(file, examples.valid)
    space = opened_vectors(run, model, bag)
    outputs.expect_output(examples.output, binary=True)
    data = read_labelled(run, file, examples, class_weights)
    trains = space is not None and check_vectors(run, neural)
    if model is None or trains:
        found = labelled(data.found, data.labels)
        _train_bag(bag_run(run, examples, bag, neural, space if trains else None, found), data, str(select_by))
        return
    task = Task("classify", data.names, len(data.found[0].texts), str(select_by), windows=windows)
    inputs = records(run, examples, data.found, data.held_out, file)
    held_out = None if data.held_out is None else labelled(data.held_out, data.held_out_labels)
    own = labelled(data.found, data.labels, data.costs)
    if space is not None:
        tune_vectors(run, space, examples, task, own, held_out, inputs)
        return
    fine_tune(run, model, examples, neural, task, own, held_out, inputs)


def labelled(found: Sequence[LabelledText], labels: Any, costs: Any = None) -> Labelled:
    """Examples with the numbers of their labels."""
    return Labelled([one.texts for one in found], labels, [one.label for one in found], costs)


@dataclass(frozen=True)
class LabelledData:
    """Examples to train on and to validate on, and their labels as numbers of `names`."""

    found: list[LabelledText]
    names: tuple[str, ...]
    labels: "I64"
    costs: Any
    held_out: list[LabelledText] | None
    held_out_labels: Any


def read_labelled(run: Run, file: str, examples: Examples, class_weights: str) -> LabelledData:
    """Read examples, and those to validate on. Raises DataError for what makes no classifier."""
    from lmkit.linear_models.bag_training import balanced

    found = read_examples(run, file, examples.form)
    held_out = None if examples.valid is None else read_examples(run, examples.valid, examples.form)
    names = label_names(found, file)
    labels = numbered(found, names)
    others = None if held_out is None else numbered(held_out, names)
    if held_out is not None and others is not None:
        warn_unseen(run, held_out, others)
        if len(held_out[0].texts) != len(found[0].texts):
            raise DataError(f"{held_out[0].place}: the validation examples have another number of texts")
    return LabelledData(
        found, names, labels, balanced(labels, len(names)) if class_weights == "balanced" else None, held_out, others
    )


def _train_bag(session: BagRun, data: LabelledData, select_by: str) -> None:
    from lmkit.linear_models import bag_training

    others = data.held_out_labels
    session.go(
        data.found, bag_training.Classification(data.labels, data.names, data.costs), data.held_out,
        f"{len(data.names)} labels", merit=bag_training.label_merit(select_by, data.labels),
        held_out_merit=None if others is None else bag_training.label_merit(select_by, others),
        measures=None if others is None else lambda model: _measures(model, data.held_out or [], data.names),
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


def _measures(model: Any, found: Sequence[LabelledText], names: Sequence[str]) -> dict[str, float]:
    """How well a classifier does on validation examples."""
    from lmkit.metrics import classification

    chances = model.label_probabilities([example.texts for example in found])
    predicted = [names[number] for number in chances.argmax(axis=1).tolist()]
    measured = classification.values(classification.cells([example.label or "" for example in found], predicted))
    return {name: measured[name] for name in ("accuracy", "macro_f1")}
