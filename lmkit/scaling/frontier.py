"""The compute-optimal frontier: how the best size, data and loss grow with compute. Hoffmann et al. (2022).

    N* = G C^a        D* = H C^b        L* = K C^c

The law of the loss has no floor (Kaplan et al. 2020), so that it is too low far beyond the runs.
B budgets, S resamples.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from lmkit.errors import DataError
from lmkit.protocols import F64
from lmkit.scaling import power_law
from lmkit.scaling.intervals import Interval, percentile
from lmkit.scaling.power_law import PowerLaw
from lmkit.scaling.runs import Runs


@dataclass(frozen=True)
class Frontier:
    """The three laws, and intervals of their exponents `a`, `b` and `c`: None where nothing tells how sure they are."""

    size: PowerLaw
    data: PowerLaw
    loss: PowerLaw
    intervals: Mapping[str, Interval | None]

    @property
    def constants(self) -> dict[str, float]:
        """Exponents, and natural logarithms of the factors G, H and K."""
        return {
            "a": self.size.exponent, "b": self.data.exponent, "c": self.loss.exponent, "log_G": self.size.log_factor,
            "log_H": self.data.log_factor, "log_K": self.loss.log_factor,
        }  # fmt: skip


def through(optima: Runs, drawn: F64 | None, level: float) -> Frontier:
    """Return the laws of the optima of (B,) budgets; `drawn` are ln N*, ln D* and ln L* resampled, (3, S, B)."""
    laws = [power_law.fitted(optima.flops, values) for values in (optima.parameters, optima.tokens, optima.loss)]
    intervals: dict[str, Interval | None] = dict.fromkeys("abc")
    if drawn is not None:
        budgets = np.log(optima.flops)
        intervals = {
            name: percentile(power_law.lines(budgets, values)[0], level)
            for name, values in zip("abc", drawn, strict=True)
        }
    return Frontier(laws[0], laws[1], laws[2], intervals)


def through_optima(optima: Runs, *, resamples: int, level: float, seed: int) -> Frontier:
    """Return the laws of runs that are optima, one for each budget; intervals are those of a residual bootstrap.

    Each residual is divided by sqrt(1 - leverage). Raises DataError for fewer than two budgets.
    """
    if len(optima) < 2:
        raise DataError("1 budget cannot tell an exponent: expected at least 2", hint="add runs of another budget")
    if not resamples or len(optima) < 3:
        return through(optima, None, level)
    x = np.log(optima.flops)
    centred = x - x.mean()
    free = np.sqrt(1 - 1 / len(x) - centred**2 / (centred @ centred))
    y = np.log(np.stack((optima.parameters, optima.tokens, optima.loss)))  # (3, B)
    slopes, intercepts = power_law.lines(x, y)
    line = slopes[:, None] * x + intercepts[:, None]
    residuals = (y - line) / np.maximum(free, 1e-9)
    random = np.random.Generator(np.random.Philox(seed))
    places = random.integers(len(x), size=(resamples, len(x)))
    residuals -= residuals.mean(axis=1, keepdims=True)
    return through(optima, line[:, None] + residuals[:, places], level)
