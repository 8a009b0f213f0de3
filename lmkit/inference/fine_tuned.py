"""Fine-tuned models in numpy: the states of a body, pooled, through a linear head.

Items are run one by one, so that no number depends on which others there are, unless another backend runs the body.
N items, D width, K labels.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import replace
from functools import cached_property
from typing import Any, Self

import numpy as np

from lmkit.architectures.encoder_model import LoadedEncoder
from lmkit.architectures.families import NETWORKS, imported
from lmkit.architectures.fine_tuned import FineTunedWeights, item_format
from lmkit.architectures.heads import CLASSIFY, FIRST, MEAN, REGRESS
from lmkit.checkpoint import Checkpoint
from lmkit.data.item_sequences import ItemSequence
from lmkit.inference import functional
from lmkit.label_chain import LabelChain
from lmkit.protocols import F32, F64, Encoder

BATCH_TOKENS, ROWS = 1 << 12, 64
"""How many tokens another backend reads at once, about."""

_ACTIVATIONS: Mapping[str, Callable[[F32], F32]] = {
    "tanh": np.tanh, "relu": functional.relu, "gelu": functional.gelu_erf, "silu": functional.silu,
}  # fmt: skip


class FineTunedModel:
    """What all tasks share."""

    def __init__(self, weights: FineTunedWeights) -> None:
        self.weights, self.head, self.kind, self.digest = weights, weights.head, weights.kind, weights.digest
        self._format = item_format(weights.body, end_token=weights.head.end_token)
        self.body: Any = imported(NETWORKS[weights.kind].model)(weights.body)
        """The model under the head."""
        self._encoder: Encoder | None = None
        self.cut: Counter[int] = Counter()
        """How many texts were longer than a limit, and cut there; shared with copies on other backends."""

    def on(self, encoder: Encoder) -> Self:
        """The same model on another backend's encoder of the same weights, which reads items in batches."""
        made = copy(self)
        made._encoder = encoder
        return made

    def in_windows(self) -> Self:
        """The same model, which reads long texts in windows."""
        made = copy(self)
        made.head = replace(self.head, windows=True)
        return made

    def _mapped(self, items: Sequence[ItemSequence], reduce: Callable[[F32, ItemSequence], F32]) -> list[F32]:
        """What `reduce` makes of the states of each item: one by one, or in batches of like length by a backend."""
        if self._encoder is None:
            return [reduce(self._states(item), item) for item in items]
        found: list[F32] = [np.zeros(0, np.float32)] * len(items)
        order = sorted(range(len(items)), key=lambda place: len(items[place].ids))
        while order:
            size = max(1, BATCH_TOKENS // len(items[order[min(ROWS, len(order)) - 1]].ids))
            some, order = order[:size], order[size:]
            lengths = [len(items[place].ids) for place in some]
            ids, segments = (
                np.concatenate([getattr(items[place], name) for place in some]) for name in ("ids", "segments")
            )
            states = self._encoder.hidden_states(ids, segments, lengths)
            for place, own in zip(some, np.split(states, np.cumsum(lengths)[:-1]), strict=True):
                found[place] = reduce(own, items[place])
        return found

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
        return states if len(states) else self.body.hidden(self.body.start())[None]

    def _outputs(self, items: Sequence[tuple[str, ...]]) -> F64:
        """What the task makes of the numbers of the head, (N, K): of a long text's windows the mean."""
        several = [self._sequences(item) for item in items]
        flat = self._mapped([one for own in several for one in own], lambda own, _: self._pooled(own))
        found = self._answers(np.stack([self._headed(one) for one in flat]))
        ends = np.cumsum([len(own) for own in several])[:-1]
        return found if len(found) == len(items) else np.stack([own.mean(axis=0) for own in np.split(found, ends)])

    def _sequences(self, item: tuple[str, ...]) -> list[ItemSequence]:
        if self.head.windows:
            return self._format.item_windows(item)
        made = self._format.item(item)
        if made.lost and self._format.limit is not None:
            self.cut[self._format.limit] += 1
        return [made]

    def _answers(self, outputs: F64) -> F64:
        """The numbers of the head, (N, K), as they are."""
        return outputs

    def _headed(self, vectors: F32) -> F64:
        """W h + b of vectors, (..., D), after the dense layer where the head has one."""
        if self.head.dense:
            weight, bias = (self.weights.tensors[f"head.dense.{part}"] for part in ("weight", "bias"))
            vectors = _ACTIVATIONS[self.head.dense](vectors @ weight.T + bias)
        if self.head.norm_epsilon:
            weight, bias = (self.weights.tensors[f"head.norm.{part}"] for part in ("weight", "bias"))
            vectors = functional.layer_norm(vectors, weight, bias, self.head.norm_epsilon)
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
        return self._outputs(items)

    def _answers(self, outputs: F64) -> F64:
        """Probabilities, (N, K), of logits."""
        odds = np.exp(outputs - outputs.max(axis=1, keepdims=True))
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
        windows = [[one for one in self._format.word_windows(words) if len(one.words)] for words in sentences]
        states = iter(self._mapped([one for several in windows for one in several], self._of_words))
        return [self._labels([next(states) for _ in several]) for several in windows]

    def _of_words(self, states: F32, item: ItemSequence) -> F32:
        """The states of the words of a window, (W, D)."""
        before = 0 if isinstance(self.weights.body, LoadedEncoder) else item.start
        return states[item.words - before]

    def _labels(self, states: Sequence[F32]) -> list[str]:
        """The labels of a sentence, of the states of its words, in parts."""
        emissions = np.concatenate([np.zeros((0, self.head.outputs)), *map(self._headed, states)])
        found = self._chain.best(emissions) if self._chain is not None else emissions.argmax(axis=1)
        return [self.head.labels[number] for number in found.tolist()]

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
