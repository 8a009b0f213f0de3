"""Batches of conversations, and of pairs of them, in random order; several tasks are mixed by weights.

B items, T tokens of the longest.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from lmkit.checkpoint import Array
from lmkit.data.answer_sequences import AnswerSequence
from lmkit.protocols import F32, I64
from lmkit.training.batches import Batch


class Collection(Protocol):
    """Items that batches are made of."""

    def __len__(self) -> int:
        """How many."""

    def batch(self, chosen: I64) -> Batch:
        """Some of them as a batch."""


def _padded(sequences: Sequence[AnswerSequence]) -> dict[str, Array]:
    lengths = np.array([len(one.ids) for one in sequences], dtype=np.int64)
    arrays: dict[str, Array] = {
        "ids": np.zeros((len(sequences), int(lengths.max())), dtype=np.int32),
        "learned": np.zeros((len(sequences), int(lengths.max())), dtype=np.int8),
    }
    for row, one in enumerate(sequences):
        arrays["ids"][row, : len(one.ids)] = one.ids
        arrays["learned"][row, : len(one.ids)] = one.learned
    return {**arrays, "lengths": lengths}


@dataclass(frozen=True)
class AnswerItems:
    """Sequences whose answers are learned; a batch weighs as much as it has learned tokens."""

    sequences: Sequence[AnswerSequence]

    def __len__(self) -> int:
        return len(self.sequences)

    def batch(self, chosen: I64) -> Batch:
        """See `Collection.batch`."""
        arrays = _padded([self.sequences[place] for place in chosen.tolist()])
        return Batch(arrays, int(arrays["learned"].sum()), size=int(arrays["lengths"].sum()) - len(chosen))


@dataclass(frozen=True)
class PreferencePairs:
    """Pairs of sequences, chosen and rejected, and the reference's log-probabilities of their answers, (N, 2)."""

    pairs: Sequence[tuple[AnswerSequence, AnswerSequence]]
    reference: F32

    def __len__(self) -> int:
        return len(self.pairs)

    def batch(self, chosen: I64) -> Batch:
        """See `Collection.batch`."""
        flat = _padded([one for place in chosen.tolist() for one in self.pairs[place]])
        arrays = {name: array.reshape(len(chosen), 2, *array.shape[1:]) for name, array in flat.items()}
        more = {"reference": self.reference[chosen], "counted": np.ones(len(chosen), dtype=np.float32)}
        return Batch({**arrays, **more}, len(chosen), size=int(arrays["lengths"].sum()) - 2 * len(chosen))


def in_order(items: Collection, rows: int) -> Iterator[Batch]:
    """Yield all items in batches of `rows` at most."""
    for begin in range(0, len(items), rows):
        yield items.batch(np.arange(begin, min(len(items), begin + rows)))


class MixedItems:
    """Batches of B items of several tasks by their number; see `Batches`.

    `bounds` are where each task's items end. Without `weights` every item comes once an epoch; with them a share of
    each batch is of each task, by weight, however many items it has: each begins anew when all of its own were seen.
    """

    def __init__(
        self, items: Collection, rows: int, seed: int, bounds: Sequence[int] = (), weights: Sequence[float] = ()
    ) -> None:
        self.rows = min(rows, len(items))
        self.each = -(-len(items) // self.rows)
        """Batches of an epoch."""
        self._items, self._seed = items, seed
        ends = list(bounds) if weights else [len(items)]
        self._parts = [(begin, end) for begin, end in zip([0, *ends[:-1]], ends, strict=True)]
        shares = np.array(weights if weights else [1.0], dtype=np.float64)
        self._shares = shares / shares.sum()
        self._sums: list[list[int]] = [[0] * len(self._parts)]
        self._orders: dict[tuple[int, int], I64] = {}

    def batch(self, number: int) -> Batch:
        """See `Batches`."""
        epoch, place = divmod(number, self.each)
        if len(self._parts) == 1:
            begin = place * self.rows
            return self._items.batch(self._order(0, epoch)[begin : begin + self.rows])
        before, own = self._before(number), self._counts(number)
        chosen = [self._nth(task, before[task] + nth) for task, count in enumerate(own) for nth in range(count)]
        return self._items.batch(np.array(chosen, dtype=np.int64))

    def _counts(self, number: int) -> list[int]:
        """How many items of each task a batch has: systematic sampling, so that shares hold over few batches."""
        phase = np.random.default_rng([self._seed, number]).random()
        points = (np.arange(self.rows) + phase) / self.rows
        tasks = np.searchsorted(np.cumsum(self._shares)[:-1], points, side="right")
        return [int(count) for count in np.bincount(tasks, minlength=len(self._shares))]

    def _before(self, number: int) -> list[int]:
        """How many items of each task the batches before one had."""
        while len(self._sums) <= number:
            own = self._counts(len(self._sums) - 1)
            self._sums.append([one + other for one, other in zip(self._sums[-1], own, strict=True)])
        return self._sums[number]

    def _nth(self, task: int, nth: int) -> int:
        begin, end = self._parts[task]
        epoch, place = divmod(nth, end - begin)
        return int(self._order(task, epoch)[place])

    def _order(self, task: int, epoch: int) -> I64:
        if (task, epoch) not in self._orders:
            self._orders = {key: order for key, order in self._orders.items() if key[0] != task or key[1] == epoch - 1}
            begin, end = self._parts[task]
            generator = np.random.default_rng([self._seed, task, epoch])
            self._orders[task, epoch] = begin + generator.permutation(end - begin)
        return self._orders[task, epoch]
