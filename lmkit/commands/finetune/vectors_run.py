"""Training runs over word vectors: of a head on their mean, and of vectors that train with their head."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from lmkit.commands.finetune.bag_run import BagRun
from lmkit.commands.finetune.neural_run import Labelled, Task, check_group
from lmkit.commands.loading import models as opening
from lmkit.commands.loading.provenance import checkpoint_bytes, origin
from lmkit.commands.options.finetuning import BAG, VECTORS, Bag, Examples
from lmkit.commands.options.neural_finetuning import NAMES, NeuralFinetuning
from lmkit.commands.options.standard import UNRECORDED, Run
from lmkit.errors import UsageError
from lmkit.io import outputs, streams

if TYPE_CHECKING:
    from lmkit.linear_models.ngram_vectors import VectorPlan
    from lmkit.linear_models.vector_training import WordVectors

L2 = 1.0
DEVIATION = 0.2
"""Of the numbers of vectors that begin to train."""
TRAINED = {"ngrams", "char_ngrams", "min_count", "hash_bits", "normalize", *VECTORS}
"""Options of vectors that train."""


def opened_vectors(run: Run, model: str | None, bag: Bag) -> Any | None:
    """The word vectors to train on, None for other models and without one. Raises UsageError for options of others."""
    space = None if model is None or model == streams.STDIN else opening.open_vectors(model)
    if space is None:
        check_group(run, model, BAG, [name for name in NAMES if not bag.dim or name not in VECTORS])
    if bag.dim and (wrong := sorted(run.given.intersection(("l2", "folds")))):
        raise UsageError(f"--{wrong[0]} is for n-grams without vectors: leave out --dim")
    return space


def bag_run(
    run: Run, examples: Examples, bag: Bag, options: NeuralFinetuning, space: Any | None, found: Labelled
) -> BagRun:
    """A run of a bag of n-grams, with vectors that begin as those of a space if there is one."""
    plan = None if space is None and not bag.dim else _plan(run, options, examples.seed)
    words = None if space is None else _word_vectors(space, bag, found)
    parent = "" if space is None else space.digest
    return BagRun(run, examples, bag, bag.settings, bag.normalization, plan, words, parent)


def _plan(run: Run, options: NeuralFinetuning, seed: int) -> "VectorPlan":
    """How vectors are trained: as the options say that were given. Raises UsageError."""
    from lmkit.linear_models.ngram_vectors import VectorPlan

    plan = VectorPlan(seed=seed)
    if "epochs" in run.given:
        if options.epochs != int(options.epochs):
            raise UsageError(f"--epochs {options.epochs:g}: vectors of n-grams train for whole epochs")
        plan = replace(plan, epochs=int(options.epochs))
    if "batch" in run.given:
        plan = replace(plan, batch=options.batch)
    return plan if options.lr is None else replace(plan, rate=options.lr)


def check_vectors(run: Run, options: NeuralFinetuning) -> bool:
    """Return whether word vectors train, and not their head alone. Raises UsageError for what they do not have."""
    if options.train not in ("all", "head"):
        raise UsageError(f"--train {options.train} is not for word vectors: `all`, or the `head` alone")
    trains = options.train == "all"
    wrong = sorted(run.given.intersection({*BAG, *NAMES} - {"train"} - (TRAINED if trains else set())))
    if wrong:
        raise UsageError(f"--{wrong[0].replace('_', '-')} is not for word vectors with --train {options.train}")
    return trains


def _word_vectors(space: Any, bag: Bag, found: Labelled) -> "WordVectors":
    """Words in the bag's normal form, and their vectors, centred and of DEVIATION; those made of n-grams too."""
    import numpy as np

    from lmkit.linear_models.vector_training import WordVectors

    ids, piece = space.words(), space.tokenizer.vocabulary.piece
    words, vectors = [piece(token) for token in ids.tolist()], space.vectors(ids)
    if space.ngrams is not None:
        texts = {word.encode(errors="replace") for texts in found.inputs for text in texts for word in text.split()}
        made = {word: vector for word in sorted(texts) if (vector := space.vector_of(word)) is not None}
        words, vectors = (
            [*words, *made],
            np.concatenate((vectors, np.array([*made.values()]).reshape(-1, vectors.shape[1]))),
        )
    vectors = vectors - vectors.mean(axis=0)
    vectors *= DEVIATION / max(float(np.sqrt((vectors**2).mean())), 1e-30)
    return WordVectors([bag.normalization.apply(word).decode(errors="replace") for word in words], vectors.astype("f4"))


def tune_vectors(
    run: Run, space: Any, examples: Examples, task: Task, found: Labelled, held_out: Labelled | None,
    inputs: Sequence[dict[str, Any]],
) -> None:  # fmt: skip
    """Train a head to convergence on word vectors and write the checkpoint; `inputs` are for its origin."""
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
