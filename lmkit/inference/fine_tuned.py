"""Fine-tuned models in numpy: the states of a body, pooled, through a linear head.

Items are run one by one, so that no number depends on which others there are. N items, D width, K labels.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from lmkit.architectures.encoder_model import LoadedEncoder
from lmkit.architectures.families import NETWORKS, imported
from lmkit.architectures.fine_tuned import FineTunedWeights, item_format
from lmkit.architectures.heads import CLASSIFY, FIRST, MEAN, REGRESS
from lmkit.checkpoint import Checkpoint
from lmkit.data.item_sequences import ItemSequence
from lmkit.inference import functional
from lmkit.label_chain import LabelChain
from lmkit.protocols import F32, F64

_ACTIVATIONS: Mapping[str, Callable[[F32], F32]] = {
    "tanh": np.tanh, "relu": functional.relu, "gelu": functional.gelu_erf,
}  # fmt: skip


class FineTunedModel:
    """What all tasks share."""

    def __init__(self, weights: FineTunedWeights) -> None:
        self.weights, self.head, self.kind, self.digest = weights, weights.head, weights.kind, weights.digest
        self._format = item_format(weights.body)
        self.body: Any = imported(NETWORKS[weights.kind].model)(weights.body)
        """The model under the head."""

    @property
    def sides(self) -> int:
        """How many texts an item has."""
        return self.head.sides

    @staticmethod
    def from_checkpoint(checkpoint: Checkpoint) -> "FineTunedModel":
        """The model in a checkpoint, of the class of its task. Raises CheckpointError."""
        return model_of(FineTunedWeights.from_checkpoint(checkpoint))

    def to_checkpoint(self, origin: Mapping[str, Any]) -> Checkpoint:
        """The model as a file's content."""
        return self.weights.to_checkpoint(origin)

    def _states(self, item: ItemSequence) -> F32:
        """The states of the tokens of an item, (N', D), but for a start token."""
        states: F32
        if isinstance(self.weights.body, LoadedEncoder):
            states = self.body.hidden_states(item.ids, item.segments, [len(item.ids)])
            return states
        states = self.body.vectors(item.ids[item.start :])
        return states

    def _outputs(self, items: Sequence[tuple[str, ...]]) -> F64:
        """The numbers of the head, (N, K)."""
        return np.stack([self._headed(self._pooled(self._states(self._format.item(item)))) for item in items])

    def _headed(self, vectors: F32) -> F64:
        """W h + b of vectors, (..., D), after the dense layer where the head has one."""
        if self.head.dense:
            weight, bias = (self.weights.tensors[f"head.dense.{part}"] for part in ("weight", "bias"))
            vectors = _ACTIVATIONS[self.head.dense](vectors @ weight.T + bias)
        weight, bias = (self.weights.tensors[name].astype(np.float64) for name in ("head.weight", "head.bias"))
        found: F64 = vectors.astype(np.float64) @ weight.T + bias
        return found

    def _pooled(self, states: F32) -> F32:
        pooled: F32
        if self.head.pooling == FIRST:
            body = self.weights.body
            pools = isinstance(body, LoadedEncoder) and body.settings.pooler
            pooled = (self.body.pooled(states[:1]) if pools else states)[0]
            return pooled
        pooled = states.mean(axis=0) if self.head.pooling == MEAN else states[-1]
        return pooled


class FineTunedClassifier(FineTunedModel):
    """Probabilities of labels."""

    @property
    def labels(self) -> Sequence[str]:
        """See `Classifier.labels`."""
        return self.head.labels

    def label_probabilities(self, items: Sequence[tuple[str, ...]]) -> F64:
        """See `Classifier.label_probabilities`."""
        logits = self._outputs(items)
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        found: F64 = odds / odds.sum(axis=1, keepdims=True)
        return found


class FineTunedRegressor(FineTunedModel):
    """A number."""

    def predicted_values(self, items: Sequence[tuple[str, ...]]) -> F64:
        """See `Regressor.predicted_values`."""
        found: F64 = self._outputs(items)[:, 0]
        return found


class FineTunedTagger(FineTunedModel):
    """A label for each word."""

    @property
    def labels(self) -> Sequence[str]:
        """See `Tagger.labels`."""
        return self.head.labels

    def word_labels(self, sentences: Sequence[Sequence[str]]) -> list[list[str]]:
        """See `Tagger.word_labels`."""
        return [self._labels(words) for words in sentences]

    def _labels(self, words: Sequence[str]) -> list[str]:
        emissions = np.concatenate([np.zeros((0, self.head.outputs)), *self._emissions(words)])
        found = self._chain.best(emissions) if self._chain is not None else emissions.argmax(axis=1)
        return [self.head.labels[number] for number in found.tolist()]

    def _emissions(self, words: Sequence[str]) -> Iterator[F64]:
        """The numbers of the head for each word, in parts."""
        for item in self._format.word_windows(words):
            before = 0 if isinstance(self.weights.body, LoadedEncoder) else item.start
            if len(item.words):
                yield self._headed(self._states(item)[item.words - before])

    @cached_property
    def _chain(self) -> LabelChain | None:
        """What a head with a conditional random field puts on the numbers of words."""
        if not self.head.crf:
            return None
        names = ("transitions", "starts", "ends")
        return LabelChain(*(self.weights.tensors[f"head.{name}"].astype(np.float64) for name in names))


_CLASSES = {CLASSIFY: FineTunedClassifier, REGRESS: FineTunedRegressor}


def model_of(weights: FineTunedWeights) -> FineTunedModel:
    """The model of weights, of the class of its task."""
    return _CLASSES.get(weights.head.task, FineTunedTagger)(weights)
