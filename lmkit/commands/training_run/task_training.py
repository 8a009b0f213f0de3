"""Recurrent classifiers and taggers from scratch: examples, a tokenizer of their texts, a run of fine-tuning."""

from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from lmkit.commands.finetune import classify as classification
from lmkit.commands.finetune import tag as tagging
from lmkit.commands.finetune.bag_run import records
from lmkit.commands.finetune.neural_run import Labelled, Task, train_weights
from lmkit.commands.loading import models as opening
from lmkit.commands.ngram.counting import make_learner
from lmkit.commands.options.finetuning import Examples
from lmkit.commands.options.neural_finetuning import NeuralFinetuning
from lmkit.commands.options.normalization import normalization_of
from lmkit.commands.options.standard import TOKENS, Run
from lmkit.commands.options.training import Training
from lmkit.errors import UsageError
from lmkit.io import outputs, streams

if TYPE_CHECKING:
    from lmkit.architectures.neural_model import LoadedModel

KEPT = (
    "tokens", "normalize", "punctuation", "max_vocab", "min_count", "valid", "steps", "batch", "accumulate", "lr",
    "weight_decay", "dropout", "label_smoothing", "patience", "seed", "threads", "device", "log", "resume", "restart",
    "save_every", "output",
)  # fmt: skip
"""The options of training that tasks other than language modelling have."""
RATE = 0.005
EPOCHS = 10.0


def train_task(run: Run, kind: str, files: Sequence[str], training: Training, settings: Callable[[int], Any]) -> None:
    """Train a classifier or a tagger, `kind`, whose body has such settings, and write the checkpoint."""
    own = {"tied", "bptt", *(field.name for field in fields(Training))}
    wrong = sorted(run.given.intersection(own).difference(KEPT))
    if wrong:
        raise UsageError(f"--{wrong[0].replace('_', '-')} is for --task lm")
    if len(files) > 1:
        raise UsageError(f"--task {kind} reads one file of examples, got {len(files)}")
    file = files[0] if files else streams.STDIN
    opening.check_single_stdin(file, training.valid)
    outputs.expect_output(training.output, binary=True)
    opening.needs_torch("models are trained")
    examples = Examples(valid=training.valid, seed=training.seed, output=training.output)
    read = _classifier if kind == "classify" else _tagger
    task, found, held_out, inputs = read(run, file, examples)
    body = _body(training, found, settings, seed=training.seed)
    steps = training.steps
    each = -(-len(found.inputs) // min(training.batch, len(found.inputs)))
    options = NeuralFinetuning(
        epochs=EPOCHS if steps is None else (steps - 0.5) / each, batch=training.batch, accumulate=training.accumulate,
        lr=training.lr if "lr" in run.given else RATE, weight_decay=training.weight_decay, dropout=training.dropout,
        label_smoothing=training.label_smoothing, patience=training.patience, log=training.log, resume=training.resume,
        restart=training.restart, save_every=training.save_every, device=training.device, threads=training.threads,
        pooling="mean",
    )  # fmt: skip
    train_weights(run, body, examples, options, task, found, held_out, inputs)


Read = tuple[Task, Labelled, Labelled | None, list[dict[str, Any]]]


def _classifier(run: Run, file: str, examples: Examples) -> Read:
    data = classification.read_labelled(run, file, examples, "none")
    task = Task("classify", data.names, len(data.found[0].texts), "accuracy")
    held_out = None if data.held_out is None else classification.labelled(data.held_out, data.held_out_labels)
    return task, classification.labelled(data.found, data.labels), held_out, records(
        run, examples, data.found, data.held_out, file
    )  # fmt: skip


def _tagger(run: Run, file: str, examples: Examples) -> Read:
    data = tagging.read_tagged(run, file, examples.valid, "keep")
    task = Task("tag", data.names, 1, tagging.measure_of(run, "f1", data.names))
    return task, data.found, data.held_out, data.inputs


def _body(training: Training, found: Labelled, settings: Callable[[int], Any], *, seed: int) -> "LoadedModel":
    """A model with its first weights, and the tokenizer that the texts teach."""
    import numpy as np

    from lmkit.architectures.neural_model import LoadedModel
    from lmkit.data.corpus import LearningTokenizer
    from lmkit.data.sequences import TextFormat
    from lmkit.nn import factory

    normalization = normalization_of(training.normalize, training.punctuation, training.tokens)
    learner = make_learner(training.tokens, None, normalization, numbered=False)
    tokenizer: Any = LearningTokenizer(learner) if training.tokens in TOKENS else learner.tokenizer()
    text = "".join(f"{' '.join(part.splitlines())}\n" for item in found.inputs for part in item)
    ids, _ = tokenizer.encode_block(text.encode(errors="replace"))
    tokenizer = learner.tokenizer()
    if training.max_vocab is not None or training.min_count > 1:
        counts = np.bincount(ids, minlength=tokenizer.size)
        limited = tokenizer.limited(counts, training.max_vocab, training.min_count)
        if limited is None:
            raise UsageError(f"--max-vocab and --min-count are not for {training.tokens}")
        tokenizer = limited[0]
    made = settings(tokenizer.size)
    network = factory.initialised(made, seed=seed)
    return LoadedModel(made, TextFormat.of("line", tokenizer), tokenizer, network.to_arrays())
