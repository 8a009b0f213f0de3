"""One training run of a linear tagger: features, weights, what is reported of both, the checkpoint."""

from collections.abc import Mapping, Sequence
from typing import Any

from lmkit.commands.finetune.neural_run import Labelled, Task
from lmkit.commands.loading.provenance import checkpoint_bytes, origin
from lmkit.commands.options.finetuning import Examples
from lmkit.commands.options.neural_finetuning import NAMES
from lmkit.commands.options.standard import UNRECORDED, Run
from lmkit.errors import DataError
from lmkit.io import outputs


def train_linear(
    run: Run, examples: Examples, task: Task, found: Labelled, held_out: Labelled | None,
    inputs: Sequence[dict[str, Any]], *, l2: float, min_count: int,
) -> None:  # fmt: skip
    """Train a linear tagger and write the checkpoint; `inputs` are for its origin."""
    import numpy as np

    from lmkit.linear_models import tagger_training

    if not any(found.inputs):
        raise DataError("the sentences to train on have no words")
    with outputs.open_output(examples.output, binary=True) as out:
        labels = [np.array(own, dtype=np.int64) for own in found.targets]
        done = run.terminal.stage("training", tagger_training.ITERATIONS)
        model = tagger_training.train(
            found.inputs, labels, task.labels, l2=l2, minimum=min_count,
            done=lambda number: done(min(number, tagger_training.ITERATIONS)),
        )  # fmt: skip
        run.terminal.clear()
        measured = {} if held_out is None else measures(model, held_out)
        shown = ", ".join(f"{name} {value:.4f}" for name, value in measured.items())
        run.terminal.notice(
            f"linear tagger: {len(found.inputs):,} sentences, {len(task.labels)} labels, {len(model.keys):,} features; "
            f"l2 {l2:g}" + (f"; validation {shown}" if shown else "")
        )
        left_out = {*run.marked(UNRECORDED), *NAMES}
        settings = {key: value for key, value in run.settings.items() if key not in left_out}
        trained = {"features": len(model.keys), "validation": measured}
        for piece in checkpoint_bytes(model, {**origin(run.command, settings, inputs), "trained": trained}):
            out.write(piece)


def measures(model: Any, found: Labelled) -> Mapping[str, float]:
    """How well a tagger does on validation sentences: of spans, of labels of no scheme the accuracy alone."""
    from lmkit.metrics import span_extraction, tagging

    guesses = model.word_labels(found.inputs)
    gold = [list(labels) for labels in found.gold]
    if not span_extraction.is_scheme([label for labels in (*gold, model.labels) for label in labels]):
        pairs = [pair for labels, own in zip(gold, guesses, strict=True) for pair in zip(labels, own, strict=True)]
        return {"accuracy": sum(one == other for one, other in pairs) / max(1, len(pairs))}
    scheme = span_extraction.scheme_of([*gold, model.labels])
    return tagging.values(tagging.count(gold, guesses, lambda each: span_extraction.strict_spans(each, scheme)))
