"""Scales: where numbers are on an axis, and which of them get ticks."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from lmkit.io.figures.charts import Axis

TICKS = 6
"""About how many ticks an axis has."""
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
PREFIXES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


@dataclass(frozen=True)
class Scale:
    """From `low` and `high` to the pixels `begin` and `end`."""

    low: float
    high: float
    begin: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        """The pixel of a value."""
        low, high, at = (math.log(v) if self.log else v for v in (self.low, self.high, value))
        return self.begin + (self.end - self.begin) * (at - low) / (high - low)

    def shows(self, value: float) -> bool:
        """Whether the value has a place."""
        return math.isfinite(value) and (value > 0 or not self.log)

    def ticks(self, most: int = TICKS) -> list[tuple[float, str]]:
        """Round values between the ends, with their labels; of a logarithmic scale powers of ten, where it has two."""
        return _log_ticks(self.low, self.high, most) if self.log else _ticks(self.low, self.high, most)


def scale(axis: Axis, values: Iterable[float], begin: float, end: float, *, room: float = 0.04) -> Scale:
    """The scale that shows the values, with a margin where the axis does not say its ends."""
    if axis.names:
        return Scale(-0.5, len(axis.names) - 0.5, begin, end)
    shown = [value for value in values if math.isfinite(value) and (value > 0 or not axis.log)]
    ends = [end for end in (axis.low, axis.high) if end is not None and (end > 0 or not axis.log)]
    low, high = min([*shown, *ends], default=0.1 if axis.log else 0.0), max([*shown, *ends], default=1.0)
    if axis.log:
        low, high = (low, high) if high > low else (low / 2, high * 2)
        factor = (high / low) ** room
        return Scale(low if low == axis.low else low / factor, high * factor, begin, end, log=True)
    if high <= low:
        low, high = low - (abs(low) / 2 or 0.5), high + (abs(high) / 2 or 0.5)
    margin = room * (high - low)
    return Scale(low if low == axis.low else low - margin, high if high == axis.high else high + margin, begin, end)


def _ticks(low: float, high: float, most: int) -> list[tuple[float, str]]:
    rough = (high - low) / max(2, most - 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= rough * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    values = [round(step * place, 12 - math.floor(math.log10(step))) + 0.0 for place in range(first, last + 1)]
    digits = max(0, -math.floor(math.log10(step) + 1e-9) + (1 if round(step / power, 3) == 2.5 else 0))
    return [(value, label(value, digits, max(map(abs, values)))) for value in values]


def _log_ticks(low: float, high: float, most: int) -> list[tuple[float, str]]:
    first, last = math.floor(math.log10(low) + 1e-9), math.ceil(math.log10(high) - 1e-9)
    decades = math.log10(high / low)
    factors = (1,) if decades >= 2.5 else (1, 3) if decades >= 1.2 else (1, 2, 5)
    if decades < 0.5:
        return [(value, text) for value, text in _ticks(low, high, max(3, most - 2)) if value > 0]
    apart = max(1, math.ceil(decades / most))
    values = [f * 10.0**power for power in range(first, last + 1) if power % apart == 0 for f in factors]
    kept = [value for value in values if low * (1 - 1e-9) <= value <= high * (1 + 1e-9)]
    return [(value, _power(value) if high >= 1e7 or low < 1e-3 else f"{value:g}") for value in kept]


def _power(value: float) -> str:
    exponent = math.floor(math.log10(value) + 1e-9)
    factor = value / 10.0**exponent
    power = "10" + str(exponent).translate(SUPERSCRIPTS)
    return power if abs(factor - 1) < 1e-6 else f"{factor:g}·{power}"


def label(value: float, digits: int, largest: float) -> str:
    """A tick's label: thousands have a prefix, tiny numbers an exponent."""
    if largest >= 1e15 or 0 < largest < 1e-3:
        return "0" if value == 0 else _signed_power(value)
    for size, prefix in PREFIXES:
        if largest >= 10 * size or (largest >= size and size >= 1e6):
            return "0" if value == 0 else f"{value / size:.4g}{prefix}"
    return f"{value:.{digits}f}"


def _signed_power(value: float) -> str:
    return f"-{_power(-value)}" if value < 0 else _power(value)
