"""Training runs of a sweep: compute, size, data and final loss of each.

C FLOPs, N parameters, D tokens, L loss in nats a token; R runs.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lmkit.protocols import F64, I64


@dataclass(frozen=True)
class Runs:
    """Runs as columns, (R,) each, all positive."""

    flops: F64
    parameters: F64
    tokens: F64
    loss: F64

    def __len__(self) -> int:
        return len(self.loss)

    def of(self, chosen: npt.NDArray[np.bool_] | I64) -> "Runs":
        """Return some of the runs, by a mask or by their places."""
        return Runs(self.flops[chosen], self.parameters[chosen], self.tokens[chosen], self.loss[chosen])

    def budgets(self, tolerance: float) -> list[I64]:
        """Return the places of the runs of each budget, smallest first.

        The runs of a budget have at most `1 + tolerance` times the FLOPs of its smallest one.
        """
        found: list[I64] = []
        order = np.argsort(self.flops, kind="stable")
        begin = 0
        for place in range(1, len(order) + 1):
            if place == len(order) or self.flops[order[place]] > self.flops[order[begin]] * (1 + tolerance):
                found.append(np.sort(order[begin:place]))
                begin = place
        return found
