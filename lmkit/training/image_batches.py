"""Batches of images, or of captions behind visual tokens, each example once an epoch, in random order.

B of a batch. Captions: `ids`, (B, T), and `targets`, (B, 1 + T), UNSCORED where nothing is learned; target j is the
token behind place j, of which the first is the last visual token.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from lmkit.architectures.sliding_window import UNSCORED
from lmkit.checkpoint import Array
from lmkit.data.answer_sequences import AnswerSequence
from lmkit.protocols import F32, I64
from lmkit.training.batches import Batch

CAPTION = "targets"


class ShuffledExamples:
    """Batches by their number; see `Batches`. `arrays` have one row for each example."""

    def __init__(self, arrays: Mapping[str, Array], rows: int, seed: int) -> None:
        self._arrays, self._seed = arrays, seed
        self._count = len(next(iter(arrays.values())))
        self.rows = min(rows, self._count)
        self.each = -(-self._count // self.rows)
        """Batches of an epoch."""
        self._epoch, self._order = -1, np.zeros(0, np.int64)

    def batch(self, number: int) -> Batch:
        """See `Batches`."""
        epoch, place = divmod(number, self.each)
        if epoch != self._epoch:
            generator = np.random.default_rng([self._seed, epoch])
            self._epoch, self._order = epoch, generator.permutation(self._count)
        return self._of(self._order[place * self.rows : (place + 1) * self.rows])

    def in_order(self, rows: int) -> Sequence[Batch]:
        """All examples, in batches of `rows` at most."""
        return [self._of(np.arange(self._count)[begin : begin + rows]) for begin in range(0, self._count, rows)]

    def _of(self, rows: I64) -> Batch:
        targets = self._arrays["targets"][rows]
        return Batch(
            {name: array[rows] for name, array in self._arrays.items()}, int((targets != UNSCORED).sum()),
            size=len(rows) if targets.ndim == 1 else None,
        )  # fmt: skip


def captions(visual: F32, sequences: Sequence[AnswerSequence]) -> dict[str, Array]:
    """The arrays of captions whose sequences, without a start token, follow visual tokens, (B, N, D)."""
    longest = max(len(one.ids) for one in sequences)
    ids = np.zeros((len(sequences), longest - 1), dtype=np.int32)
    targets = np.full((len(sequences), longest), UNSCORED, dtype=np.int32)
    for row, one in enumerate(sequences):
        ids[row, : len(one.ids) - 1] = one.ids[:-1]
        targets[row, : len(one.ids)] = np.where(one.learned, one.ids, UNSCORED)
    return {"visual": visual, "ids": ids, "targets": targets}
