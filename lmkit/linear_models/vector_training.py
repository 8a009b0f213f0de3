"""Training of bags of n-grams with vectors, random ones or vectors of words, to the best epoch on held-out items.

D n-grams, H numbers of a vector.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from lmkit.linear_models.bag_of_ngrams import BagOfNgrams, BagReader
from lmkit.linear_models.bag_training import HeldOut, Task
from lmkit.linear_models.ngram_features import NgramSettings, Texts, word_keys
from lmkit.linear_models.ngram_vectors import VectorPlan, epochs, random_vectors
from lmkit.linear_models.tf_idf import TfIdf
from lmkit.protocols import F32, ProgressCallback, no_progress


class WordVectors(NamedTuple):
    """Words in normal form, the most frequent first, and the vector of each, (words, H)."""

    words: list[str]
    vectors: F32


class TrainedVectors(NamedTuple):
    """A model, and the number of the epoch that it is of."""

    model: BagOfNgrams
    epoch: int


@dataclass(frozen=True)
class VectorTrainer:
    """Trains vectors of H = `size` numbers for n-grams that are in `minimum` items; see `bag_training.BagTrainer`."""

    reader: BagReader
    settings: NgramSettings
    minimum: int
    size: int
    plan: VectorPlan
    words: WordVectors | None = None
    """Vectors to begin with, of which each has a place in the model; other n-grams begin with zeros."""

    def train(
        self, items: Texts, task: Task, held_out: HeldOut | None, progress: ProgressCallback = no_progress
    ) -> TrainedVectors:
        """Train on items, and keep the last epoch, or the first of the highest merit."""
        texts = self.reader.items(items)
        features, x = TfIdf.fit(texts, self.settings, self.minimum, progress("counting n-grams", len(items)))
        vectors = random_vectors(x.width, self.size, self.plan.seed)
        if self.words is not None:
            features, vectors = self._begun(features, self.words, len(items))
            x = features.vectors(texts)
        others = None if held_out is None else features.vectors(self.reader.items(held_out.items))
        done, best, merit = progress("training", self.plan.epochs), None, -np.inf
        for number, fitted in enumerate(epochs(x, task.slopes, task.rows, vectors, self.plan), 1):
            done(number)
            found = task.unscaled(fitted)
            if held_out is None or others is None:
                best = found, number
                continue
            own = held_out.merit(found(others))
            if best is None or own > merit:
                best, merit = (replace(found, vectors=found.vectors.copy()), number), own
        assert best is not None
        return TrainedVectors(task.model(self.reader, features, best[0]), best[1])

    def _begun(self, features: TfIdf, words: WordVectors, count: int) -> tuple[TfIdf, F32]:
        """Features that include words with vectors, and vectors to begin with, (D, H)."""
        salts = range(1 if self.reader.sides == 1 else 3)
        parts = [word_keys(words.words, self.settings, salt) for salt in salts]
        keys, firsts = np.unique(np.concatenate([keys for keys, _ in parts]), return_index=True)
        vectors = words.vectors[np.concatenate([places for _, places in parts])[firsts]]
        every = np.union1d(features.keys, keys)
        idf = np.full(len(every), 1 + np.log(1 + count), dtype=np.float32)
        idf[np.searchsorted(every, features.keys)] = features.idf
        begun = np.zeros((len(every), vectors.shape[1]), dtype=np.float32)
        begun[np.searchsorted(every, keys)] = vectors
        return TfIdf(self.settings, every, idf), begun
