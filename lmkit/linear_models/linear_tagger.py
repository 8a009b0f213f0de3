"""The linear tagger as a model: hashed features of words, and a linear-chain conditional random field over labels.

Such models are the baseline of neural taggers; the loss is convex. Lafferty et al. (2001).
N words, V kinds of words, D features, K labels.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, NamedTuple

import numpy as np

from lmkit.checkpoint import Checkpoint
from lmkit.errors import CheckpointError
from lmkit.label_chain import LabelChain
from lmkit.linear_models.word_features import FeatureGroup, feature_groups
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
        emissions: F64 = FeatureRows.of(feature_groups(sentences), self.keys).dot(self.weights).astype(np.float64)
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


class KnownGroup(NamedTuple):
    """A group of features by their places, (V, F'), D for one that is not known, and the kinds of words, (N,)."""

    places: I64
    kinds: I64


@dataclass(frozen=True)
class FeatureRows:
    """Words by the places of their features among D known ones.

    Products are sums over the features of a word, and over the words of a feature, and what words of one kind share is
    summed once.
    """

    groups: Sequence[KnownGroup]
    width: int
    """D."""

    @classmethod
    def of(cls, found: Sequence[FeatureGroup], keys: U32) -> "FeatureRows":
        """The features of words by their place among the keys, (D,), which are sorted."""
        groups = []
        for group in found:
            places = np.searchsorted(keys, group.keys)
            if len(keys):
                places[keys[np.minimum(places, len(keys) - 1)] != group.keys] = len(keys)
            groups.append(KnownGroup(places, group.kinds))
        return cls(groups, len(keys))

    def dot(self, weights: F32) -> F32:
        """The numbers of each word, (N, K), of weights (D, K)."""
        padded = np.concatenate((weights, np.zeros((1, weights.shape[1]), dtype=weights.dtype)))
        sums = np.zeros((len(self.groups[0].kinds), weights.shape[1]), dtype=weights.dtype)
        for group in self.groups:
            own = np.zeros((len(group.places), weights.shape[1]), dtype=weights.dtype)
            for column in group.places.T:
                own += padded.take(column, axis=0)
            for begin in range(0, len(sums), BLOCK):
                sums[begin : begin + BLOCK] += own.take(group.kinds[begin : begin + BLOCK], axis=0)
        return sums

    @cached_property
    def _kinds(self) -> I64:
        """The kind of each word in each group, those of one group behind another, (groups N,)."""
        begins = np.cumsum([0, *(len(group.places) for group in self.groups)])
        return np.concatenate([group.kinds + begin for group, begin in zip(self.groups, begins[:-1], strict=True)])

    @cached_property
    def _flat(self) -> I64:
        """The place of each feature of each kind, (Z,)."""
        return np.concatenate([group.places.ravel() for group in self.groups])

    @cached_property
    def _times(self) -> I64:
        """How many features each kind has."""
        return np.concatenate([np.full(len(group.places), group.places.shape[1]) for group in self.groups])

    def transposed_dot(self, vectors: F64) -> F64:
        """The numbers of each feature, (D, K), of vectors of words, (N, K)."""
        sums = np.empty((self.width, vectors.shape[1]))
        for label, vector in enumerate(vectors.T):
            shared = np.bincount(self._kinds, np.tile(vector, len(self.groups)), minlength=len(self._times))
            own = np.bincount(self._flat, np.repeat(shared, self._times), minlength=self.width + 1)
            sums[:, label] = own[: self.width]
        return sums
