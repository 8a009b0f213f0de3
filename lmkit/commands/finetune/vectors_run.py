"""One training run of a head on the mean of word vectors, which stay as they are."""

from collections.abc import Sequence
from typing import Any

from lmkit.commands.finetune.neural_run import Labelled, Task
from lmkit.commands.loading.provenance import checkpoint_bytes, origin
from lmkit.commands.options.finetuning import BAG, Examples
from lmkit.commands.options.neural_finetuning import NAMES
from lmkit.commands.options.standard import UNRECORDED, Run
from lmkit.errors import UsageError
from lmkit.io import outputs

L2 = 1.0


def tune_vectors(
    run: Run, space: Any, examples: Examples, task: Task, found: Labelled, held_out: Labelled | None,
    inputs: Sequence[dict[str, Any]],
) -> None:  # fmt: skip
    """Train a head to convergence on word vectors and write the checkpoint; `inputs` are for its origin."""
    wrong = sorted(run.given.intersection(NAMES))
    if wrong:
        raise UsageError(
            f"--{wrong[0].replace('_', '-')} is not for word vectors, which stay as they are under a linear head"
        )
    with outputs.open_output(examples.output, binary=True) as out:
        model = _trained(space, task, found)
        measured = {} if held_out is None else _measures(model, held_out)
        shown = ", ".join(f"{name} {value:.4f}" for name, value in measured.items() if value is not None)
        run.terminal.notice(
            f"word vectors: {len(found.inputs):,} examples, {model.head.outputs * (model.head.width + 1):,} parameters"
            + (f"; validation {shown}" if shown else "")
        )
        left_out = {*run.marked(UNRECORDED), *BAG, *NAMES}
        settings = {key: value for key, value in run.settings.items() if key not in left_out}
        about = {**origin(run.command, settings, inputs), "parent": space.digest}
        for piece in checkpoint_bytes(model, {**about, "trained": {"l2": L2, "validation": measured}}):
            out.write(piece)


def _trained(space: Any, task: Task, found: Labelled) -> Any:
    """The model: numbers of vectors are standardised for training, which the head undoes."""
    import numpy as np

    from lmkit.linear_models import ridge_regression, softmax_regression
    from lmkit.linear_models.linear_map import DenseMatrix
    from lmkit.word_vectors.text_heads import head_of, text_vectors, with_head

    x = text_vectors(space, found.inputs)
    middle, scale = x.mean(axis=0), np.maximum(x.std(axis=0), 1e-6)
    matrix = DenseMatrix((x - middle) / scale)
    head = head_of(task.kind, task.labels, space.centre.shape[1], task.sides)
    if task.kind == "classify":
        fitted = softmax_regression.fit(matrix, found.targets, len(task.labels), L2, costs=found.costs)
    else:
        fitted = ridge_regression.fit(matrix, found.targets, L2)
    weights = fitted.weights / scale
    biases = fitted.biases - weights @ middle
    if task.kind == "classify" and len(task.labels) == 2:  # the first label's logit is 0
        weights, biases = np.concatenate((0 * weights, weights)), np.concatenate((0 * biases, biases))
    return with_head(space, head, weights.astype(np.float32), biases.astype(np.float32))


def _measures(model: Any, found: Labelled) -> dict[str, float | None]:
    import numpy as np

    from lmkit.metrics import classification, regression

    if model.head.task == "regress":
        return regression.measured(np.array(found.gold, dtype=np.float64), model.predicted_values(found.inputs))
    chances = model.label_probabilities(found.inputs)
    guesses = [model.labels[number] for number in chances.argmax(axis=1).tolist()]
    measured = classification.values(classification.cells([str(label) for label in found.gold], guesses))
    return {name: measured[name] for name in ("accuracy", "macro_f1")}
