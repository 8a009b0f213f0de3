"""What trains a chunk: in compiled code where numba is installed. Knows no rounds.

Shapes: V words, D numbers in a vector, D' numbers in a row: D and what makes it a multiple of eight.
"""

from typing import Any, Protocol

import numpy as np

from lmkit.embedding.aliases import alias_table, packed
from lmkit.embedding.plan import Corpus, Plan, keep_probabilities, noise
from lmkit.embedding.rounds import Chunk, share
from lmkit.protocols import F32, F64, I32


class Kernel(Protocol):
    """How one plan trains on one corpus. Threads may use it at once, each with arrays of its own."""

    @property
    def width(self) -> int:
        """Numbers in a row of the arrays that it works on."""

    def compile(self) -> None:
        """Gets ready, if that takes time."""

    def train(self, ids: I32, chunk: Chunk, vectors: F32) -> F64:
        """Trains on ids, changing vectors (2, V, D') in place: nats of some pairs, and how many these are."""

    def combine(self, base: F32, replicas: F32) -> None:
        """Adds to some numbers (M,) the change of each replica (W, M), in order; the replicas become the same."""


class CompiledKernel:
    """Negative sampling in `lmkit.embedding.compiled`."""

    def __init__(self, corpus: Corpus, plan: Plan) -> None:
        self.plan = plan
        self.width = -(-plan.dim // 8) * 8
        self.keep = keep_probabilities(corpus.counts, plan.sample).astype(np.float32)
        self.table = packed(*alias_table(noise(corpus.counts, plan.power)))

    def compile(self) -> None:
        """Trains on nothing."""
        vectors, ids = np.zeros((2, len(self.keep), self.width), dtype=np.float32), np.zeros(0, dtype=np.int32)
        self.train(ids, Chunk(0, 0, (0.0, 0.0), 0), vectors)
        self.combine(vectors[0].reshape(-1), vectors[1:].reshape(1, -1))

    def train(self, ids: I32, chunk: Chunk, vectors: F32) -> F64:
        """See `Kernel.train`."""
        from lmkit.embedding import compiled

        plan, found = self.plan, np.zeros(2)
        kept, seed = np.empty(len(ids), dtype=np.int32), np.uint64(chunk.seed)
        length = compiled.thin(np.ascontiguousarray(ids), self.keep, seed, kept)
        flat = vectors.reshape(2, -1)
        given: tuple[Any, ...] = (
            kept, length, flat[0], flat[1], self.width, plan.window, plan.dynamic, plan.negatives, self.table,
            np.array(chunk.rates), ~seed, found,
        )  # fmt: skip
        if plan.architecture == "cbow":
            compiled.cbow(*given, plan.combine == "mean")
        else:
            compiled.skipgram(*given)
        return found

    def combine(self, base: F32, replicas: F32) -> None:
        """See `Kernel.combine`."""
        from lmkit.embedding import compiled

        compiled.combine(base, replicas, share(len(replicas)))
