"""Batches of items, of like length and in random order, each item once an epoch. N items, B of a batch, T tokens."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from lmkit.checkpoint import Array
from lmkit.data.item_sequences import ItemSequence
from lmkit.protocols import F32, I64
from lmkit.training.batches import Batch

POOL = 32  # batches whose items are sorted by length together


@dataclass(frozen=True)
class Items:
    """Sequences, and what is right for each.

    targets  a label's number, or a number, (N,), int64 or float32; of a tagger none
    costs    weights of items, (N,)
    words    of a tagger: the label's number of each word that has a place
    windows  how many sequences each text or sentence has; none: one each
    """

    sequences: Sequence[ItemSequence]
    targets: Array
    costs: F32
    words: Sequence[I64] = ()
    windows: Sequence[int] = ()

    def batch(self, chosen: I64) -> Batch:
        """Some items as a batch."""
        sequences = [self.sequences[place] for place in chosen.tolist()]
        lengths = np.array([len(one.ids) for one in sequences], dtype=np.int64)
        arrays: dict[str, Array] = {
            name: np.zeros((len(sequences), int(lengths.max())), dtype=np.int32)
            for name in ("ids", "segments", "words")
        }
        for row, (place, one) in enumerate(zip(chosen.tolist(), sequences, strict=True)):
            arrays["ids"][row, : len(one.ids)] = one.ids
            arrays["segments"][row, : len(one.ids)] = one.segments
            if self.words:
                arrays["words"][row, one.words] = 1 + self.words[place]
        if self.words:
            return Batch({**arrays, "lengths": lengths}, int((arrays["words"] > 0).sum()))
        del arrays["words"]
        starts = np.array([one.start for one in sequences], dtype=np.int64)
        more = {"lengths": lengths, "starts": starts, "targets": self.targets[chosen], "costs": self.costs[chosen]}
        return Batch({**arrays, **more}, len(chosen))

    def in_order(self, rows: int) -> Iterator[tuple[I64, Batch]]:
        """Yield all items in batches of `rows` at most, sorted by length, and which they are."""
        order = np.argsort([len(one.ids) for one in self.sequences], kind="stable")
        for begin in range(0, len(order), rows):
            chosen = order[begin : begin + rows]
            yield chosen, self.batch(chosen)


class ShuffledItems:
    """Batches of B items by their number; see `Batches`."""

    def __init__(self, items: Items, rows: int, seed: int) -> None:
        self.rows = min(rows, len(items.sequences))
        self._items, self._seed = items, seed
        self._lengths = np.array([len(one.ids) for one in items.sequences])
        self.each = -(-len(items.sequences) // self.rows)
        """Batches of an epoch."""
        self._epoch, self._batches = -1, list[I64]()

    def batch(self, number: int) -> Batch:
        """See `Batches`."""
        epoch, place = divmod(number, self.each)
        if epoch != self._epoch:
            self._epoch, self._batches = epoch, self._shuffled(epoch)
        return self._items.batch(self._batches[place])

    def _shuffled(self, epoch: int) -> list[I64]:
        generator = np.random.default_rng([self._seed, epoch])
        order = generator.permutation(len(self._lengths))
        run = self.rows * POOL
        for begin in range(0, len(order), run):
            part = order[begin : begin + run]
            order[begin : begin + run] = part[np.argsort(self._lengths[part], kind="stable")]
        batches = [order[begin : begin + self.rows] for begin in range(0, len(order), self.rows)]
        return [batches[place] for place in generator.permutation(len(batches))]
