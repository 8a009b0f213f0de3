"""What trains a chunk: in compiled code where numba is installed. Knows no rounds.

Shapes: V words, R rows of centre vectors, V if no word has several, D numbers in a vector, D' numbers in a row: D and
what makes it a multiple of eight.
"""

import sys
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from lmkit.protocols import F32, F64, I32, U8
from lmkit.word_vectors.alias_sampling import alias_table, packed
from lmkit.word_vectors.sharding import Chunk, share
from lmkit.word_vectors.training_plan import Corpus, TrainingConfig, keep_probabilities, noise

Tables = Sequence[F32]
"""Rows that centre vectors are made of, and those of vectors as context."""
Marks = Sequence[U8]
"""Of both, 1 where a row may have changed, (R,) and (V,)."""


class Kernel(Protocol):
    """How one plan trains on one corpus. Threads may use it at once, each with arrays of its own."""

    @property
    def width(self) -> int:
        """Numbers in a row of the arrays that it works on."""

    @property
    def compiling(self) -> bool:
        """Whether `compile` has found something to compile."""

    def compile(self) -> None:
        """Gets ready."""

    def train(self, ids: I32, chunk: Chunk, vectors: Tables, changed: Marks) -> F64:
        """Trains on ids, changing vectors (R, D') and (V, D') in place: nats of some pairs, and how many these are.

        Marks in `changed` the rows that may have changed.
        """

    def combine(self, base: F32, replicas: F32, changed: U8, begin: int, end: int) -> None:
        """Adds to base[begin:end] of rows (M, D') the change of each replica (W, M, D'), in order.

        The replicas become the same. Only of rows that are marked in `changed`, (W, M), which loses its marks.
        """


class CompiledKernel:
    """Negative sampling in `lmkit.word_vectors.numba_kernels`."""

    def __init__(self, corpus: Corpus, plan: TrainingConfig) -> None:
        self.plan, self.known = plan, _misses()
        self.width = -(-plan.dim // 8) * 8
        self.keep = keep_probabilities(corpus.counts, plan.sample).astype(np.float32)
        self.table = packed(*alias_table(noise(corpus.counts, plan.power)))
        self.composed = corpus.parts
        self.starts, self.parts = np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int32)
        if corpus.parts is not None:
            self.starts, self.parts = corpus.parts.starts, corpus.parts.rows

    @property
    def compiling(self) -> bool:
        """See `Kernel.compiling`."""
        return _misses() > self.known

    def compile(self) -> None:
        """Trains on nothing."""
        from lmkit.word_vectors import numba_kernels

        try:
            self._warm_up()
        except OSError:  # the disk is full, or what is kept there can't be read
            numba_kernels.without_cache()
            self._warm_up()

    def _warm_up(self) -> None:
        nothing, ids = np.zeros((2, 0, self.width), dtype=np.float32), np.zeros(0, dtype=np.int32)
        unmarked = np.zeros((2, 0), dtype=np.uint8)
        self.train(ids, Chunk(0, 0, (0.0, 0.0), 0), (nothing[0], nothing[1]), (unmarked[0], unmarked[1]))
        self.combine(nothing[0], nothing[None, 1], unmarked[:1], 0, 0)

    def train(self, ids: I32, chunk: Chunk, vectors: Tables, changed: Marks) -> F64:
        """See `Kernel.train`."""
        from lmkit.word_vectors import numba_kernels

        plan, found = self.plan, np.zeros(2)
        kept, seed = np.empty(len(ids), dtype=np.int32), np.uint64(chunk.seed)
        held = np.array(ids, dtype=np.int32)  # in memory: an array that can't be written would be compiled for anew
        length = numba_kernels.thin(held, self.keep, seed, kept)
        self._mark(kept[:length], changed[0])
        inputs, outputs = (table.reshape(-1) for table in vectors)
        way = (
            numba_kernels.SKIPGRAM if plan.architecture == "skipgram" else getattr(numba_kernels, plan.combine.upper())
        )
        numba_kernels.train(
            kept, length, inputs, outputs, self.width, plan.window, plan.dynamic, plan.negatives, self.table,
            np.array(chunk.rates), ~seed, found, changed[1], way, self.starts, self.parts,
        )  # fmt: skip
        return found

    def _mark(self, words: I32, changed: U8) -> None:
        """Marks the rows of which some words, (N,), are made."""
        if self.composed is None:
            changed[words] = 1
            return
        there = np.zeros(len(self.keep), dtype=np.bool_)
        there[words] = True
        changed[self.composed.of(np.flatnonzero(there).astype(np.int32))[1]] = 1

    def combine(self, base: F32, replicas: F32, changed: U8, begin: int, end: int) -> None:
        """See `Kernel.combine`."""
        from lmkit.word_vectors import numba_kernels

        flat = base.reshape(-1), replicas.reshape(-1)
        numba_kernels.combine(*flat, changed, self.width, begin, end, share(len(replicas)))


def _misses() -> int:
    """What `compiled.misses` says, which is nothing before it is imported."""
    counted = getattr(sys.modules.get("lmkit.word_vectors.numba_kernels"), "misses", None)
    return counted() if counted else 0
