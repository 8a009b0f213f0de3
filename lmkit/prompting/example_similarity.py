r"""Examples that are most like an item: by the words that they share (BM25), or by the angle of vectors.

Words are runs of letters, digits and underscores (`\w+`) of a text in `normal_form`. Of examples that are equally
like the item the earlier one comes first. Many items are left to `lmkit.prompting.bm25_kernels` where numba is
installed, which finds the same examples.

Shapes: N examples, D numbers of a vector.
"""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from typing import Protocol

import numpy as np

from lmkit.prompting.example_selection import taken
from lmkit.prompting.examples import Example, Pool
from lmkit.protocols import F64, I64

K1, B = 1.2, 0.75
MANY = 2000
"""Items from which on compiled code pays for its start."""
FEW = 100
"""Most examples that compiled code looks for."""
_WORD = re.compile(r"\w+")


class Ranking(Protocol):
    """Orders examples by how like an item they are."""

    def highest(self, item: Example, count: int) -> list[int]:
        """The places of the examples most like an item, the most similar first, of equally similar ones the earlier."""


class Similar:
    """The examples that are most like an item, the most similar first."""

    def __init__(self, examples: Sequence[Example], ranking: Ranking) -> None:
        self._pool, self._ranking = Pool(examples), ranking

    def select(self, item: Example, count: int) -> list[Example]:
        """See `Selector.select`."""
        same = self._pool.same(item)
        order = self._ranking.highest(item, count + len(same)) if count else []
        return taken(self._pool, order, same, count)


def highest(scores: F64, count: int) -> list[int]:
    """The places of the highest scores, the highest first, of equal ones the earlier, (N,)."""
    places = np.flatnonzero(scores > 0)  # few share a word with the item, and sorting those is enough
    if len(places) < count:
        places = np.arange(len(scores))
    if count < len(places):
        some = scores[places]
        places = places[some >= np.partition(some, len(some) - count)[len(some) - count]]
    order = places[np.argsort(-scores[places], kind="stable")]
    found: list[int] = order[:count].tolist()
    return found


def words(example: Example) -> list[str]:
    """The words of an example's text."""
    return _WORD.findall(example.form)


class BM25:
    r"""How like an item the examples are by shared words: Okapi BM25, (N,).

    score = sum over the item's words w of idf(w) f (k1 + 1) / (f + k1 (1 - b + b l / l_mean)), f the count of w in
    the example, l its number of words, idf(w) = ln(1 + (N - n + 1/2) / (n + 1/2)), n the examples that have w;
    k1 = 1.2, b = 0.75. Robertson and Zaragoza (2009); the idf is Lucene's, which is never negative.
    """

    def __init__(self, examples: Sequence[Example]) -> None:
        texts = [words(example) for example in examples]
        lengths = np.array([len(text) for text in texts], dtype=np.float64)
        mean = max(1.0, float(lengths.sum())) / max(1, len(texts))
        longer = K1 * (1 - B + B * lengths / mean)
        found: dict[str, list[tuple[int, int]]] = {}
        for place, text in enumerate(texts):
            for word, count in Counter(text).items():
                found.setdefault(word, []).append((place, count))
        self._size, self._items = len(texts), 0
        self._compiled: _Compiled | None = None
        self._weights: dict[str, tuple[I64, F64]] = {}
        for word, entries in found.items():
            places, counts = np.array(entries, dtype=np.int64).T
            idf = np.log1p((len(texts) - len(places) + 0.5) / (len(places) + 0.5))
            self._weights[word] = places, idf * counts * (K1 + 1) / (counts + longer[places])

    def __call__(self, item: Example) -> F64:
        """The score of each example, (N,)."""
        found = [(*self._weights[word], times) for word, times in Counter(words(item)).items() if word in self._weights]
        if not found:
            return np.zeros(self._size)
        places = np.concatenate([places for places, _, _ in found])
        weights = np.concatenate([weights if times == 1 else times * weights for _, weights, times in found])
        return np.bincount(places, weights, self._size).astype(np.float64, copy=False)

    def highest(self, item: Example, count: int) -> list[int]:
        """See `Ranking.highest`."""
        self._items += 1
        if self._items == MANY and find_spec("numba") is not None:
            self._compiled = _Compiled(self._weights, self._size)
        if self._compiled is None or count > FEW:
            return highest(self(item), count)
        return self._compiled.highest(item, count)


class _Compiled:
    """The weights of words in flat arrays for `bm25_kernels.highest`."""

    def __init__(self, weights: Mapping[str, tuple[I64, F64]], size: int) -> None:
        from lmkit.prompting import bm25_kernels

        self._kernel = bm25_kernels.highest
        self._ids = {word: number for number, word in enumerate(weights)}
        self._starts = np.cumsum([0, *(len(places) for places, _ in weights.values())], dtype=np.int64)
        self._places = np.zeros(self._starts[-1], dtype=np.uint32)  # unsigned: no sign to look at
        self._weights = np.zeros(self._starts[-1])
        for start, (places, values) in zip(self._starts, weights.values(), strict=False):
            self._places[start : start + len(places)] = places
            self._weights[start : start + len(places)] = values
        self._counts, self._sums = np.zeros(len(weights), dtype=np.int64), np.zeros(size)

    def highest(self, item: Example, count: int) -> list[int]:
        """See `Ranking.highest`."""
        ids = self._ids
        own = np.array([ids[word] for word in words(item) if word in ids], dtype=np.int64)
        count = min(count, len(self._sums))
        order = self._kernel(self._starts, self._places, self._weights, own, self._counts, self._sums, count)
        places: list[int] = order.tolist()
        return places


class Cosines:
    """How like an item the examples are by the cosine of their vectors' angle with its own, (N,).

    A text without a vector is like nothing: 0. Vectors are rounded to float32 and 1 long.
    """

    def __init__(self, examples: Sequence[Example], vector: Callable[[str], F64 | None]) -> None:
        rows = [_unit(vector(example.input)) for example in examples]
        self._rows = np.zeros((len(rows), max(map(len, rows), default=0)), dtype=np.float32)
        for place, row in enumerate(rows):
            if len(row):
                self._rows[place] = row
        self._vector = vector

    def __call__(self, item: Example) -> F64:
        """The cosine with each example, (N,)."""
        row = _unit(self._vector(item.input)).astype(np.float32)
        if not len(row) or not self._rows.shape[1]:
            return np.zeros(len(self._rows))
        cosines: F64 = (self._rows @ row).astype(np.float64)
        return cosines

    def highest(self, item: Example, count: int) -> list[int]:
        """See `Ranking.highest`."""
        return highest(self(item), count)


def _unit(vector: F64 | None) -> F64:
    """A vector 1 long; of none, or of zeros, no numbers at all."""
    length = 0.0 if vector is None else float(np.sqrt(vector @ vector))
    return vector / length if vector is not None and length else np.zeros(0)
