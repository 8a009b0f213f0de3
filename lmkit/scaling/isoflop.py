"""IsoFLOP analysis: the best size for each compute budget, and how it grows. Hoffmann et al. (2022), approach 2.

Runs of one budget C that differ in size lie in a valley, L = p + q x + r x^2 with x = ln N. Its lowest point is the
optimum N*(C); D*(C) is the number of tokens there. Over budgets both are power laws:

    N* = G C^a        D* = H C^b

Intervals are those of a residual bootstrap: noise in proportion to the loss, drawn from the residuals of all
valleys, each divided by sqrt(1 - leverage) (Davison and Hinkley 1997, section 6.2).

B budgets, R runs, S resamples.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lmkit.errors import DataError
from lmkit.protocols import F64, I64
from lmkit.scaling import power_law
from lmkit.scaling.frontier import Frontier, through
from lmkit.scaling.runs import Runs

SIZES = 3
"""Sizes that a parabola needs."""
FAR = 1000.0
"""How far from the swept sizes an optimum may be at most."""
OUTLYING, TIMES = 0.05, 10.0
"""How far an outlier is from the curve of the others at least: as a share of the loss, and as many times as they are.

And at least half as far as their losses differ, since no wide valley is a parabola.
"""


@dataclass(frozen=True)
class Valley:
    """The valley of one budget."""

    flops: float
    """The geometric mean of its runs."""
    parameters: float
    """N*, the optimum."""
    tokens: float
    loss: float
    """The loss at the optimum."""
    curvature: float
    """r, in nats for each square of ln N."""
    smallest: float
    largest: float
    """The sizes that were swept."""

    @property
    def inside(self) -> bool:
        """Whether the optimum lies within the swept sizes."""
        return self.smallest <= self.parameters <= self.largest


@dataclass(frozen=True)
class IsoFlop:
    """Valleys and the laws of their optima."""

    valleys: Sequence[Valley]
    frontier: Frontier


class _Parabola:
    """L over x = ln N for the runs of one budget, whose design is fixed while losses vary."""

    def __init__(self, runs: Runs) -> None:
        self.runs = runs
        self.centre = float(np.log(runs.parameters).mean())
        x = np.log(runs.parameters) - self.centre
        self.scale = float(np.abs(x).max())
        design = np.vander(x / self.scale, 3, increasing=True)  # (R, 3)
        self.solver = np.linalg.pinv(design)
        hat = design @ self.solver
        self.fitted: F64 = hat @ runs.loss
        self.freedom: F64 = np.clip(1 - np.diag(hat), 0, 1)
        """1 less the leverage of each run."""
        of_tokens = np.log(runs.tokens)
        slope, base = power_law.lines(x, of_tokens[None])
        self.tokens_slope, self.tokens_base = float(slope[0]), float(base[0])

    def optima(self, losses: F64) -> tuple[F64, F64, F64, F64]:
        """Return ln N*, ln D*, loss there and curvature, (S,) each, of (S, R) losses; NaN without a valley."""
        p, q, r = losses @ self.solver.T[:, 0], losses @ self.solver.T[:, 1], losses @ self.solver.T[:, 2]
        r = np.where(r > 0, r, np.nan)
        lowest = -q / (2 * r) * self.scale
        found: F64 = r / self.scale**2
        return (
            lowest + self.centre,
            self.tokens_base + self.tokens_slope * lowest,
            p - q * q / (4 * r),
            found,
        )


def fit(runs: Runs, *, tolerance: float, resamples: int, level: float, seed: int) -> IsoFlop:
    """Fit a parabola to each budget, and power laws to their optima.

    Raises DataError for fewer than two budgets, a budget of fewer than three sizes, and losses without a valley.
    """
    parabolas = [_parabola(runs.of(places)) for places in runs.budgets(tolerance)]
    if len(parabolas) < 2:
        raise DataError(
            f"all runs are of one budget, {geometric_mean(runs.flops):.4g} FLOPs: exponents need at least 2 budgets",
            hint="add runs of another budget",
        )
    valleys = [_valley(parabola) for parabola in parabolas]
    columns = np.array([(valley.flops, valley.parameters, valley.tokens, valley.loss) for valley in valleys]).T
    return IsoFlop(valleys, through(Runs(*columns), _resampled(parabolas, resamples, seed), level))


def _parabola(runs: Runs) -> _Parabola:
    sizes = len(np.unique(runs.parameters))
    if sizes < SIZES:
        raise DataError(
            f"{_shown(runs)} has {sizes} {'size' if sizes == 1 else 'sizes'}: a valley needs at least {SIZES}",
            hint="add runs, or --tolerance joins budgets that are close",
        )
    return _Parabola(runs)


def _shown(runs: Runs) -> str:
    return f"budget {geometric_mean(runs.flops):.4g}"


def geometric_mean(values: F64) -> float:
    """Return exp of the mean logarithm of (R,) values; the value where all are equal."""
    return float(values[0] if np.ptp(values) == 0 else np.exp(np.log(values).mean()))


def _valley(parabola: _Parabola) -> Valley:
    runs = parabola.runs
    sizes, tokens, loss, curvature = (float(found[0]) for found in parabola.optima(runs.loss[None]))
    if math.isnan(sizes):
        raise DataError(
            f"{_shown(runs)}: losses have no lowest point between sizes, they bend down", hint="sweep more sizes"
        )
    smallest, largest = float(runs.parameters.min()), float(runs.parameters.max())
    if not math.log(smallest / FAR) < sizes < math.log(largest * FAR):
        raise DataError(
            f"{_shown(runs)}: the optimum is far beyond the swept sizes, {smallest:.4g} to {largest:.4g}",
            hint="sweep sizes around the optimum",
        )
    return Valley(geometric_mean(runs.flops), math.exp(sizes), math.exp(tokens), loss, curvature, smallest, largest)


def _resampled(parabolas: Sequence[_Parabola], resamples: int, seed: int) -> F64 | None:
    """Return ln N*, ln D* and ln L*, (3, S, B), of resampled losses; None without residuals."""
    residuals = np.concatenate([_relative_residuals(parabola) for parabola in parabolas])
    if not resamples or len(residuals) < 2:
        return None
    residuals -= residuals.mean()
    random = np.random.Generator(np.random.Philox(seed))
    drawn = np.empty((3, resamples, len(parabolas)))
    for place, parabola in enumerate(parabolas):
        noise = residuals[random.integers(len(residuals), size=(resamples, len(parabola.runs)))]
        sizes, tokens, loss, _ = parabola.optima(parabola.fitted * (1 + noise))
        drawn[:, :, place] = sizes, tokens, np.log(np.where(loss > 0, loss, np.nan))
    return drawn


def _relative_residuals(parabola: _Parabola) -> F64:
    free = parabola.freedom > 1e-6
    found: F64 = ((parabola.runs.loss - parabola.fitted) / parabola.fitted)[free] / np.sqrt(parabola.freedom[free])
    return found


def outliers(runs: Runs, tolerance: float) -> list[tuple[int, float]]:
    """Return the places of runs that lie far from the curve of the others of their budget, and the loss expected.

    Of budgets of fewer than five sizes nothing can be said.
    """
    found = []
    for places in runs.budgets(tolerance):
        one = runs.of(places)
        if len(np.unique(one.parameters)) < SIZES + 2:
            continue
        worst = _worst(one)
        if worst is not None:
            found.append((int(places[worst[0]]), worst[1]))
    return found


def _worst(runs: Runs) -> tuple[int, float] | None:
    """Return the run without which the others fit a parabola best, if it is far, and the loss expected there."""
    x = np.log(runs.parameters) - np.log(runs.parameters).mean()
    spread, place, expected = min(_without(x, runs.loss, place) for place in range(len(runs)))
    others = np.delete(runs.loss, place)
    least = max(OUTLYING * abs(expected), TIMES * spread, float(np.ptp(others)) / 2)
    return (place, expected) if abs(expected - runs.loss[place]) > least else None


def _without(x: F64, loss: F64, place: int) -> tuple[float, int, float]:
    """Return how far the other runs are from their parabola (root mean square), the place, and the loss there."""
    others: I64 = np.delete(np.arange(len(x)), place)
    curve = np.polynomial.Polynomial.fit(x[others], loss[others], 2)
    return float(np.sqrt(np.mean((curve(x[others]) - loss[others]) ** 2))), place, float(curve(x[place]))
