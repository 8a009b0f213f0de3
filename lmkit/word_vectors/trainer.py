"""From a stream of ids to word vectors, in rounds that replicas work on side by side. Opens no file, prints nothing.

In a round each of `workers` replicas of the vectors is trained on a chunk of its own, and the changes of all
are summed. Which chunk is whose and which random numbers it gets depends on the plan alone, so that the
result is the same with any number of threads.
"""

import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from importlib.util import find_spec
from itertools import pairwise

import numpy as np

from lmkit.errors import DataError, Diverged
from lmkit.protocols import F32, F64
from lmkit.word_vectors.kernels import CompiledKernel, Kernel
from lmkit.word_vectors.numpy_kernels import NumpyKernel
from lmkit.word_vectors.sharding import Shards
from lmkit.word_vectors.training_plan import (
    FIRST_WORD,
    Compiled,
    Compiling,
    Corpus,
    Event,
    Progress,
    State,
    TrainingConfig,
    Vectors,
    initial,
)

OFTEN = 0.05
"""Seconds between two looks at whether code is being compiled."""


def compiled(plan: TrainingConfig) -> bool:
    """Whether a training would run as compiled code: negative sampling, where numba is installed."""
    return plan.loss == "negative-sampling" and find_spec("numba") is not None


def train(
    corpus: Corpus, plan: TrainingConfig, state: State | None = None, *, threads: int = 1, hogwild: bool = False,
) -> Iterator[Event]:  # fmt: skip
    """Trains vectors: yields Progress after each round and at last Vectors, each (V, D).

    `state` is where to begin: `plan.initial`, perhaps with rows changed, or the state of a Progress event.
    A training that resumes from a state gives the same bytes as one that never stopped. With `hogwild`
    threads share the vectors: no replicas, faster, and not the same bytes twice (Recht et al. 2011).

    Where words have parts `Vectors.centre` has all rows, and `Parts.means` makes vectors of them.

    Raises DataError if the corpus has no two words to train with, Diverged if the learning rate is far too high.
    """
    if np.count_nonzero(corpus.counts[FIRST_WORD:]) < 2:
        raise DataError("nothing to train with: the corpus has fewer than two different words")
    kernel: Kernel = CompiledKernel(corpus, plan) if compiled(plan) else NumpyKernel(corpus, plan)
    state = initial(len(corpus.counts), plan, corpus.rows) if state is None else state
    rounds = Shards.of(plan, len(corpus.ids), (len(corpus.counts) + corpus.rows) // 2)
    with ThreadPoolExecutor(threads) as pool:
        yield from _compile(kernel, pool)
        parts = -(-threads // rounds.workers) if hogwild else 1
        team = _Team(kernel, pool, threads, state.vectors, 1 if hogwild else rounds.workers, parts)
        vectors = Vectors(*(table[:, : plan.dim] for table in team.tables(team.base)))
        for number in range(state.rounds, len(rounds)):
            found = team.work(corpus, rounds, number)
            if not team.finite:
                raise Diverged(f"the vectors grew beyond all numbers: a learning rate of {plan.lr:g} is too high")
            at = min(rounds.position((number + 1) * rounds.workers), rounds.length * plan.epochs)
            words, total = corpus.words * at // rounds.length, corpus.words * plan.epochs
            nats = float(found[0] / found[1]) if found[1] else 0.0
            yield Progress(words, total, rounds.rate(at), nats, State(vectors, number + 1))
    yield Vectors(*(np.ascontiguousarray(part) for part in vectors))


def _compile(kernel: Kernel, pool: ThreadPoolExecutor) -> Iterator[Event]:
    """Has the kernel get ready; reports it if there is code to compile that is not cached."""
    begun, told = time.perf_counter(), False
    ready = pool.submit(kernel.compile)
    while not ready.done():
        wait([ready], OFTEN)
        if not told and kernel.compiling:
            told = True
            yield Compiling()
    ready.result()
    if told:
        yield Compiled(time.perf_counter() - begun)


class _Team:
    """Replicas of the vectors, and the threads that train them.

    `base` has all numbers in one row, those of centre vectors first, and so has each replica.
    """

    def __init__(
        self, kernel: Kernel, pool: ThreadPoolExecutor, threads: int, start: Vectors, replicas: int, parts: int
    ) -> None:
        self.kernel, self.pool, self.threads, self.parts = kernel, pool, threads, parts
        self._border = len(start.centre)
        self.base: F32 = np.zeros((self._border + len(start.context)) * kernel.width, dtype=np.float32)
        for table, begun in zip(self.tables(self.base), start, strict=True):
            table[:, : begun.shape[1]] = begun
        self.replicas = np.stack([self.base] * replicas) if replicas > 1 else self.base[None]
        self.changed = np.zeros((len(self.replicas), len(self.base) // kernel.width), dtype=np.uint8)

    def tables(self, numbers: F32) -> tuple[F32, F32]:
        """Centre and context vectors of a row, (R, D') and (V, D')."""
        centre, context = np.split(numbers, [self._border * self.kernel.width])
        return centre.reshape(-1, self.kernel.width), context.reshape(-1, self.kernel.width)

    @property
    def finite(self) -> bool:
        """Whether all vectors are numbers, as their sum tells."""
        with np.errstate(over="ignore", invalid="ignore"):
            return bool(np.isfinite(self.base.sum()))

    def work(self, corpus: Corpus, rounds: Shards, number: int) -> F64:
        """One round: what was found by all."""
        jobs: list[Future[F64]] = []
        for worker, chunk in enumerate(rounds[number]):
            replica = worker % len(self.replicas)
            own = self.tables(self.replicas[replica]), np.split(self.changed[replica], [self._border])
            for part in chunk.split(self.parts):
                jobs.append(self.pool.submit(self.kernel.train, corpus.ids[part.begin : part.end], part, *own))
        found: F64 = np.sum([job.result() for job in jobs], axis=0)
        if len(self.replicas) > 1:
            self._combine()
        return found

    def _combine(self) -> None:
        count, width = len(self.replicas), self.kernel.width
        base, replicas = self.base.reshape(-1, width), self.replicas.reshape(count, -1, width)
        borders = [len(base) * part // self.threads for part in range(self.threads + 1)]
        for job in [
            self.pool.submit(self.kernel.combine, base, replicas, self.changed, *pair) for pair in pairwise(borders)
        ]:
            job.result()
