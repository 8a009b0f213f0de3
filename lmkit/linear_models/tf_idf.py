"""Texts as vectors of weighted n-grams: TF-IDF with logarithms of counts, as scikit-learn's `sublinear_tf` has it.

tf = 1 + ln count,  idf = 1 + ln((1 + N) / (1 + df)),  x = tf idf / |tf idf|, of words and of characters apart.
Sparck Jones (1972); Salton and Buckley (1988). N texts, D n-grams that count, df texts that have one.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from lmkit.linear_models.ngram_features import CHARACTERS, Counts, NgramSettings, Texts, count_ngrams
from lmkit.linear_models.sparse_matrix import SparseMatrix
from lmkit.protocols import F32, F64, U32


@dataclass(frozen=True)
class TfIdf:
    """The n-grams that count, as sorted keys, (D,), and their idf, (D,)."""

    settings: NgramSettings
    keys: U32
    idf: F32

    @classmethod
    def fit(
        cls, items: Texts, settings: NgramSettings, minimum: int, done: Callable[[int], None] = lambda _: None
    ) -> "tuple[TfIdf, SparseMatrix]":
        """Count the n-grams of texts; those in `minimum` texts or more count. Return it and the texts' vectors."""
        found = _counted(items, settings, done)
        keys, frequencies = np.unique(found.keys, return_counts=True)
        kept = frequencies >= minimum
        idf = 1 + np.log((1 + len(items)) / (1 + frequencies[kept]))
        made = cls(settings, keys[kept], idf.astype(np.float32))
        return made, made._vectors(found, len(items))

    def vectors(self, items: Texts) -> SparseMatrix:
        """The vectors of texts, (N, D); one without any n-gram that counts is zero."""
        return self._vectors(_counted(items, self.settings), len(items))

    def _vectors(self, found: Counts, size: int) -> SparseMatrix:
        places = np.minimum(np.searchsorted(self.keys, found.keys), max(0, len(self.keys) - 1))
        known = self.keys[places] == found.keys if len(self.keys) else np.zeros(len(places), dtype=np.bool_)
        texts, places = found.texts[known], places[known]
        values = (1 + np.log(found.counts[known])) * self.idf[places]
        bounds = np.concatenate(([0], np.cumsum(np.bincount(texts, minlength=size))))
        groups = 2 * texts + (self.keys[places] >= CHARACTERS)
        norms: F64 = np.sqrt(np.bincount(groups, values**2, minlength=2 * size))
        return SparseMatrix(bounds, places, values / norms[groups], len(self.keys))


def _counted(items: Texts, settings: NgramSettings, done: Callable[[int], None] = lambda _: None) -> Counts:
    parts = []
    for number, part in count_ngrams(items, settings):
        parts.append(part)
        done(number)
    empty = Counts(np.zeros(0, np.int64), np.zeros(0, np.uint32), np.zeros(0, np.int64))
    return Counts(*(np.concatenate(column) for column in zip(*parts, strict=True))) if parts else empty
