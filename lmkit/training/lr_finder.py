"""Finding a learning rate and a batch by trying: steps of a real trainer, of which nothing is kept."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from weakref import finalize

import numpy as np
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from lmkit.errors import Diverged, LmkitError, Status
from lmkit.training.batches import Batch, next_tokens
from lmkit.training.trainer import Trainer, TrainStep

LOWEST, HIGHEST = 1e-3, 10.0  # of the rates given
RATE_STEPS = 100
SMOOTHING = 0.8  # share of the average before in the average after a step
LOST = 1.25  # times the first loss: worse than having learned nothing
HEADROOM = 0.1  # share of the memory that stays free
HEAP = 1.75  # the C library's heap keeps holes: memory of a process by that of its tensors, at worst


class NothingFits(LmkitError):
    """Not even one row fits."""

    status = Status.NO


# Learning rates.


@dataclass(frozen=True)
class Rising:
    """A schedule that rises exponentially from LOWEST to HIGHEST times the peak rates."""

    def factor(self, step: int, total: int) -> float:
        """The factor at a step from 1 to `total`."""
        return float(LOWEST * (HIGHEST / LOWEST) ** ((step - 1) / max(1, total - 1)))


@dataclass(frozen=True)
class Tried:
    """A step at some share of the rates given: its loss in nats a token, and the average of losses up to it."""

    step: int
    factor: float
    nats: float
    smoothed: float


def learning_rates(trainer: Trainer) -> Iterator[Tried]:
    """The curve of a trainer whose plan has the schedule Rising; ends where the loss is lost. Smith (2017)."""
    weight = average = first = 0.0
    rising = Rising()
    try:
        for event in trainer.run():
            if not isinstance(event, TrainStep):
                continue
            weight = SMOOTHING * weight + 1 - SMOOTHING
            average = SMOOTHING * average + (1 - SMOOTHING) * event.loss
            smoothed = average / weight
            first = first or smoothed
            yield Tried(event.step, rising.factor(event.step, event.total), event.loss, smoothed)
            if smoothed > LOST * first:
                return
    except Diverged:
        return


def suggestion(curve: list[Tried]) -> float:
    """The factor of the rates to take: where the average loss was least, less what the average lags behind.

    The loss of a rising rate is least where the rate begins to do harm, so that a run wants less: a third.
    """
    least = min(curve, key=lambda tried: tried.smoothed)
    return least.factor / 3


# Batches.


class Peak(TorchDispatchMode):  # type: ignore[no-untyped-call,unused-ignore]
    """Follows the memory of all tensors while it is entered: `most` bytes were held at once."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call,unused-ignore]
        self.most = self._now = 0
        self._sizes: dict[int, int] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(out):
            if isinstance(leaf, Tensor):
                self._hold(leaf.untyped_storage())
        return out

    def _hold(self, storage: Any) -> None:
        place = storage._cdata
        if place not in self._sizes:
            self._sizes[place] = storage.nbytes()
            self._now += storage.nbytes()
            self.most = max(self.most, self._now)
            finalize(storage, self._drop, place).atexit = False

    def _drop(self, place: int) -> None:
        self._now -= self._sizes.pop(place)


@dataclass(frozen=True)
class FullRows:
    """Batches of `rows` whole rows of `time` tokens: none takes more memory."""

    rows: int
    time: int

    def batch(self, number: int) -> Batch:
        """See `Batches`."""
        zeros = np.zeros((self.rows, self.time), dtype=np.int32)
        return next_tokens(zeros, zeros)


def step_bytes(make: Callable[[FullRows], Trainer], rows: int, time: int) -> int:
    """Bytes that training takes with batches of `rows`: weights, moments, gradients and what lies between.

    A step is taken with every tensor followed. On a CPU the heap is allowed for by HEAP.
    """
    peak = Peak()
    with peak:
        trainer = make(FullRows(rows, time))
        next(trainer.run())
        on_cpu = trainer.network.device.type == "cpu"
    return int(peak.most * (HEAP if on_cpu else 1.0))


@dataclass(frozen=True)
class Fit:
    """How many rows, and the bytes that they take."""

    rows: int
    bytes: int


def largest_batch(measure: Callable[[int], int], memory: int, most: int) -> Iterator[Fit]:
    """Every batch that was measured, the largest last that leaves HEADROOM of `memory` free, up to `most` rows.

    Rows double while they fit by the line through the last two measured; then bisection along that
    line, so that nothing is run that would not fit. Raises NothingFits.
    """
    limit = int(memory * (1 - HEADROOM))
    last = Fit(1, measure(1))
    if last.bytes > limit:
        raise NothingFits(
            f"a batch of 1 takes {last.bytes:,} bytes; {memory:,} less a tenth are {limit:,}",
            hint="a shorter context, fewer --layers, a smaller --width, or more --mem-limit",
        )
    yield last
    if most == 1 or (second := Fit(2, measure(2))).bytes > limit:
        return
    before, last = last, second
    yield last

    def fits(rows: int) -> bool:
        slope = (last.bytes - before.bytes) / (last.rows - before.rows)
        return last.bytes + slope * (rows - last.rows) <= limit

    while last.rows < most and fits(next_rows := min(2 * last.rows, most)):
        measured = Fit(next_rows, measure(next_rows))
        if measured.bytes > limit:
            break
        before, last = last, measured
        yield last
    low, _ = _bisected(fits, last.rows, min(2 * last.rows, most + 1))
    if low > last.rows:
        found = Fit(low, measure(low))
        if found.bytes > limit:  # the line rose on the way
            low, _ = _bisected(lambda rows: measure(rows) <= limit, last.rows, low)
            found = Fit(low, measure(low))
        yield found


def _bisected(fits: Callable[[int], bool], low: int, high: int) -> tuple[int, int]:
    """The last that fits and the first that doesn't, given one of each."""
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low, high
