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
    from lmkit.linear_models.bag_training import Folds, Task
    from lmkit.linear_models.ngram_features import NgramSettings
    from lmkit.protocols import F64

Merit = Callable[["F64"], float]
Measures = Callable[[Any], Mapping[str, float | None]]


@dataclass(frozen=True)
class BagRun:
    """A run, from its options; `go` is all of it."""

    run: Run
    examples: Examples
    bag: Bag
    settings: "NgramSettings"
    normalization: Normalization

    def go(
        self, found: Sequence[LabelledText], task: "Task", held_out: Sequence[LabelledText] | None, outcome: str, *,
        merit: Merit, held_out_merit: Merit | None, measures: Measures | None,
    ) -> None:  # fmt: skip
        """Train on examples and write the checkpoint; `outcome` says what is learned, for people."""
        from lmkit.linear_models.bag_of_ngrams import BagReader
        from lmkit.linear_models.bag_training import BagTrainer, HeldOut

        sides = len(found[0].texts)
        if held_out is not None and len(held_out[0].texts) != sides:
            raise DataError(f"{held_out[0].place}: the validation examples have another number of texts")
        choosing: HeldOut | Folds | None = self._folds(found, merit) if self.bag.folds else None
        if held_out is not None and held_out_merit is not None and not self.bag.folds:
            choosing = HeldOut([example.texts for example in held_out], held_out_merit)
        trainer = BagTrainer(BagReader(self.normalization, sides), self.settings, self.bag.min_count)
        with outputs.open_output(self.examples.output, binary=True) as out:
            trained = trainer.train(
                [example.texts for example in found], task, self.bag.l2, choosing, self.run.terminal.stage
            )
            self.run.terminal.clear()
            measured = {} if measures is None else dict(measures(trained.model))
            size = len(trained.model.features.keys)
            shown = "".join(f", {name} {value:.4f}" for name, value in measured.items() if value is not None)
            self.run.terminal.notice(
                f"bag of n-grams: {len(found):,} examples, {outcome}, {size:,} n-grams; l2 {trained.l2:g}"
                + (f"; validation{shown[1:]}" if shown else "")
            )
            result = {"l2": trained.l2, "ngrams": size, "validation": measured}
            inputs = records(self.run, self.examples, found, held_out, self.run.settings["file"])
            settings = {key: value for key, value in self.run.settings.items() if key not in self._unrecorded()}
            for piece in checkpoint_bytes(
                trained.model, {**origin(self.run.command, settings, inputs), "trained": result}
            ):
                out.write(piece)

    def _unrecorded(self) -> set[str]:
        return self.run.marked(UNRECORDED)

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
