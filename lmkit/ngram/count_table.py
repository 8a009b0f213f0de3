"""Counts from a list of n-grams, as databases and `sort` know them; knows no files."""

from collections.abc import Iterable

import numpy as np

from lmkit.errors import DataError
from lmkit.ngram.ngram_lookup import find_grams
from lmkit.ngram.tables import SHIFT, Counts, Level
from lmkit.protocols import I64
from lmkit.tokenization.vocabulary import NAMES, Vocabulary


def from_rows(rows: Iterable[tuple[list[bytes], int]]) -> tuple[Counts, Vocabulary]:
    """Counts of (words, count) in any order, those of equal words added up.

    Words get ids in the order of their bytes. Raises DataError where an n-gram is listed
    without the shorter ones at its beginning and end, or is counted more often than those of two words and more.
    """
    grams: dict[tuple[bytes, ...], int] = {}
    for words, count in rows:
        key = tuple(words)
        grams[key] = grams.get(key, 0) + count
    if not grams:
        raise DataError("no counts")
    words = sorted({word for gram in grams for word in gram} - set(NAMES))
    vocabulary = Vocabulary.of([*NAMES, *words])
    ids = {word: number for number, word in enumerate([*NAMES, *words])}
    levels: list[Level] = []
    for order in range(1, max(map(len, grams)) + 1):
        chosen = sorted((tuple(ids[w] for w in gram), count) for gram, count in grams.items() if len(gram) == order)
        if not chosen:
            raise DataError(f"no {order}-grams, but longer ones")
        counted: I64 = np.array([number for _, number in chosen], dtype=np.int64)
        array = np.array([gram for gram, _ in chosen], dtype=np.int32)
        if order == 1:
            total = np.zeros(len(vocabulary), dtype=np.int64)
            total[array[:, 0]] = counted
            levels.append(Level(np.arange(len(vocabulary)), total, np.zeros(0, dtype=np.int32)))
            continue
        keys = [level.key for level in levels]
        contexts, suffix = find_grams(keys, array[:, :-1]), find_grams(keys, array[:, 1:])
        lost = np.flatnonzero((contexts < 0) | (suffix < 0))
        if len(lost):
            gram = b" ".join(vocabulary.piece(word) for word in array[lost[0]].tolist()).decode(errors="replace")
            raise DataError(f"{gram!r} occurs without its beginning or its end as shorter n-grams")
        below = levels[-1].count
        often = np.flatnonzero((counted > below[contexts]) | (counted > below[suffix]))
        if order > 2 and len(often):  # words are always listed, so that only longer ones can be lost to pruning
            gram = b" ".join(vocabulary.piece(word) for word in array[often[0]].tolist()).decode(errors="replace")
            raise DataError(f"{gram!r} is counted more often than its beginning or its end")
        levels.append(Level((contexts << SHIFT) | array[:, -1], counted, suffix.astype(np.int32)))
    return Counts(levels), vocabulary
