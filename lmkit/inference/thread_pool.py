"""Several threads on one product of matrices, whose sums are the same whatever their number. Knows no model.

numpy's own threads part the sums of a product with several vectors by their number, and wait for one another
by spinning, which on a busy machine takes many times longer than the work. So numpy multiplies with one thread,
and these share the rows of a matrix, split into the same blocks whatever the number of threads.
They sleep until they are called, which takes too long for a product with one vector: see `blas` for that.
"""

import os
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from threading import Thread
from typing import Any

import numpy as np

BLOCKS = 8
"""Number of row blocks per matrix product, an upper bound on its threads."""
ROWS = 16
"""Row blocks are multiples of this, the rows that BLAS multiplies together."""

Job = Callable[[], Any]


class _ThreadPool:
    """The threads beside the one that asks, which start when they are first needed."""

    def __init__(self) -> None:
        self.size = 1
        self._process = 0
        self._jobs: list[SimpleQueue[Sequence[Job] | None]] = []
        self._threads: list[Thread] = []
        self._done: SimpleQueue[BaseException | None] = SimpleQueue()

    def run(self, jobs: Sequence[Job]) -> None:
        """Does all jobs, shared evenly, and waits for them."""
        hands = min(self.size, len(jobs))
        if hands < 2:
            for job in jobs:
                job()
            return
        self._start(hands - 1)
        for number in range(1, hands):
            self._jobs[number - 1].put(jobs[number::hands])
        failures: list[BaseException | None] = []
        try:
            for job in jobs[::hands]:
                job()
        finally:
            failures += [self._done.get() for _ in range(1, hands)]
        for failure in failures:
            if failure is not None:
                raise failure

    def rest(self) -> None:
        """From now on there is one thread, and no other is left."""
        self.size = 1
        for jobs in self._jobs:
            jobs.put(None)
        for thread in self._threads:
            thread.join()
        self._jobs, self._threads = [], []

    def _start(self, count: int) -> None:
        if self._process != os.getpid():  # threads do not come along into a forked process
            self._process, self._jobs, self._threads, self._done = os.getpid(), [], [], SimpleQueue()
        while len(self._jobs) < count:
            jobs: SimpleQueue[Sequence[Job] | None] = SimpleQueue()
            self._jobs.append(jobs)
            self._threads.append(Thread(target=_work, args=(jobs, self._done), daemon=True))
            self._threads[-1].start()


def _work(wanted: "SimpleQueue[Sequence[Job] | None]", done: "SimpleQueue[BaseException | None]") -> None:
    with np.errstate(all="ignore"):  # callers check for NaN and inf
        while (jobs := wanted.get()) is not None:
            try:
                for job in jobs:
                    job()
                done.put(None)
            except BaseException as failure:
                done.put(failure)


_crew = _ThreadPool()
run, shutdown = _crew.run, _crew.rest


def use(threads: int) -> None:
    """From now on products are shared by so many threads."""
    _crew.size = threads


def row_blocks(rows: int, blocks: int) -> list[slice]:
    """Rows in at most so many blocks, each but the last of a multiple of ROWS."""
    step = -(-rows // (blocks * ROWS)) * ROWS
    return [slice(begin, min(begin + step, rows)) for begin in range(0, rows, step)]


def thread_count() -> int:
    """How many threads share products."""
    return _crew.size
