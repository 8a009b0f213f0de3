"""Finding and evaluating n-grams given as words; knows the tables, not the text.

Shapes: N n-grams of k words each.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from lmkit.digests import CheckedArray
from lmkit.ngram.backoff_estimation import Table
from lmkit.ngram.tables import SHIFT, find_keys, words_of
from lmkit.protocols import F64, I32, I64

PIECE = 1 << 14  # n-grams that are spelled at a time


class CheckedTable(NamedTuple):
    """A `Table` whose arrays are checked where they are read."""

    key: CheckedArray
    log10: CheckedArray
    backoff: CheckedArray

    @classmethod
    def of(cls, table: "Table | CheckedTable") -> "CheckedTable":
        """The same arrays; those of a plain table are in memory, and nothing is to be checked."""
        return table if isinstance(table, CheckedTable) else cls(*map(CheckedArray, table))


def find_grams(keys: Sequence[I64 | CheckedArray], words: I32) -> I64:
    """Ids of n-grams, (N,), from their words, (N, k); -1 where not listed."""
    grams: I64 = words[:, 0].astype(np.int64)
    for position in range(1, words.shape[1]):
        alive = grams >= 0
        found = np.full(len(grams), -1, dtype=np.int64)
        found[alive] = find_keys(keys[position], (grams[alive] << SHIFT) | words[alive, position])
        grams = found
    return grams


def evaluate(tables: Sequence[Table | CheckedTable], words: I32, unseen: float = 0.0) -> F64:
    """log10 of p(last word | words before), (N,), of word sequences (N, k), k at most the model's order.

    `unseen` is the log10 weight of a context that is not listed.
    """
    if words.shape[1] == 1:
        return tables[0].log10[words[:, 0]].astype(np.float64)
    keys: list[I64 | CheckedArray] = [table.key for table in tables]
    contexts = find_grams(keys, words[:, :-1])
    known = contexts >= 0
    logs = np.full(len(words), unseen)
    logs[known] = tables[words.shape[1] - 2].backoff[contexts[known]]
    grams = np.full(len(words), -1, dtype=np.int64)
    table = tables[words.shape[1] - 1]
    grams[known] = find_keys(table.key, (contexts[known] << SHIFT) | words[known, -1])
    hit = grams >= 0
    logs[hit] = table.log10[grams[hit]]
    if not hit.all():
        logs[~hit] += evaluate(tables, words[~hit, 1:], unseen)
    return logs


def look_up(tables: Sequence[Table | CheckedTable], words: Sequence[int], unseen: float = 0.0) -> tuple[float, int]:
    """log10 of p(last word | words before), of at most the model's order, and the order of the n-gram that answered."""
    rows = np.array([words], dtype=np.int32)
    keys: list[I64 | CheckedArray] = [table.key for table in tables]
    order = next((k for k in range(len(words), 1, -1) if find_grams(keys, rows[:, -k:])[0] >= 0), 1)
    return float(evaluate(tables, rows, unseen)[0]), order


def possible_grams(tables: Sequence[Table], bos: int, order: int | None) -> Iterator[tuple[list[int], float, int]]:
    """Words, log10 and order of the n-grams that can come, all or those of one order, in the tables' order."""
    keys = [table.key for table in tables]
    for k, table in enumerate(tables, 1):
        if order not in (None, k):
            continue
        for begin in range(0, len(table.log10), PIECE):
            ids = np.arange(begin, min(begin + PIECE, len(table.log10)))
            rows = words_of(keys, k, ids).tolist()
            for row, log10 in zip(rows, table.log10[ids].tolist(), strict=True):
                if row[-1] != bos and log10 > -float("inf"):
                    yield row, log10, k
