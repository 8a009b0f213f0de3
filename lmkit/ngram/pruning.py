"""Relative-entropy pruning: drops n-grams whose loss changes the model least. Stolcke (1998).

Dropping n-gram (h, w) changes the perplexity by the factor exp(D),
    D = -p(h) { p(w|h) [ln p(w|h') + ln b'(h) - ln p(w|h)] + [ln b'(h) - ln b(h)] (1 - sum of listed p(.|h)) },
where b'(h) is the backoff weight once it is gone. What goes are n-grams with exp(D) - 1 below
the threshold that no longer n-gram builds on. p(<s>) is taken as p(</s>), as SRILM does.
Knows the tables, no files.
"""

from collections.abc import Sequence

import numpy as np

from lmkit.ngram.backoff_estimation import CHUNK, Logs, Table
from lmkit.ngram.ngram_lookup import evaluate
from lmkit.ngram.smoothing import Groups
from lmkit.ngram.tables import SHIFT, WORD, context_cuts, context_starts, words_of
from lmkit.protocols import F64, I64, Bool
from lmkit.tokenization.vocabulary import BOS, EOS

TINY = 1e-12


def lower_probabilities(tables: Sequence[Table], order: int, begin: int, end: int) -> F64:
    """p(w | h') of the n-grams `begin` to `end` of an order, from the orders below."""
    words = words_of([table.key for table in tables], order, np.arange(begin, end))
    return 10.0 ** evaluate(tables[: order - 1], words[:, 1:])


def backoff_weights(tables: Sequence[Table], order: int, size: int) -> F64:
    """b(h) of the contexts of an order, (size,), so that each distribution sums to one; 1 without n-grams."""
    weights = np.ones(size)
    key = tables[order - 1].key
    for begin, end in context_cuts(key, CHUNK):
        groups = Groups(context_starts(key[begin:end]), end - begin)
        left = 1.0 - groups.sum(10.0 ** tables[order - 1].log10[begin:end].astype(np.float64))
        reached = 1.0 - groups.sum(lower_probabilities(tables, order, begin, end))
        ratio = np.where(reached > TINY, np.maximum(left, 0) / np.maximum(reached, TINY), 0.0)
        weights[key[begin:end][groups.starts] >> SHIFT] = ratio
    return weights


def prune(tables: Sequence[Table], threshold: float, orders: Sequence[int] | None = None) -> list[Table]:
    """A smaller model: from the highest order down, n-grams below the threshold dropped.

    `orders` limits which orders lose n-grams. The orders below are whole while an order is
    judged; the backoff weights are computed anew at the end.
    """
    if threshold <= 0:
        return list(tables)  # no change is below none
    contexts = _context_probabilities(tables)
    kept: list[Bool] = [np.ones(len(table.log10), dtype=np.bool_) for table in tables]
    for order in range(len(tables), 1, -1):
        if orders is None or order in orders:
            kept[order - 1] &= _worth(tables, order, contexts[order - 2], threshold)
        if order < len(tables):
            needed = tables[order].key[kept[order]] >> SHIFT
            kept[order - 1][needed] = True
    return normalised(_compact(tables, kept))


def _context_probabilities(tables: Sequence[Table]) -> list[F64]:
    """p(h) of every n-gram as a history: the product of its words' probabilities."""
    first = 10.0 ** tables[0].log10.astype(np.float64)
    first[BOS] = first[EOS]
    joint = [first]
    for table in tables[1:]:
        joint.append(joint[-1][table.key >> SHIFT] * 10.0 ** table.log10.astype(np.float64))
    return joint


def _worth(tables: Sequence[Table], order: int, history: F64, threshold: float) -> Bool:
    """Which n-grams of an order are worth keeping."""
    table = tables[order - 1]
    worth = np.ones(len(table.key), dtype=np.bool_)
    for begin, end in context_cuts(table.key, CHUNK):
        groups = Groups(context_starts(table.key[begin:end]), end - begin)
        p = 10.0 ** table.log10[begin:end].astype(np.float64)
        below = lower_probabilities(tables, order, begin, end)
        left, reached = 1.0 - groups.sum(p), 1.0 - groups.sum(below)
        old = np.maximum(left, TINY) / np.maximum(reached, TINY)
        new = np.maximum(groups.spread(left) + p, TINY) / np.maximum(groups.spread(reached) + below, TINY)
        at = table.key[begin:end] >> SHIFT
        with np.errstate(divide="ignore", invalid="ignore"):
            change = p * (np.log(below) + np.log(new) - np.log(p))
            change += (np.log(new) - np.log(groups.spread(old))) * np.maximum(groups.spread(left), 0)
        change = np.where(p > 0, change, 0.0)
        with np.errstate(over="ignore", invalid="ignore"):
            # Not a number where a word would become impossible after a history that is: it stays.
            worth[begin:end] = ~(np.expm1(-history[at] * change) < threshold)
    return worth


def _compact(tables: Sequence[Table], kept: Sequence[Bool]) -> list[Table]:
    """Tables without the n-grams that are not kept, renumbered."""
    smaller = []
    numbers: I64 = np.arange(len(tables[0].log10))
    for table, keep in zip(tables, kept, strict=True):
        key = table.key[keep[: len(table.key)]]
        key = (numbers[key >> SHIFT] << SHIFT) | (key & WORD)
        backoff = table.backoff[keep[: len(table.backoff)]]
        smaller.append(Table(key, table.log10[keep], backoff))
        numbers = np.cumsum(keep) - 1
    while len(smaller) > 1 and not len(smaller[-1].key):
        smaller.pop()
        smaller[-1] = smaller[-1]._replace(backoff=smaller[-1].backoff[:0])
    return smaller


def normalised(tables: Sequence[Table]) -> list[Table]:
    """The same probabilities with backoff weights that make every distribution sum to one."""
    finished: list[Table] = list(tables)
    for order in range(2, len(finished) + 1):
        below = finished[order - 2]
        weights = backoff_weights(finished, order, len(below.log10))
        with np.errstate(divide="ignore"):
            backoff: Logs = np.log10(weights).astype(below.log10.dtype)
        finished[order - 2] = below._replace(backoff=backoff)
    return finished
