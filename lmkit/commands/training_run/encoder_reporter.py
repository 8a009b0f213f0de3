"""Reports of an encoder's training: nats of masked tokens, and what its objective has besides."""

from collections.abc import Mapping
from typing import Any

from lmkit.commands.training_run.reporter import TrainingReporter

MEASURES = (
    "nats", "accuracy", "pair_nats", "pair_accuracy", "discriminator", "recall", "precision", "replaced",
)  # fmt: skip
NAMES = {"nats": "nats", "recall": "recall of replaced tokens", "pair_accuracy": "accuracy of pairs"}
"""What people are shown, in this order."""


class EncoderReporter(TrainingReporter):
    """Masked tokens are no text in order, so nothing is said of bytes."""

    def bits_per_nat(self, corpus: Any) -> None:
        """See `TrainingReporter.bits_per_nat`."""

    def measures(self, numbers: Mapping[str, float], corpus: Any) -> dict[str, float]:
        """See `TrainingReporter.measures`: those of MEASURES that the objective has."""
        return {name: numbers[name] for name in MEASURES if name in numbers}

    def figures(self, measures: Mapping[str, float], digits: int) -> list[str]:
        """See `TrainingReporter.figures`."""
        return [f"{measures[key]:.{digits}f} {name}" for key, name in NAMES.items() if key in measures]

    def conclusion(self, measures: Mapping[str, float]) -> str:
        """See `TrainingReporter.conclusion`."""
        _, *more = self.figures(measures, 4)
        return ", ".join([f"{measures['nats']:.4f} nats a masked token (15 % masked)", *more])
