"""Which tokens a step learns from: a function of the step's number alone, so that a run resumes where it was.

B rows, T tokens. A batch of next tokens has `inputs` and `targets`, (B, T); targets are UNSCORED where nothing is
to be learned.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from lmkit.architectures.sliding_window import UNSCORED
from lmkit.checkpoint import Array
from lmkit.data.corpus import Corpus
from lmkit.protocols import I32, I64, Ints


@dataclass(frozen=True)
class Batch:
    """What one step learns from.

    arrays  arrays by name, (B, ...) each: ids, masks, labels, whatever the objective reads
    weight  how many predictions count: the mean loss is the summed one divided by this
    fresh   whether rows begin anew, not where the batch before ended
    size    how many tokens are read; None: as many as are predicted
    """

    arrays: Mapping[str, Array]
    weight: int
    fresh: bool = True
    size: int | None = None

    @property
    def rows(self) -> int:
        """B."""
        return len(next(iter(self.arrays.values())))

    @property
    def tokens(self) -> int:
        """How many tokens are read."""
        return self.weight if self.size is None else self.size

    def take(self, rows: I64) -> dict[str, Array]:
        """Return these rows of every array."""
        return {name: array[rows] for name, array in self.arrays.items()}


def next_tokens(inputs: I32, targets: I32, *, fresh: bool = True) -> Batch:
    """Return the batch of inputs and of what follows each, (B, T)."""
    return Batch({"inputs": inputs, "targets": targets}, int((targets != UNSCORED).sum()), fresh)


class Batches(Protocol):
    """Batches by their number, from 0."""

    @property
    def rows(self) -> int:
        """B."""

    def batch(self, number: int) -> Batch:
        """The batch of a step."""


class RandomCrops:
    """Stretches of T tokens cut from one sequence at a random phase, each once an epoch, in random order."""

    def __init__(self, ids: Ints, start: int, rows: int, time: int, seed: int) -> None:
        self.rows, self._ids, self._start, self._seed = rows, ids, start, seed
        self._time = min(time, len(ids))
        self._each = max(1, len(ids) // self._time - 1)  # whatever the phase

    def batch(self, number: int) -> Batch:
        """See `Batches`."""
        places = np.arange(number * self.rows, (number + 1) * self.rows)
        begins = np.empty(self.rows, dtype=np.int64)
        for epoch in np.unique(places // self._each).tolist():
            generator = np.random.default_rng([self._seed, epoch])
            phase = int(generator.integers(0, max(1, min(self._time, len(self._ids) - self._time + 1))))
            order = generator.permutation(self._each)
            own = slice(*np.clip([epoch * self._each - places[0], (epoch + 1) * self._each - places[0]], 0, self.rows))
            begins[own] = phase + self._time * order[places[own] % self._each]
        taken = begins[:, None] + np.arange(self._time)
        targets = self._ids[taken].astype(np.int32)
        inputs = np.where(taken > 0, self._ids[np.maximum(taken - 1, 0)], self._start).astype(np.int32)
        return next_tokens(inputs, targets)


class ContiguousStreams:
    """B stretches of one sequence, read side by side from end to end, T tokens at a time.

    Each epoch starts elsewhere in the sequence.
    """

    def __init__(self, ids: Ints, start: int, rows: int, time: int, seed: int) -> None:
        self.rows = max(1, min(rows, len(ids) // 2))
        self._ids, self._start, self._seed = ids, start, seed
        self._length = len(ids) // self.rows
        self._time = min(time, self._length)
        self._each = -(-self._length // self._time)  # batches of an epoch

    def batch(self, number: int) -> Batch:
        """See `Batches`."""
        epoch, chunk = divmod(number, self._each)
        shift = int(np.random.default_rng([self._seed, epoch]).integers(0, len(self._ids))) if epoch else 0
        begin = chunk * self._time
        time = min(self._time, self._length - begin)
        taken = shift + np.arange(self.rows)[:, None] * self._length + begin + np.arange(time)
        inputs = self._ids[(taken - 1) % len(self._ids)].astype(np.int32)
        inputs[taken % len(self._ids) == 0] = self._start
        return next_tokens(inputs, self._ids[taken % len(self._ids)].astype(np.int32), fresh=chunk == 0)


class DocumentBatches:
    """Documents a row each, cut where they are longer than T; rows of like length are batched, batches shuffled."""

    def __init__(self, corpus: Corpus, start: int, rows: int, time: int, seed: int) -> None:
        self.rows, self._ids, self._start, self._seed = rows, corpus.ids, start, seed
        begins = np.concatenate(([0], corpus.ends[:-1])).astype(np.int64)
        lengths = corpus.ends - begins
        pieces = np.maximum(1, -(-lengths // time))
        first = np.repeat(np.cumsum(pieces) - pieces, pieces)
        nth = np.arange(len(first)) - first  # which piece of its document
        self._begins = np.repeat(begins, pieces) + nth * time
        self._lengths = np.minimum(np.repeat(lengths, pieces) - nth * time, time)
        self._opens = nth == 0
        kept = self._lengths > 0
        self._begins, self._lengths, self._opens = self._begins[kept], self._lengths[kept], self._opens[kept]
        self._each = -(-len(self._begins) // rows)
        self._epoch = -1
        self._order: I64 = np.zeros(0, dtype=np.int64)

    def batch(self, number: int) -> Batch:
        """See `Batches`."""
        epoch, place = divmod(number, self._each)
        if epoch != self._epoch:
            self._epoch, self._order = epoch, self._shuffled(epoch)
        begin = int(self._batch_order[place]) * self.rows
        rows = self._order[begin : begin + self.rows]
        lengths = self._lengths[rows]
        offsets = np.arange(int(lengths.max()))
        taken = np.minimum(self._begins[rows, None] + offsets, len(self._ids) - 1)
        inside = offsets < lengths[:, None]
        targets = np.where(inside, self._ids[taken].astype(np.int32), np.int32(UNSCORED))
        inputs = np.where(inside, self._ids[np.maximum(taken - 1, 0)].astype(np.int32), np.int32(self._start))
        inputs[self._opens[rows], 0] = self._start
        return next_tokens(inputs, targets)

    def _shuffled(self, epoch: int) -> I64:
        """Rows in random order, then in runs of like length; `_batch_order` says which batch comes when."""
        generator = np.random.default_rng([self._seed, epoch])
        order = generator.permutation(len(self._begins))
        run = self.rows * 64
        for begin in range(0, len(order), run):
            part = order[begin : begin + run]
            order[begin : begin + run] = part[np.argsort(self._lengths[part], kind="stable")]
        self._batch_order = generator.permutation(self._each)
        return order


def with_loss_at_end_only(batch: Batch) -> Batch:
    """Return the same batch with the last token of each row as its only target."""
    targets = batch.arrays["targets"]
    last = (targets != UNSCORED).sum(axis=1) - 1
    only = np.arange(targets.shape[1]) == last[:, None]
    return next_tokens(batch.arrays["inputs"], np.where(only, targets, UNSCORED).astype(np.int32), fresh=batch.fresh)


def batches_of(
    corpus: Corpus, start: int, batching: str, rows: int, time: int, seed: int, *, by_document: bool
) -> Batches:
    """Return B rows of T tokens a step: documents on their own, or the text as a family's `batching` takes it."""
    if by_document:
        return DocumentBatches(corpus, start, rows, time, seed)
    if batching == "streams":
        return ContiguousStreams(corpus.ids, start, rows, time, seed)
    return RandomCrops(corpus.ids, start, rows, time, seed)
