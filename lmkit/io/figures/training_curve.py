"""The figure of a training run: losses over steps, evaluations, and the learning rate."""

from collections.abc import Sequence
from itertools import accumulate

from lmkit.io.figures.charts import Axis, Figure, Line, Panel
from lmkit.io.figures.style import SOLID

Points = tuple[Sequence[float], Sequence[float]]
"""Places on both axes."""


def training_curve(
    title: str, loss: Points, validation: Points, rate: Points, bits_per_nat: float | None = None
) -> Figure:  # fmt: skip
    """Losses over steps in nats a token; bits a byte of text are `bits_per_nat` times that, None: nothing is."""
    steps, nats = loss
    lines = [
        Line("training, each step", steps, nats, faint=True, color=0),
        Line("training, average", steps, averaged(nats), color=0),
    ]
    if validation[0]:
        lines.append(Line("validation", *validation, points=True, color=1))
    right = ("bits a byte", bits_per_nat) if bits_per_nat is not None else None
    panels = [Panel(lines, Axis("step"), Axis("loss, nats a token"), height=4.0, right=right)]
    if rate[0]:
        panels.append(Panel([Line("learning rate", *rate, color=SOLID)], Axis("step"), Axis("learning rate", low=0.0)))
    return Figure(title, panels)


def averaged(values: Sequence[float]) -> list[float]:
    """Means of each value and of as many before as after it: a thirtieth of all on either side, fewer at the ends."""
    sums = [0.0, *accumulate(values)]
    reach = [min(place, len(values) - 1 - place, len(values) // 30) for place in range(len(values))]
    return [(sums[i + r + 1] - sums[i - r]) / (2 * r + 1) for i, r in enumerate(reach)]
