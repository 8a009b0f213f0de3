"""Training of bags of n-grams: features, weights, and the strength of regularisation that does best on held-out items.

N items, K labels.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from lmkit.linear_models import ridge_regression, softmax_regression
from lmkit.linear_models.bag_of_ngrams import BagClassifier, BagOfNgrams, BagReader, BagRegressor
from lmkit.linear_models.linear_map import LinearMap
from lmkit.linear_models.ngram_features import NgramSettings, Texts
from lmkit.linear_models.ngram_vectors import NgramVectors
from lmkit.linear_models.softmax_regression import log_probabilities
from lmkit.linear_models.sparse_matrix import SparseMatrix
from lmkit.linear_models.tf_idf import TfIdf
from lmkit.protocols import F32, F64, I64, Bool, ProgressCallback, no_progress

GRID = (3.0, 1.0, 0.3, 0.1, 0.03, 0.01)
"""Strengths that are tried, the strongest first: each solution begins the next."""
L2 = 0.1


class Task(Protocol):
    """What is learned of N items."""

    def fit(self, x: SparseMatrix, l2: float, chosen: Bool | None, start: LinearMap | None) -> LinearMap:
        """Fit a map to all items, or to those `chosen`, whose vectors are `x`."""

    @property
    def rows(self) -> int:
        """R, how many rows of weights a map has."""

    def slopes(self, rows: F32, chosen: I64) -> F32:
        """See `ngram_vectors.Slopes`."""

    def unscaled(self, fitted: NgramVectors) -> NgramVectors:
        """The map of the task's own numbers, of one whose slopes are `slopes`."""

    def model(self, reader: BagReader, features: TfIdf, fitted: LinearMap | NgramVectors) -> BagOfNgrams:
        """The model of what was fitted."""


@dataclass(frozen=True)
class Classification:
    """Labels, (N,), as numbers of `names`; `costs` weigh items, (N,)."""

    labels: I64
    names: tuple[str, ...]
    costs: F64 | None = None

    def fit(self, x: SparseMatrix, l2: float, chosen: Bool | None, start: LinearMap | None) -> LinearMap:
        """See `Task.fit`."""
        chosen = np.ones(len(self.labels), dtype=np.bool_) if chosen is None else chosen
        return softmax_regression.fit(
            x,
            self.labels[chosen],
            len(self.names),
            l2,
            costs=None if self.costs is None else self.costs[chosen],
            start=start,
        )

    @property
    def rows(self) -> int:
        """See `Task.rows`."""
        return len(self.names) if len(self.names) > 2 else 1

    def slopes(self, rows: F32, chosen: I64) -> F32:
        """See `ngram_vectors.Slopes`: p(k) - 1 for the label, p(k) for others, times the cost."""
        chances = np.exp(log_probabilities(rows.astype(np.float64))).astype(np.float32)
        chances[self.labels[chosen], np.arange(len(chosen))] -= 1
        costs = 1 if self.costs is None else self.costs[chosen].astype(np.float32)
        return (chances * costs)[len(chances) - len(rows) :]

    def unscaled(self, fitted: NgramVectors) -> NgramVectors:
        """See `Task.unscaled`."""
        return fitted

    def model(self, reader: BagReader, features: TfIdf, fitted: LinearMap | NgramVectors) -> BagOfNgrams:
        """See `Task.model`."""
        return BagClassifier(reader, features, fitted, labels=self.names)


@dataclass(frozen=True)
class Regression:
    """Values, (N,)."""

    values: F64

    def fit(self, x: SparseMatrix, l2: float, chosen: Bool | None, start: LinearMap | None) -> LinearMap:
        """See `Task.fit`."""
        return ridge_regression.fit(x, self.values if chosen is None else self.values[chosen], l2)

    @property
    def rows(self) -> int:
        """See `Task.rows`."""
        return 1

    @property
    def _scale(self) -> float:
        return float(self.values.std()) or 1.0

    def slopes(self, rows: F32, chosen: I64) -> F32:
        """See `ngram_vectors.Slopes`: of half the squared errors of standardised values."""
        apart: F32 = rows - ((self.values[chosen] - self.values.mean()) / self._scale).astype(np.float32)
        return apart

    def unscaled(self, fitted: NgramVectors) -> NgramVectors:
        """See `Task.unscaled`."""
        return fitted.scaled(self._scale, float(self.values.mean()))

    def model(self, reader: BagReader, features: TfIdf, fitted: LinearMap | NgramVectors) -> BagOfNgrams:
        """See `Task.model`."""
        return BagRegressor(reader, features, fitted)


def balanced(labels: I64, size: int) -> F64:
    """Costs of items, (N,), that give each of K labels the same sum: N / (K count), as scikit-learn's `balanced`."""
    counts = np.bincount(labels, minlength=size)
    costs: F64 = (len(labels) / (size * np.maximum(counts, 1)))[labels]
    return costs


@dataclass(frozen=True)
class Trained:
    """A model, the strength it was trained with, and the merit of each strength that was tried."""

    model: BagOfNgrams
    l2: float
    merits: Mapping[float, float]


@dataclass(frozen=True)
class BagTrainer:
    """Trains on items, which are texts in the order of the task's labels or values."""

    reader: BagReader
    settings: NgramSettings
    minimum: int
    """How many items an n-gram must be in."""

    def train(
        self, items: Texts, task: Task, l2: float | None, held_out: "HeldOut | Folds | None",
        progress: ProgressCallback = no_progress,
    ) -> Trained:  # fmt: skip
        """Train with a strength, or with the one of GRID whose merit on what is held out is highest.

        Of equal ones the strongest wins.
        """
        texts = self.reader.items(items)
        features, x = TfIdf.fit(texts, self.settings, self.minimum, progress("counting n-grams", len(items)))
        if l2 is not None or held_out is None:
            strength = L2 if l2 is None else l2
            return Trained(task.model(self.reader, features, task.fit(x, strength, None, None)), strength, {})
        done, best = progress("choosing l2", len(GRID)), None
        merits: dict[float, float] = {}
        for number, (strength, fitted, merit) in enumerate(held_out.path(self, features, x, task), 1):
            if not merits or merit > max(merits.values()):
                best = strength, fitted
            merits[strength] = merit
            done(number)
        assert best is not None
        fitted = best[1] if best[1] is not None else task.fit(x, best[0], None, None)
        return Trained(task.model(self.reader, features, fitted), best[0], merits)


Path = Iterator[tuple[float, LinearMap | None, float]]
"""Strengths, maps of all items where there are any, merits."""


@dataclass(frozen=True)
class HeldOut:
    """Other items, and the merit of a map's numbers for them, (R, N)."""

    items: Texts
    merit: Callable[[F64], float]

    def path(self, trainer: BagTrainer, features: TfIdf, x: SparseMatrix, task: Task) -> Path:
        """Yield what each strength gives."""
        others = features.vectors(trainer.reader.items(self.items))
        fitted = None
        for strength in GRID:
            fitted = task.fit(x, strength, None, fitted)
            yield strength, fitted, self.merit(fitted(others))


@dataclass(frozen=True)
class Folds:
    """A part of each item, (N,), from 0; each part in turn is held out. n-grams and their idf are of all items."""

    parts: I64
    merit: Callable[[F64], float]
    """The merit of a map's numbers for all items, (R, N), each by the map that did not see it."""

    def path(self, trainer: BagTrainer, features: TfIdf, x: SparseMatrix, task: Task) -> Path:
        """Yield what each strength gives."""
        kept = [self.parts != part for part in range(int(self.parts.max()) + 1)]
        inside, outside = [x.take(chosen) for chosen in kept], [x.take(~chosen) for chosen in kept]
        fitted: list[LinearMap | None] = [None] * len(kept)
        for strength in GRID:
            rows = None
            for part, chosen in enumerate(kept):
                found = fitted[part] = task.fit(inside[part], strength, chosen, fitted[part])
                numbers = found(outside[part])
                rows = np.empty((len(numbers), x.height)) if rows is None else rows
                rows[:, ~chosen] = numbers
            assert rows is not None
            yield strength, None, self.merit(rows)


def folds(labels: Sequence[object], count: int, seed: int) -> I64:
    """Parts of items, (N,), at random, with as many items of each label in every part as can be."""
    generator = np.random.default_rng(seed)
    _, codes = np.unique(np.array(labels), return_inverse=True)
    order = generator.permutation(len(codes))
    order = order[np.argsort(codes[order], kind="stable")]
    parts = np.empty(len(codes), dtype=np.int64)
    parts[order] = np.arange(len(codes)) % count
    return parts


def label_merit(name: str, labels: I64) -> Callable[[F64], float]:
    """The merit `accuracy`, `macro_f1` or `loss` (less is better) of a map's numbers; a label of -1 is never right."""

    def merit(rows: F64) -> float:
        logs = log_probabilities(rows)
        if name == "loss":
            known = labels >= 0
            return float(logs[labels[known], np.flatnonzero(known)].mean()) if known.any() else 0.0
        predicted = logs.argmax(axis=0)
        if name == "accuracy":
            return float((predicted == labels).mean())
        scores = []
        for label in np.union1d(labels, predicted).tolist():
            right, guessed = labels == label, predicted == label
            scores.append(2 * float((right & guessed).sum()) / float(right.sum() + guessed.sum()))
        return float(np.mean(scores))

    return merit


def value_merit(name: str, values: F64) -> Callable[[F64], float]:
    """The merit `pearson` or `spearman`, or `mse` or `mae` (less is better), of a map's numbers."""
    from lmkit.correlation import pearson, spearman

    def merit(rows: F64) -> float:
        apart = rows[0] - values
        if name == "mse":
            return -float((apart * apart).mean())
        if name == "mae":
            return -float(np.abs(apart).mean())
        found = (pearson if name == "pearson" else spearman)(values, rows[0])
        return -1.0 if found is None else found

    return merit
