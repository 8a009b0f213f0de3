"""The bag of n-grams as a model: a classifier or a regressor of texts, linear in TF-IDF.

Such models are strong baselines (Joulin et al. 2017); the weights are at the optimum of a convex loss, or the n-grams
have vectors that a linear head reads.
N items, D n-grams, K labels, R rows of weights.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from lmkit.checkpoint import Array, Checkpoint
from lmkit.errors import CheckpointError
from lmkit.linear_models.linear_map import LinearMap
from lmkit.linear_models.ngram_features import BITS, NgramSettings, Texts
from lmkit.linear_models.ngram_vectors import NgramVectors
from lmkit.linear_models.softmax_regression import log_probabilities
from lmkit.linear_models.tf_idf import TfIdf
from lmkit.protocols import F64
from lmkit.tokenization.normalization import Normalization

KIND = "bag-of-ngrams"
CLASSIFY, REGRESS = "classify", "regress"


@dataclass(frozen=True)
class BagReader:
    """How texts are read: their normal form, and how many there are in an item."""

    normalization: Normalization
    sides: int = 1

    def items(self, items: Texts) -> Texts:
        """Return the items with every text in normal form."""
        apply = self.normalization.apply
        return [tuple(apply(text.encode(errors="replace")).decode() for text in item) for item in items]


@dataclass(frozen=True)
class BagOfNgrams:
    """What both kinds share: how texts become vectors, and the map of these."""

    kind: ClassVar[str] = KIND
    head: ClassVar[str]

    reader: BagReader
    features: TfIdf
    map: LinearMap | NgramVectors
    digest: str = ""

    @property
    def sides(self) -> int:
        """How many texts an item has."""
        return self.reader.sides

    def rows(self, items: Texts) -> F64:
        """The numbers of the map for each item, (R, N)."""
        return self.map(self.features.vectors(self.reader.items(items)))

    def head_config(self) -> dict[str, Any]:
        """What a checkpoint says of the head."""
        return {"kind": self.head}

    def to_checkpoint(self, origin: Mapping[str, Any]) -> Checkpoint:
        """The model as a file's content."""
        config = {
            "features": self.features.settings.to_json(), "head": self.head_config(), "sides": self.sides,
            **self.reader.normalization.describe(),
        }  # fmt: skip
        tensors: dict[str, Array] = {
            **self.map.tensors(), "idf": self.features.idf, "keys": self.features.keys,
        }  # fmt: skip
        return Checkpoint(self.kind, config, tensors, origin=origin)

    @staticmethod
    def from_checkpoint(checkpoint: Checkpoint) -> "BagOfNgrams":
        """The model in a checkpoint, of the kind that its head says. Raises CheckpointError."""
        config = checkpoint.config
        head, features, sides = config.get("head"), config.get("features"), config.get("sides")
        if not isinstance(head, dict) or not isinstance(features, dict) or sides not in (1, 2):
            raise CheckpointError("damaged checkpoint: a bag of n-grams without head, features or sides")
        labels: Any = head.get("labels")
        is_classifier = head.get("kind") == CLASSIFY
        if not is_classifier and head.get("kind") != REGRESS:
            raise CheckpointError("damaged checkpoint: a head of an unknown kind", hint="or update lmkit")
        if is_classifier and not _are_labels(labels):
            raise CheckpointError("damaged checkpoint: a classifier without labels")
        rows = len(labels) if is_classifier and len(labels) > 2 else 1
        keys = checkpoint.array("keys", "U32", (None,))
        found = TfIdf(_settings(features), keys, checkpoint.array("idf", "F32", (len(keys),)))
        linear = _map(checkpoint, rows, len(keys))
        reader = BagReader(Normalization.from_description(config), sides)
        if is_classifier:
            return BagClassifier(reader, found, linear, checkpoint.digest, tuple(labels))
        return BagRegressor(reader, found, linear, checkpoint.digest)


def _map(checkpoint: Checkpoint, rows: int, width: int) -> LinearMap | NgramVectors:
    """The map of n-grams to numbers, through vectors where there are any. Raises CheckpointError."""
    biases = checkpoint.array("biases", "F32", (rows,))
    if "vectors" in checkpoint.tensors:
        vectors = checkpoint.array("vectors", "F32", (width, None))
        return NgramVectors(vectors, checkpoint.array("weights", "F32", (rows, vectors.shape[1])), biases)
    weights = checkpoint.array("weights", "F32", (rows, width)).astype(np.float64)
    return LinearMap(weights, biases.astype(np.float64))


def _are_labels(labels: object) -> bool:
    return isinstance(labels, list) and len(labels) > 1 and all(isinstance(label, str) for label in labels)


def _settings(values: Mapping[str, Any]) -> NgramSettings:
    """Settings out of a checkpoint. Raises CheckpointError where they are none."""
    words, characters, bits = (values.get(name) for name in ("words", "characters", "bits"))
    if not _are_orders(words) or not _are_orders(characters) or type(bits) is not int or not 1 <= bits <= BITS:
        raise CheckpointError("damaged checkpoint: a bag of n-grams with invalid features")
    return NgramSettings(tuple(words), tuple(characters), bits)  # type: ignore[arg-type]


def _are_orders(orders: object) -> bool:
    return (
        isinstance(orders, list) and len(orders) == 2 and all(type(order) is int for order in orders)
        and 0 <= orders[0] <= orders[1] < 100
    )  # fmt: skip


@dataclass(frozen=True)
class BagClassifier(BagOfNgrams):
    """Probabilities of labels."""

    head: ClassVar[str] = CLASSIFY

    labels: tuple[str, ...] = ()

    def head_config(self) -> dict[str, Any]:
        """See `BagOfNgrams.head_config`."""
        return {"kind": self.head, "labels": list(self.labels)}

    def label_probabilities(self, items: Sequence[tuple[str, ...]]) -> F64:
        """See `Classifier.label_probabilities`."""
        probabilities: F64 = np.exp(log_probabilities(self.rows(items))).T
        return probabilities


@dataclass(frozen=True)
class BagRegressor(BagOfNgrams):
    """A number."""

    head: ClassVar[str] = REGRESS

    def predicted_values(self, items: Sequence[tuple[str, ...]]) -> F64:
        """See `Regressor.predicted_values`."""
        values: F64 = self.rows(items)[0]
        return values
