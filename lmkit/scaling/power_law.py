"""Power laws: straight lines in logarithms, y = G x^a."""

import math
from typing import NamedTuple

import numpy as np

from lmkit.protocols import F64


class PowerLaw(NamedTuple):
    """The law y = G x^a; G by its logarithm, since it may be beyond what floats hold."""

    exponent: float
    log_factor: float

    def __call__(self, x: float) -> float:
        """Return y. Raises OverflowError."""
        return math.exp(self.log_factor + self.exponent * math.log(x))


def fitted(x: F64, y: F64) -> PowerLaw:
    """Return the law of least squares between the logarithms of x and y, (B,); y may not be a number in some."""
    slope, intercept = lines(np.log(x), np.log(y)[None])
    return PowerLaw(float(slope[0]), float(intercept[0]))


def lines(x: F64, y: F64) -> tuple[F64, F64]:
    """Return slopes and intercepts, (S,), of the least-squares lines of S rows of y, (S, B), over x, (B,)."""
    centred = x - x.mean()
    slopes = y @ centred / (centred @ centred)
    return slopes, y.mean(axis=1) - slopes * x.mean()
