"""How long a run is, and the learning rate over it: a factor of its peak at every step. Knows no torch.

warm-up    step / warmup up to step `warmup`
constant   1 afterwards
linear     falls evenly, so that the step after the last would have 0
wsd        1 up to 30 % of the run, then as linear: warm-up, stable, decay       Hu et al. (2024), section 4
cosine     (1 + cos(pi x)) / 2 over the same way x from 0 to 1      Loshchilov and Hutter (2017)
noam       sqrt(warmup / step)                                      Vaswani et al. (2017), equation 3
"""

import math
from dataclasses import dataclass
from typing import Protocol

KINDS = ("linear", "wsd", "cosine", "constant", "noam")
STEPS = 500  # where neither steps nor a budget are given
EVALUATIONS = 10  # of a run whose weights are chosen by them, where no interval is given
WARMUP = 0.02  # share of the run, where no number of steps is given
STABLE = 0.3  # share of the run after which `wsd` decays


@dataclass(frozen=True)
class Budget:
    """Seconds, tokens or floating-point operations that a run may take."""

    amount: float
    unit: str
    """`s`, `tokens` or `flops`."""

    def length(self, tokens_a_step: int, flops_a_token: int) -> tuple[int | None, float | None]:
        """Return the steps, or else the seconds, of a run."""
        if self.unit == "s":
            return None, self.amount
        tokens = self.amount if self.unit == "tokens" else self.amount / flops_a_token
        return max(1, round(tokens / tokens_a_step)), None


def evaluation_interval(every: int, steps: int | None, *, needed: bool) -> int:
    """Return the steps between two evaluations, 0: only at the end; where they are `needed`, some of the run."""
    return every if every or not needed else max(1, (steps or STEPS) // EVALUATIONS)


class RateSchedule(Protocol):
    """A factor of the peak learning rates at each step."""

    def factor(self, step: int, total: int) -> float:
        """The factor at a step from 1 to `total`."""


@dataclass(frozen=True)
class Schedule:
    """A kind and the steps of its warm-up, None: a fixed share of the run."""

    kind: str = "linear"
    warmup: int | None = None

    def factor(self, step: int, total: int) -> float:
        """The factor at a step from 1 to `total`."""
        warmup = max(1, round(WARMUP * total)) if self.warmup is None else self.warmup
        if step < warmup:
            return step / warmup
        if self.kind == "noam":
            return math.sqrt(max(1, warmup) / step)
        begin = max(warmup, round(STABLE * total)) if self.kind == "wsd" else warmup
        gone = max(0, step - begin) / max(1, total + 1 - begin)
        if self.kind in {"linear", "wsd"}:
            return 1.0 - gone
        return (1.0 + math.cos(math.pi * gone)) / 2 if self.kind == "cosine" else 1.0
