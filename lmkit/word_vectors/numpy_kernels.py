"""Training on a chunk in numpy: every loss, without numba. Knows no rounds.

The gradients of a batch of words are taken at once and summed for each row, so that results differ a little
from compiled code, which changes rows word by word. Within a batch nothing depends on the order of words.

Shapes: B words of a batch, C neighbours, K negatives, V words, D numbers in a vector.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from lmkit.protocols import F32, F64, I32, U8, Bool, Floats
from lmkit.word_vectors.losses import negative_sampling, softmax
from lmkit.word_vectors.sharding import Chunk, share
from lmkit.word_vectors.training_plan import FIRST_WORD, Corpus, TrainingConfig, keep_probabilities, noise
from lmkit.word_vectors.windows import Lines

BATCH = 128  # in small vocabularies, a quarter of the words: too many changes of one row at once overshoot
PRODUCTS = 4_000_000  # numbers that a softmax may hold at once


class Batch(NamedTuple):
    """Words, (B,), their neighbours, (B, C), which of these exist, and words drawn against them, (B, K)."""

    words: I32
    neighbours: I32
    there: Bool
    drawn: I32


class NumpyKernel:
    """A `kernels.Kernel` for every plan."""

    def __init__(self, corpus: Corpus, plan: TrainingConfig) -> None:
        self.plan = plan
        self.width, self.parts = plan.dim, corpus.parts
        self.keep = keep_probabilities(corpus.counts, plan.sample)
        self.cumulated = np.cumsum(noise(corpus.counts, plan.power))
        pairs = 2 * plan.window if plan.architecture == "skipgram" else 1
        most = PRODUCTS // (len(corpus.counts) * pairs) if plan.loss == "softmax" else BATCH
        self.batch = max(min(most, BATCH, len(corpus.counts) // 4), 1)

    @property
    def compiling(self) -> bool:
        """Never."""
        return False

    def compile(self) -> None:
        """There is nothing to compile."""

    def train(self, ids: I32, chunk: Chunk, vectors: Sequence[F32], changed: Sequence[U8]) -> F64:
        """See `Kernel.train`; all rows are marked."""
        for marks in changed:
            marks[:] = 1
        generator = np.random.Generator(np.random.PCG64(chunk.seed))
        chances = self.keep[ids]
        lines = Lines.of(ids[(ids < FIRST_WORD) | (generator.random(len(ids)) < chances)])
        found, first, last = np.zeros(2), *chunk.rates
        with np.errstate(over="ignore", invalid="ignore"):  # the caller looks for what is not finite
            for begin in range(0, len(lines.words), self.batch):
                end = min(begin + self.batch, len(lines.words))
                rate = first + (last - first) * begin / len(lines.words)
                found += self.step(self._read(lines, begin, end, generator), vectors, rate)
        return found

    def _read(self, lines: Lines, begin: int, end: int, generator: np.random.Generator) -> Batch:
        plan, size = self.plan, end - begin
        reach = generator.integers(1, plan.window + 1, size) if plan.dynamic else np.full(size, plan.window)
        drawn = np.zeros((size, 0), dtype=np.int32)
        if plan.loss == "negative-sampling":
            numbers = generator.random((size, plan.negatives)) * self.cumulated[-1]
            drawn = np.searchsorted(self.cumulated, numbers, side="right").astype(np.int32)
        return Batch(lines.words[begin:end], *lines.neighbours(begin, end, reach), drawn)

    def step(self, batch: Batch, vectors: Sequence[Floats], rate: float) -> F64:
        """Goes down the gradient of a batch, changing vectors (R, D) and (V, D) in place: nats, of how many pairs."""
        loss, pairs, *gradients = self.gradients(batch, vectors)
        for matrix, (rows, gradient) in zip(vectors, gradients, strict=True):
            _subtract(matrix, rows, gradient * np.float32(rate))
        return np.array([loss, pairs])

    def gradients(
        self, batch: Batch, vectors: Sequence[Floats]
    ) -> tuple[float, int, tuple[I32, Floats], tuple[I32, Floats]]:
        """Loss, its pairs or words, and for each matrix rows and their gradients; a row may come several times.

        Of words with several rows each row has the gradient of their mean.
        """
        here = batch.there.any(axis=1)
        words, neighbours = batch.words[here], batch.neighbours[here]
        there, drawn = batch.there[here], batch.drawn[here]
        inputs = self._centres(vectors[0], neighbours) * there[..., None]
        if self.plan.architecture == "skipgram":
            pairs = int(there.sum())
            loss, inward, outward = self._loss(inputs, there, words, drawn, vectors[1])
        else:
            pairs = len(words)
            scale = 1 / there.sum(axis=1, dtype=inputs.dtype) if self.plan.combine == "mean" else np.ones_like(words)
            hidden = (inputs.sum(axis=1) * scale[:, None]).astype(inputs.dtype)[:, None]
            loss, change, outward = self._loss(hidden, np.ones((pairs, 1), dtype=np.bool_), words, drawn, vectors[1])
            inward = np.broadcast_to(change, inputs.shape)
        return loss, pairs, self._shared(neighbours[there], inward[there]), outward

    def _centres(self, table: Floats, words: I32) -> Floats:
        """Vectors of words, (B, C) to (B, C, D)."""
        if self.parts is None:
            return table[words]
        distinct, places = np.unique(words, return_inverse=True)
        return self.parts.means(table, distinct)[places.reshape(words.shape)]

    def _shared(self, words: I32, gradients: Floats) -> tuple[I32, Floats]:
        """From words and the gradients of their vectors to rows and theirs."""
        if self.parts is None:
            return words, gradients
        distinct, summed = _summed(words, gradients)
        owners, rows = self.parts.of(distinct)
        return rows, summed[owners]

    def _loss(
        self, inputs: Floats, there: Bool, words: I32, drawn: I32, outputs: Floats
    ) -> tuple[float, Floats, tuple[I32, Floats]]:
        """Loss of inputs (B, I, D) that predict words, its gradient by inputs, and rows of outputs with theirs."""
        if self.plan.loss == "softmax":
            targets = np.broadcast_to(words[:, None] - FIRST_WORD, there.shape)[there]
            loss, flat, change = softmax(inputs[there], outputs[FIRST_WORD:], targets)
            inward = np.zeros_like(inputs)
            inward[there] = flat
            return loss, inward, (np.arange(FIRST_WORD, len(outputs), dtype=np.int32), change)
        rows = np.concatenate((words[:, None], drawn), axis=1)
        labels = np.zeros(rows.shape[1], dtype=inputs.dtype)
        labels[0] = 1
        counted = np.concatenate((np.ones((len(words), 1), dtype=np.bool_), drawn != words[:, None]), axis=1)
        weights = (there[:, :, None] & counted[:, None]).astype(inputs.dtype)
        loss, inward, outward = negative_sampling(inputs, outputs[rows], labels, weights)
        return loss, inward, (rows[counted], outward[counted])

    def combine(self, base: F32, replicas: F32, changed: U8, begin: int, end: int) -> None:
        """See `Kernel.combine`; here all rows are taken as marked."""
        base, replicas = base[begin:end], replicas[:, begin:end]
        change = np.zeros_like(base)
        for replica in replicas:
            change += replica - base
        base += share(len(replicas)) * change
        replicas[:], changed[:, begin:end] = base, 0


def _subtract(matrix: Floats, rows: I32, changes: Floats) -> None:
    """Takes changes (M, D) from rows (M,) of a matrix, those of the same row summed first."""
    found, summed = _summed(rows, changes)
    if len(found):
        matrix[found] -= summed


def _summed(rows: I32, changes: Floats) -> tuple[I32, Floats]:
    """Distinct rows, ascending, and the sum of the changes (M, D) of each."""
    order = np.argsort(rows, kind="stable")
    found, begin = np.unique(rows[order], return_index=True)
    return found, np.add.reduceat(changes[order], begin, axis=0) if len(found) else changes[:0]
