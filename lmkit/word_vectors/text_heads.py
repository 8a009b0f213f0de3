"""Word vectors as classifiers and regressors of texts: the mean of a text's vectors, through a linear head.

The vectors stay as they are: fastText's supervised mode (Joulin et al. 2017) with frozen embeddings.
N items, D numbers of a vector, K labels.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from lmkit.architectures.heads import CLASSIFY, MEAN, REGRESS, TaskHead
from lmkit.checkpoint import Checkpoint
from lmkit.errors import CheckpointError
from lmkit.protocols import F32, F64
from lmkit.tokenization.words import split
from lmkit.word_vectors.vector_space import VectorSpace

_WORD = re.compile(r"\w+")


KNOWN = 1 << 16
"""Words whose vectors are kept at hand, at most."""


def text_vectors(
    space: VectorSpace, items: Sequence[tuple[str, ...]], known: dict[bytes, list[F64]] | None = None
) -> F64:
    """The mean vector of each text, (N, sides D), texts of pairs side by side; zeros without a known word.

    `known` holds vectors of words that were met before.
    """
    known = {} if known is None else known
    return np.stack([np.concatenate([_mean(space, text, known) for text in item]) for item in items])


def _mean(space: VectorSpace, text: str, known: dict[bytes, list[F64]]) -> F64:
    """The mean vector of a text, (D,); `known` holds vectors of words that were met."""
    words = split(text.encode(errors="replace"))
    for word in set(words) - known.keys():
        known[word] = _vectors(space, word)
    found = [vector for word in words for vector in known[word]]
    mean: F64 = np.mean(found, axis=0) if found else np.zeros(space.centre.shape[1])
    return mean


def _vectors(space: VectorSpace, word: bytes) -> list[F64]:
    """The vector of a word, or else those of its runs of letters and digits, in lower case where they need it."""
    (token,) = space.find([word]).tolist()
    if token >= 0:
        return [space.vectors(np.array([token], dtype=np.int32))[0].astype(np.float64)]
    found = []
    for piece in _WORD.findall(word.decode(errors="replace")):
        own = space.vector_of(piece.encode())
        vector = space.vector_of(piece.lower().encode()) if own is None else own
        found += [] if vector is None else [vector]
    return found


class VectorsWithHead:
    """What both tasks share; a checkpoint is that of the vectors with a `head`."""

    kind = "w2v with a head"
    """What messages call it: no command that takes word vectors takes this."""

    def __init__(self, space: VectorSpace, head: TaskHead, weight: F32, bias: F32) -> None:
        """`weight` (K, sides D), `bias` (K,)."""
        self.space, self.head, self.digest = space, head, space.digest
        self._weight, self._bias = weight, bias
        self._known: dict[bytes, list[F64]] = {}

    @property
    def sides(self) -> int:
        """How many texts an item has."""
        return self.head.sides

    def outputs(self, items: Sequence[tuple[str, ...]]) -> F64:
        """W x + b of each item, (N, K)."""
        if len(self._known) > KNOWN:
            self._known.clear()
        found: F64 = text_vectors(self.space, items, self._known) @ self._weight.T.astype(np.float64) + self._bias
        return found

    def to_checkpoint(self, origin: Mapping[str, Any]) -> Checkpoint:
        """The model as a file's content."""
        content = self.space.to_checkpoint(origin)
        tensors = {**content.tensors, "head.weight": self._weight, "head.bias": self._bias}
        return replace(content, config={**content.config, "head": self.head.to_json()}, tensors=tensors)

    @staticmethod
    def from_checkpoint(checkpoint: Checkpoint) -> "VectorsWithHead":
        """The model in a checkpoint, of the class of its task. Raises CheckpointError."""
        head = TaskHead.from_json(checkpoint.config["head"])
        config = {name: value for name, value in checkpoint.config.items() if name != "head"}
        space = VectorSpace.from_checkpoint(replace(checkpoint, config=config))
        weight, bias = (checkpoint.array(name, "F32", shape) for name, shape in head.shapes().items())
        if head.width != head.sides * space.centre.shape[1] or head.task not in (CLASSIFY, REGRESS):
            raise CheckpointError("damaged checkpoint: a head that does not fit its word vectors")
        return with_head(space, head, weight, bias)


class VectorsClassifier(VectorsWithHead):
    """Probabilities of labels."""

    @property
    def labels(self) -> Sequence[str]:
        """See `Classifier.labels`."""
        return self.head.labels

    def label_probabilities(self, items: Sequence[tuple[str, ...]]) -> F64:
        """See `Classifier.label_probabilities`."""
        logits = self.outputs(items)
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        found: F64 = odds / odds.sum(axis=1, keepdims=True)
        return found


class VectorsRegressor(VectorsWithHead):
    """A number."""

    def predicted_values(self, items: Sequence[tuple[str, ...]]) -> F64:
        """See `Regressor.predicted_values`."""
        found: F64 = self.outputs(items)[:, 0]
        return found


def with_head(space: VectorSpace, head: TaskHead, weight: F32, bias: F32) -> VectorsWithHead:
    """The model of the class of a head's task."""
    return (VectorsClassifier if head.task == CLASSIFY else VectorsRegressor)(space, head, weight, bias)


def head_of(task: str, labels: Sequence[str], width: int, sides: int) -> TaskHead:
    """The head of a task on vectors of `sides` texts of `width` numbers each."""
    return TaskHead(task=task, width=sides * width, labels=tuple(labels), pooling=MEAN, sides=sides)
