"""The parametric law of loss, L = E + A / N^alpha + B / D^beta. Hoffmann et al. (2022), approach 3.

Minimises the sum over runs of Huber losses of ln L' - ln L, where ln L' is the log-sum-exp of

    a - alpha ln N        b - beta ln D        e        with a = ln A, b = ln B, e = ln E

Their sum, not their mean: with a mean, optimizers stop early (Besiroglu et al. 2024). Starts are a grid of exponents,
for each of which E, A and B follow by linear least squares. Intervals: runs are drawn again, with replacement.

R runs, S starts or resamples; numbers of a point in the order a, b, e, alpha, beta.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from lmkit import lbfgs
from lmkit.errors import DataError
from lmkit.protocols import F64, I64
from lmkit.scaling.intervals import Interval, percentile
from lmkit.scaling.runs import Runs

DELTA = 1e-3
"""Where the Huber loss of ln L turns from a parabola into a line."""
GRID = np.linspace(0.1, 1.0, 10)
"""Exponents to start from."""
NUMBERS = 5
TOGETHER = 0.999
"""The correlation of ln N and ln D from which on runs cannot tell both terms apart."""
CONSTANTS = ("E", "A", "B", "alpha", "beta")


@dataclass(frozen=True)
class Law:
    """The law's constants."""

    E: float
    A: float
    B: float
    alpha: float
    beta: float

    @property
    def a(self) -> float:
        """The exponent of the optimal size: N* = G (C / k)^a."""
        return self.beta / (self.alpha + self.beta)

    @property
    def b(self) -> float:
        """The exponent of the optimal number of tokens."""
        return self.alpha / (self.alpha + self.beta)

    def loss(self, parameters: float, tokens: float) -> float:
        """Return L(N, D)."""
        size, data = (
            math.log(self.A) - self.alpha * math.log(parameters),
            math.log(self.B) - self.beta * math.log(tokens),
        )
        return self.E + math.exp(size) + math.exp(data)

    def optimum(self, flops: float, factor: float = 6.0) -> tuple[float, float]:
        """Return N* and D* for a compute budget C = k N D: G = (alpha A / (beta B))^(1 / (alpha + beta))."""
        log_factor = math.log(self.alpha / self.beta) + math.log(self.A) - math.log(self.B)
        parameters = math.exp(log_factor / (self.alpha + self.beta) + self.a * math.log(flops / factor))
        return parameters, flops / factor / parameters


PUBLISHED: Mapping[str, Law] = {
    "hoffmann": Law(1.69, 406.4, 410.7, 0.34, 0.28),
    "besiroglu": Law(1.8172, 482.01, 2085.43, 0.3478, 0.3658),
}
"""Hoffmann et al. (2022), equation 10 (Chinchilla); the same runs fitted again by Besiroglu et al. (2024)."""


@dataclass(frozen=True)
class ParametricFit:
    """A law and how sure its constants are."""

    law: Law
    intervals: Mapping[str, Interval | None]
    """Of CONSTANTS, `a` and `b`."""
    deviation: float
    """The root mean square of ln L' - ln L."""


class _Problem:
    """Runs in centred logarithms, which makes the sum of Huber losses well conditioned."""

    def __init__(self, runs: Runs) -> None:
        sizes, tokens = np.log(runs.parameters), np.log(runs.tokens)
        self.centres = float(sizes.mean()), float(tokens.mean())
        self.x, self.y = sizes - self.centres[0], tokens - self.centres[1]
        self.loss = runs.loss
        self.log_loss = np.log(runs.loss)

    def residuals(self, points: F64) -> tuple[F64, F64]:
        """Return ln L' - ln L, (S, R), and the shares of the three terms in L', (3, S, R)."""
        a, b, e, alpha, beta = points.T[:, :, None]
        terms = np.stack((a - alpha * self.x, b - beta * self.y, np.broadcast_to(e, (len(points), len(self.x)))))
        highest = terms.max(axis=0)
        shares = np.exp(terms - highest)
        total = shares.sum(axis=0)
        return highest + np.log(total) - self.log_loss, shares / total

    def objective(self, weights: F64) -> lbfgs.Objective:
        """Return the weighted sum of Huber losses, in units of DELTA squared; weights are (S, R) or (1, R)."""

        def sums(points: F64, rows: I64) -> tuple[F64, F64]:
            own = weights if len(weights) == 1 else weights[rows]
            residuals, shares = self.residuals(points)
            scaled = residuals / DELTA
            size = np.abs(scaled)
            value = np.where(size <= 1, scaled * scaled / 2, size - 0.5)
            pull = own * np.clip(scaled, -1, 1) / DELTA
            to_size, to_data, to_floor = (pull * share for share in shares)
            columns = (to_size, to_data, to_floor, -to_size * self.x, -to_data * self.y)
            return (own * value).sum(axis=1), np.stack([column.sum(axis=1) for column in columns], axis=1)

        return sums

    def starts(self) -> F64:
        """Return points, (S, 5), of a grid of exponents."""
        return np.array([[*self._terms(alpha, beta), alpha, beta] for alpha in GRID for beta in GRID])

    def _terms(self, alpha: float, beta: float) -> F64:
        """Return a, b and e for given exponents: the least squares of relative errors, none of A, B, E negative."""
        design = np.stack((np.exp(-alpha * self.x), np.exp(-beta * self.y), np.ones_like(self.x)), axis=1)
        design = design / self.loss[:, None]
        best, found = math.inf, np.zeros(3)
        for count in (3, 2, 1):
            for kept in map(list, combinations(range(3), count)):
                solved = np.linalg.lstsq(design[:, kept], np.ones(len(design)), rcond=None)[0]
                error = float(((design[:, kept] @ solved - 1) ** 2).sum())
                if (solved >= 0).all() and error < best:
                    best, found = error, np.zeros(3)
                    found[kept] = solved
        logarithms: F64 = np.log(np.maximum(found, 1e-3 * self.loss.min()))
        return logarithms

    def law(self, point: F64) -> Law:
        """Return the constants of a point."""
        a, b, e, alpha, beta = point.tolist()
        size, data = a + alpha * self.centres[0], b + beta * self.centres[1]
        return Law(math.exp(e), _exp(size), _exp(data), alpha, beta)


def _exp(value: float) -> float:
    return math.exp(value) if value < 700 else math.inf


def fit(runs: Runs, *, resamples: int, level: float, seed: int) -> ParametricFit:
    """Fit the law to runs. Raises DataError where they cannot tell its constants."""
    _check(runs)
    problem = _Problem(runs)
    minima = lbfgs.minimise(problem.objective(np.ones((1, len(runs)))), problem.starts())
    best = minima.points[np.argmin(minima.values)]
    law = problem.law(best)
    if not (law.alpha > 0 and law.beta > 0 and math.isfinite(law.A) and math.isfinite(law.B)):
        name = "size" if not (law.alpha > 0 and math.isfinite(law.A)) else "data"
        raise DataError(
            f"the runs show no law: loss does not fall with {name} (alpha {law.alpha:.3g}, beta {law.beta:.3g})",
            hint="add runs over a wider range",
        )
    deviation = float(np.sqrt((problem.residuals(best[None])[0] ** 2).mean()))
    return ParametricFit(law, _intervals(problem, best, resamples, level, seed), deviation)


def _check(runs: Runs) -> None:
    """Raises DataError where runs cannot tell the constants, whatever their losses."""
    hint = "sweep sizes at several budgets; `--method power-law` fits the optima alone"
    if len(runs) <= NUMBERS:
        raise DataError(f"{len(runs)} runs cannot tell {NUMBERS} constants: expected at least {NUMBERS + 1}", hint=hint)
    sizes, tokens = np.log(runs.parameters), np.log(runs.tokens)
    for name, values in (("sizes", sizes), ("numbers of tokens", tokens)):
        if (count := len(np.unique(values.round(6)))) < 3:
            raise DataError(f"{count} different {name} cannot tell an exponent: expected at least 3", hint=hint)
    correlation = float(np.corrcoef(sizes, tokens)[0, 1])
    if abs(correlation) > TOGETHER:
        why = "one budget" if correlation < 0 else "one number of tokens per parameter"
        raise DataError(
            f"size and data vary together ({why}), so that the runs cannot tell their effects apart", hint=hint
        )


def _intervals(problem: _Problem, best: F64, resamples: int, level: float, seed: int) -> dict[str, Interval | None]:
    names = (*CONSTANTS, "a", "b")
    if not resamples:
        return dict.fromkeys(names)
    runs = len(problem.loss)
    random = np.random.Generator(np.random.Philox(seed))
    counts = random.multinomial(runs, np.full(runs, 1 / runs), size=resamples).astype(np.float64)
    drawn = lbfgs.minimise(problem.objective(counts), np.tile(best, (resamples, 1)), decrease=1e-8)
    laws = [problem.law(point) for point in drawn.points]
    return {name: percentile(np.array([getattr(law, name) for law in laws]), level) for name in names}
