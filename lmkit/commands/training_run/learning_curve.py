"""The curve of a training run, from its events or from its log, for --plot."""

import json
from collections.abc import Iterable
from typing import Any

from lmkit.io import plots


class Curve:
    """Losses, rates and evaluations as they come, and the figure of them; nothing without a name."""

    def __init__(self, name: str | None, title: str, bits_per_nat: float) -> None:
        self._name, self._title, self._bits_per_nat = name, title, bits_per_nat
        self._steps: list[tuple[int, float, float]] = []
        self._evaluations: list[tuple[int, float]] = []

    def stepped(self, step: int, nats: float, rate: float) -> None:
        """A step was taken."""
        if self._name is not None:
            self._steps.append((step, nats, rate))

    def evaluated(self, step: int, nats: float) -> None:
        """The validation text was scored."""
        if self._name is not None:
            self._evaluations.append((step, nats))

    def take_up(self, log: Iterable[str]) -> None:
        """What the log of an earlier part of the run tells; lines that are no events are passed over."""
        for line in log:
            try:
                event = json.loads(line)
                step, nats = int(event["step"]), float(event["nats"])
                if event["event"] == "step":
                    self.stepped(step, nats, float(event["lr"]))
                elif event["event"] == "evaluation":
                    self.evaluated(step, nats)
            except (ValueError, KeyError, TypeError):
                continue

    def draw(self) -> None:
        """Writes the figure. Raises OutputError."""
        if self._name is None or not self._steps:
            return
        steps, nats, rates = (list(values) for values in zip(*self._steps, strict=True))
        figure = plots.TrainingFigure(
            self._title,
            loss=plots.Points(steps, nats),
            validation=plots.Points(*_columns(self._evaluations)),
            rate=plots.Points(steps, rates),
            bits_per_nat=self._bits_per_nat,
        )
        plots.write_training(figure, self._name)


def _columns(pairs: list[tuple[int, float]]) -> tuple[list[Any], list[Any]]:
    return [x for x, _ in pairs], [y for _, y in pairs]
