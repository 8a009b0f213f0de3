"""numpy's own threads on the product of one big matrix and one vector, when they pay. Knows no model.

They hand over in no time, as they wait for one another by spinning; so on idle cores they
are much faster than one thread, and where others do many times slower. Which it is is measured all the while.
The bits are those of one thread either way: threads share the rows evenly, so that with a number of rows that
each has in whole blocks every sum is made as before. Whether that is so is seen to, once for each matrix.

Shapes: I inputs, M outputs.
"""

import ctypes
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from time import perf_counter

import numpy as np

from lmkit.inference import thread_pool
from lmkit.protocols import F32

SHARED = 1 << 18  # numbers in a matrix from which on several threads may share it
NAMES = (
    "scipy_openblas_set_num_threads64_", "scipy_openblas_set_num_threads",
    "openblas_set_num_threads64_", "openblas_set_num_threads",
)  # fmt: skip
"""What OpenBLAS calls the function that sets its threads: as it comes with numpy, and as systems have it."""
PHASE = 1 << 26  # numbers multiplied in one way, before it is asked which is the faster
GAIN = 0.9  # of the time that one thread takes: what several must stay below
LONGEST = 64  # phases of one thread, at most, before several are tried again
OFTEN = 32  # phases of several threads, at most, before one is timed again


@cache
def setter() -> Callable[[int], object] | None:
    """What sets the number of numpy's threads; none where its products are not OpenBLAS's."""
    try:
        library = ctypes.CDLL(import_module("numpy._core._multiarray_umath").__file__)  # and what it is linked with
    except (ImportError, OSError):
        return None
    return next((getattr(library, name) for name in NAMES if hasattr(library, name)), None)


@contextmanager
def alone() -> Iterator[None]:
    """Has OpenBLAS use one thread meanwhile, whatever it used before, so that sums do not depend on that number."""
    use, count = setter(), _getter()
    if use is None or count is None:
        yield
        return
    before = count()
    use(1)
    try:
        yield
    finally:
        use(before)


@cache
def _getter() -> Callable[[], int] | None:
    """What tells the number of numpy's threads; none where `setter` gives none."""
    use = setter()
    if use is None:
        return None
    library = ctypes.CDLL(import_module("numpy._core._multiarray_umath").__file__)
    return getattr(library, use.__name__.replace("_set_", "_get_"), None)


class Pace:
    """Which is the faster, one thread or several, as it has been of late."""

    def __init__(self) -> None:
        self.together = False
        self._alone = math.inf  # seconds for each number
        self._left, self._wait = 1, 1
        self._seconds, self._numbers = 0.0, 0

    def add(self, numbers: int, seconds: float) -> None:
        """So many numbers of matrices were multiplied in so many seconds, together or not."""
        self._seconds += seconds
        self._numbers += numbers
        slow = self.together and self._seconds > GAIN * self._alone * max(PHASE, self._numbers)
        if self._numbers < PHASE and not slow:
            return
        self._left -= 1
        if not self.together:
            self._alone = self._seconds / self._numbers
            if self._left <= 0:
                self.together, self._left = True, OFTEN
        elif slow:
            self.together, self._left = False, self._wait
            self._wait = min(2 * self._wait, LONGEST)
        else:
            self._wait = max(1, self._wait // 2)
            if self._left <= 0:
                self.together, self._left = False, 1
        self._seconds, self._numbers = 0.0, 0


pace = Pace()


class Matrix:
    """A matrix (M, I) that is multiplied by vectors."""

    def __init__(self, weight: F32) -> None:
        self._weight = weight
        self._alike: dict[int, bool] = {}

    def dot(self, x: F32, out: F32) -> None:
        """W x, (I,) to (M,), with the same bits whatever the number of threads."""
        threads = thread_pool.thread_count()
        if threads == 1 or self._weight.size < SHARED or setter() is None:
            np.dot(self._weight, x, out)
        elif threads not in self._alike:
            np.dot(self._weight, x, out)
            other = np.empty_like(out)
            self._shared(x, other, threads)
            self._alike[threads] = bool((out.view(np.uint32) == other.view(np.uint32)).all())
        else:
            begun = perf_counter()
            if pace.together and self._alike[threads]:
                self._shared(x, out, threads)
            else:
                np.dot(self._weight, x, out)
            pace.add(self._weight.size, perf_counter() - begun)

    def _shared(self, x: F32, out: F32, threads: int) -> None:
        unit = thread_pool.ROWS * threads
        rest = len(out) % unit
        rows = len(out) - (rest if rest != 1 else rest + unit)  # of one row alone numpy makes another kind of product
        use = setter()
        assert use is not None
        try:
            use(threads)
            np.dot(self._weight[:rows], x, out[:rows])
        finally:
            use(1)
        if rows < len(out):
            np.dot(self._weight[rows:], x, out[rows:])
