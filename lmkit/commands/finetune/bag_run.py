"""One training run of a bag of n-grams: features, weights, what is reported of both, the checkpoint."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from lmkit.commands.loading.provenance import checkpoint_bytes, file_record, origin
from lmkit.commands.options.finetuning import Bag, Examples
from lmkit.commands.options.standard import UNRECORDED, Run
from lmkit.commands.records.labelled import LabelledText
from lmkit.errors import DataError, UsageError
from lmkit.io import outputs
from lmkit.io.records import to_json
from lmkit.tokenization.normalization import Normalization

if TYPE_CHECKING:
    from lmkit.linear_models.bag_of_ngrams import BagOfNgrams, BagReader
    from lmkit.linear_models.bag_training import Folds, HeldOut, Task
    from lmkit.linear_models.ngram_features import NgramSettings, Texts
    from lmkit.linear_models.ngram_vectors import VectorPlan
    from lmkit.linear_models.vector_training import WordVectors
    from lmkit.protocols import F64

Merit = Callable[["F64"], float]
Measures = Callable[[Any], Mapping[str, float | None]]
Fitted = tuple["BagOfNgrams", str, dict[str, Any]]


@dataclass(frozen=True)
class BagRun:
    """A run, from its options; `go` is all of it. With a `plan` n-grams have vectors, which may begin as `words`."""

    run: Run
    examples: Examples
    bag: Bag
    settings: "NgramSettings"
    normalization: Normalization
    plan: "VectorPlan | None" = None
    words: "WordVectors | None" = None
    parent: str = ""

    def go(
        self, found: Sequence[LabelledText], task: "Task", held_out: Sequence[LabelledText] | None, outcome: str, *,
        merit: Merit, held_out_merit: Merit | None, measures: Measures | None,
    ) -> None:  # fmt: skip
        """Train on examples and write the checkpoint; `outcome` says what is learned, for people."""
        from lmkit.linear_models.bag_of_ngrams import BagReader
        from lmkit.linear_models.bag_training import HeldOut

        sides = len(found[0].texts)
        if held_out is not None and len(held_out[0].texts) != sides:
            raise DataError(f"{held_out[0].place}: the validation examples have another number of texts")
        choosing: HeldOut | None = None
        if held_out is not None and held_out_merit is not None and not self.bag.folds:
            choosing = HeldOut([example.texts for example in held_out], held_out_merit)
        reader, items = BagReader(self.normalization, sides), [example.texts for example in found]
        with outputs.open_output(self.examples.output, binary=True) as out:
            if self.plan is None:
                folds = self._folds(found, merit) if self.bag.folds else None
                model, how, result = self._weighted(reader, items, task, folds or choosing)
            else:
                model, how, result = self._with_vectors(reader, items, task, choosing, self.plan)
            self.run.terminal.clear()
            measured = {} if measures is None else dict(measures(model))
            size = len(model.features.keys)
            shown = "".join(f", {name} {value:.4f}" for name, value in measured.items() if value is not None)
            self.run.terminal.notice(
                f"bag of n-grams: {len(found):,} examples, {outcome}, {size:,} n-grams{how}"
                + (f"; validation{shown[1:]}" if shown else "")
            )
            inputs = records(self.run, self.examples, found, held_out, self.run.settings["file"])
            result = {**result, "ngrams": size, "validation": measured}
            for piece in checkpoint_bytes(model, {**self._origin(inputs), "trained": result}):
                out.write(piece)

    def _weighted(
        self, reader: "BagReader", items: "Texts", task: "Task", choosing: "HeldOut | Folds | None"
    ) -> "Fitted":
        """A model whose n-grams have weights, what a notice says of it, and what its checkpoint says."""
        from lmkit.linear_models.bag_training import BagTrainer

        trainer = BagTrainer(reader, self.settings, self.bag.minimum)
        trained = trainer.train(items, task, self.bag.l2, choosing, self.run.terminal.stage)
        return trained.model, f"; l2 {trained.l2:g}", {"l2": trained.l2}

    def _with_vectors(
        self, reader: "BagReader", items: "Texts", task: "Task", choosing: "HeldOut | None", plan: "VectorPlan"
    ) -> "Fitted":
        """The same of a model whose n-grams have vectors."""
        from lmkit.inference import blas_threads
        from lmkit.linear_models.vector_training import VectorTrainer

        size = self.bag.dim if self.words is None else int(self.words.vectors.shape[1])
        trainer = VectorTrainer(reader, self.settings, self.bag.min_count or 1, size, plan, self.words)
        with blas_threads.alone():
            trained = trainer.train(items, task, choosing, self.run.terminal.stage)
        return trained.model, f" with vectors of {size}; epoch {trained.epoch}", {"dim": size, "epoch": trained.epoch}

    def _origin(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        unrecorded = self.run.marked(UNRECORDED)
        settings = {key: value for key, value in self.run.settings.items() if key not in unrecorded}
        if self.plan is not None:
            settings |= {"batch": self.plan.batch, "epochs": self.plan.epochs, "lr": self.plan.rate}
        made = origin(self.run.command, settings, inputs)
        return {**made, "parent": self.parent} if self.parent else made

    def _folds(self, found: Sequence[LabelledText], merit: Merit) -> "Folds":
        from lmkit.linear_models.bag_training import Folds, folds

        if self.bag.l2 is not None:
            raise UsageError("--folds chooses --l2: give one of both")
        if not 2 <= self.bag.folds <= len(found):
            raise UsageError(f"--folds {self.bag.folds}: expected 2 to {len(found)}, the number of examples")
        return Folds(folds([example.label for example in found], self.bag.folds, self.examples.seed), merit)


def records(
    run: Run, examples: Examples, found: Sequence[LabelledText], held_out: Sequence[LabelledText] | None, file: str
) -> list[dict[str, Any]]:
    """What the origin says of the examples to train on and to validate on."""
    inputs = [_record(found, file)]
    if held_out is not None:
        inputs.append(_record(held_out, examples.valid))
    return inputs


def _record(found: Sequence[LabelledText], name: str | None) -> dict[str, Any]:
    """What the origin says of examples: how many, the SHA-256 of their texts and labels, and the file as it is."""
    digest = sha256()
    for example in found:
        digest.update(to_json({"label": example.label, "texts": list(example.texts)}).encode() + b"\n")
    stored = {} if name is None else file_record(name)
    return {"examples": len(found), "sha256": digest.hexdigest(), **({"files": [stored]} if stored else {})}
