"""What trains a chunk: in compiled code where numba is installed. Knows no rounds.

Shapes: V words, D numbers in a vector, D' numbers in a row: D and what makes it a multiple of eight.
"""

import sys
from typing import Any, Protocol

import numpy as np

from lmkit.embedding.aliases import alias_table, packed
from lmkit.embedding.plan import Corpus, Plan, keep_probabilities, noise
from lmkit.embedding.rounds import Chunk, share
from lmkit.protocols import F32, F64, I32, U8


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

    def train(self, ids: I32, chunk: Chunk, vectors: F32, changed: U8) -> F64:
        """Trains on ids, changing vectors (2, V, D') in place: nats of some pairs, and how many these are.

        Marks in `changed`, (2, V), the vectors that may have changed.
        """

    def combine(self, base: F32, replicas: F32, changed: U8, begin: int, end: int) -> None:
        """Adds to base[begin:end] of vectors (M, D') the change of each replica (W, M, D'), in order.

        The replicas become the same. Only of vectors that are marked in `changed`, (W, M), which loses its marks.
        """


class CompiledKernel:
    """Negative sampling in `lmkit.embedding.compiled`."""

    def __init__(self, corpus: Corpus, plan: Plan) -> None:
        self.plan, self.known = plan, _misses()
        self.width = -(-plan.dim // 8) * 8
        self.keep = keep_probabilities(corpus.counts, plan.sample).astype(np.float32)
        self.table = packed(*alias_table(noise(corpus.counts, plan.power)))

    @property
    def compiling(self) -> bool:
        """See `Kernel.compiling`."""
        return _misses() > self.known

    def compile(self) -> None:
        """Trains on nothing."""
        from lmkit.embedding import compiled

        try:
            self._warm_up()
        except OSError:  # the disk is full, or what is kept there can't be read
            compiled.without_cache()
            self._warm_up()

    def _warm_up(self) -> None:
        vectors, ids = np.zeros((2, len(self.keep), self.width), dtype=np.float32), np.zeros(0, dtype=np.int32)
        changed = np.zeros(vectors.shape[:2], dtype=np.uint8)
        self.train(ids, Chunk(0, 0, (0.0, 0.0), 0), vectors, changed)
        self.combine(vectors[0], vectors[None, 0], changed[:1], 0, 0)

    def train(self, ids: I32, chunk: Chunk, vectors: F32, changed: U8) -> F64:
        """See `Kernel.train`."""
        from lmkit.embedding import compiled

        plan, found = self.plan, np.zeros(2)
        kept, seed = np.empty(len(ids), dtype=np.int32), np.uint64(chunk.seed)
        held = np.array(ids, dtype=np.int32)  # in memory: an array that can't be written would be compiled for anew
        length = compiled.thin(held, self.keep, seed, kept)
        changed[0][kept[:length]] = 1
        flat = vectors.reshape(2, -1)
        given: tuple[Any, ...] = (
            kept, length, flat[0], flat[1], self.width, plan.window, plan.dynamic, plan.negatives, self.table,
            np.array(chunk.rates), ~seed, found, changed[1],
        )  # fmt: skip
        if plan.architecture == "cbow":
            compiled.cbow(*given, plan.combine == "mean")
        else:
            compiled.skipgram(*given)
        return found

    def combine(self, base: F32, replicas: F32, changed: U8, begin: int, end: int) -> None:
        """See `Kernel.combine`."""
        from lmkit.embedding import compiled

        flat = base.reshape(-1), replicas.reshape(-1)
        compiled.combine(*flat, changed, self.width, begin, end, share(len(replicas)))


def _misses() -> int:
    """What `compiled.misses` says, which is nothing before it is imported."""
    counted = getattr(sys.modules.get("lmkit.embedding.compiled"), "misses", None)
    return counted() if counted else 0
