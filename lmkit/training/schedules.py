"""How the learning rate goes over a run: a factor of its peak at every step. Knows no torch.

warm-up    step / warmup up to step `warmup`
constant   1 afterwards
linear     falls evenly, so that the step after the last would have 0
cosine     (1 + cos(pi x)) / 2 over the same way x from 0 to 1      Loshchilov and Hutter (2017)
noam       sqrt(warmup / step)                                      Vaswani et al. (2017), equation 3
"""

import math
from dataclasses import dataclass

KINDS = ("linear", "cosine", "constant", "noam")
WARMUP = 0.02  # share of the run, where no number of steps is given


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
        gone = (step - warmup) / max(1, total + 1 - warmup)
        if self.kind == "linear":
            return 1.0 - gone
        return (1.0 + math.cos(math.pi * gone)) / 2 if self.kind == "cosine" else 1.0
