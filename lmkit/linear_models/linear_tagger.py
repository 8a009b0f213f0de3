"""The linear tagger as a model: hashed features of words, and a linear-chain conditional random field over labels.

Such models are the baseline of neural taggers; the loss is convex. Lafferty et al. (2001).
N words, D features, K labels.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from lmkit.checkpoint import Checkpoint
from lmkit.errors import CheckpointError
from lmkit.label_chain import LabelChain
from lmkit.linear_models.word_features import features
from lmkit.protocols import F32, F64, I64, U32

KIND = "linear-tagger"
WORDS, BLOCK = 1 << 14, 1 << 12
"""How many words are labelled together, and how many are multiplied together."""


@dataclass(frozen=True)
class LinearTagger:
    """Labels of words; see `Tagger`.

    keys     of the features that count, sorted, (D,)
    weights  (D, K)
    """

    kind: ClassVar[str] = KIND

    labels: tuple[str, ...]
    keys: U32
    weights: F32
    chain: LabelChain
    digest: str = ""

    def word_labels(self, sentences: Sequence[Sequence[str]]) -> list[list[str]]:
        """See `Tagger.word_labels`."""
        found: list[list[str]] = []
        part: list[Sequence[str]] = []
        size = 0
        for sentence in sentences:
            part.append(sentence)
            size += len(sentence)
            if size >= WORDS:
                found += self._labels(part)
                part, size = [], 0
        return found + self._labels(part)

    def _labels(self, sentences: Sequence[Sequence[str]]) -> list[list[str]]:
        if not any(sentences):
            return [[] for _ in sentences]
        emissions: F64 = FeatureRows.of(features(sentences), self.keys).dot(self.weights).astype(np.float64)
        bounds = np.cumsum([len(sentence) for sentence in sentences])[:-1]
        return [[self.labels[label] for label in self.chain.best(own).tolist()] for own in np.split(emissions, bounds)]

    def to_checkpoint(self, origin: Mapping[str, Any]) -> Checkpoint:
        """The model as a file's content."""
        config = {"head": {"crf": True, "kind": "tag", "labels": list(self.labels)}}
        tensors = {
            "ends": self.chain.ends.astype(np.float32), "keys": self.keys,
            "starts": self.chain.starts.astype(np.float32),
            "transitions": self.chain.transitions.astype(np.float32), "weights": self.weights,
        }  # fmt: skip
        return Checkpoint(self.kind, config, tensors, origin=origin)

    @classmethod
    def from_checkpoint(cls, checkpoint: Checkpoint) -> "LinearTagger":
        """The model in a checkpoint. Raises CheckpointError."""
        head = checkpoint.config.get("head")
        labels: Any = head.get("labels") if isinstance(head, dict) else None
        if not isinstance(labels, list) or len(labels) < 2 or not all(isinstance(label, str) for label in labels):
            raise CheckpointError("damaged checkpoint: a tagger without labels")
        size = len(labels)
        keys = checkpoint.array("keys", "U32", (None,))
        weights = checkpoint.array("weights", "F32", (len(keys), size))
        shapes = {"transitions": (size, size), "starts": (size,), "ends": (size,)}
        chain = {name: checkpoint.array(name, "F32", shape).astype(np.float64) for name, shape in shapes.items()}
        return cls(tuple(labels), keys, weights, LabelChain(**chain), checkpoint.digest)


@dataclass(frozen=True)
class FeatureRows:
    """Words by the places of their F features among D known ones, (N, F); D: a feature that is not known.

    Products are sums over the features of a word, and over the words of a feature.
    """

    places: I64
    width: int
    """D."""

    @classmethod
    def of(cls, found: U32, keys: U32) -> "FeatureRows":
        """The features of words, (N, F), by their place among the keys, (D,), which are sorted."""
        places = np.searchsorted(keys, found)
        if len(keys):
            places[keys[np.minimum(places, len(keys) - 1)] != found] = len(keys)
        return cls(places, len(keys))

    def dot(self, weights: F32) -> F32:
        """The numbers of each word, (N, K), of weights (D, K)."""
        padded = np.concatenate((weights, np.zeros((1, weights.shape[1]), dtype=weights.dtype)))
        sums = np.zeros((len(self.places), weights.shape[1]), dtype=weights.dtype)
        for begin in range(0, len(sums), BLOCK):
            own = sums[begin : begin + BLOCK]
            for column in self.places[begin : begin + BLOCK].T:
                own += padded.take(column, axis=0)
        return sums

    def transposed_dot(self, vectors: F64) -> F64:
        """The numbers of each feature, (D, K), of vectors of words, (N, K)."""
        flat, times = self.places.ravel(), self.places.shape[1]
        sums = np.empty((self.width, vectors.shape[1]))
        for label, vector in enumerate(vectors.T):
            sums[:, label] = np.bincount(flat, np.repeat(vector, times), minlength=self.width + 1)[: self.width]
        return sums
