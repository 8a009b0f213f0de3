"""Sums of backoff models' distributions: whether the probabilities after every context sum to at most 1.

    S(h) = sum of listed p(w|h) + b(h) (S(h') - sum of p(w|h') over the same w),   S() = sum of p(w), <s> left out

for a context h and h' without its first word. Knows the tables, no files.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from lmkit.ngram.backoff_estimation import CHUNK, Table
from lmkit.ngram.ngram_lookup import evaluate, find_grams
from lmkit.ngram.tables import SHIFT, context_cuts, context_starts, words_of
from lmkit.protocols import F64, I32, I64
from lmkit.tokenization.vocabulary import BOS

LARGEST = 1.001
"""The largest sum that digits of a file, rounded, may give; KenLM warns from here on too."""


class Excess(NamedTuple):
    """Contexts whose probabilities sum to more than `LARGEST`."""

    contexts: int
    highest: float
    """The largest sum."""
    words: tuple[int, ...]
    """The context that has it; empty for the unigrams."""


def excess(tables: Sequence[Table]) -> Excess:
    """Return how many contexts have probabilities that sum to more than `LARGEST`, and the worst of them."""
    found = Excess(0, 0.0, ())
    sums: list[F64] = []
    for order in range(1, len(tables) + 1):
        sums.append(_sums(tables, order, sums))
        worst = int(sums[-1].argmax()) if len(sums[-1]) else 0
        count = found.contexts + int(np.count_nonzero(sums[-1] > LARGEST))
        if count > found.contexts and sums[-1][worst] > found.highest:
            found = Excess(count, float(sums[-1][worst]), _context(tables, order, worst))
        found = found._replace(contexts=count)
    return found


def _context(tables: Sequence[Table], order: int, place: int) -> tuple[int, ...]:
    if order == 1:
        return ()
    keys = [table.key for table in tables]
    return tuple(words_of(keys, order - 1, np.array([place]))[0].tolist())


def _sums(tables: Sequence[Table], order: int, below: Sequence[F64]) -> F64:
    """S(h) of each context of an order, (M,), in the order of the n-grams one word shorter; of order 1 one number."""
    if order == 1:
        own = 10.0 ** tables[0].log10.astype(np.float64)
        own[BOS] = 0.0
        return np.array([own.sum()])
    listed, reached = _listed(tables, order)
    with np.errstate(over="ignore"):
        weights = 10.0 ** tables[order - 2].backoff.astype(np.float64)
    left = np.maximum(_shorter(tables, order, below) - reached, 0.0)
    with np.errstate(invalid="ignore"):
        found: F64 = listed + np.where(left > 0, weights * left, 0.0)
    return found


def _listed(tables: Sequence[Table], order: int) -> tuple[F64, F64]:
    """For each context of an order the sum of its n-grams' p(w|h), and of p(w|h') of the same words, both (M,)."""
    table, keys = tables[order - 1], [table.key for table in tables]
    listed, reached = (np.zeros(len(tables[order - 2].log10)) for _ in range(2))
    for begin, end in context_cuts(table.key, CHUNK):
        starts = context_starts(table.key[begin:end])
        contexts = table.key[begin:end][starts] >> SHIFT
        listed[contexts] = np.add.reduceat(10.0 ** table.log10[begin:end].astype(np.float64), starts)
        words = words_of(keys, order, np.arange(begin, end))
        reached[contexts] = np.add.reduceat(10.0 ** evaluate(tables[: order - 1], words[:, 1:]), starts)
    return listed, reached


def _shorter(tables: Sequence[Table], order: int, below: Sequence[F64]) -> F64:
    """S(h') of each context h of an order, (M,); of h' that is not listed, that of the longest ending that is."""
    count = len(tables[order - 2].log10)
    keys = [table.key for table in tables]
    found = np.empty(count)
    for begin in range(0, count, CHUNK):
        words = words_of(keys, order - 1, np.arange(begin, min(begin + CHUNK, count)))
        found[begin : begin + len(words)] = _of_contexts(keys, words[:, 1:], below)
    return found


def _of_contexts(keys: Sequence[I64], words: I32, below: Sequence[F64]) -> F64:
    if not words.shape[1]:
        return np.full(len(words), below[0][0])
    grams = find_grams(keys, words)
    found = below[words.shape[1]][grams]
    lost = grams < 0
    if lost.any():
        found[lost] = _of_contexts(keys, words[lost, 1:], below)
    return found
