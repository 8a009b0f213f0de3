"""Reports of the training of an encoder-decoder: nats and bits of targets, and BLEU where that is measured."""

from collections.abc import Mapping
from typing import Any

from lmkit.commands.training_run.reporter import TrainingReporter


class Seq2SeqReporter(TrainingReporter):
    """Numbers are of targets given sources."""

    def measures(self, numbers: Mapping[str, float], corpus: Any) -> dict[str, float]:
        """See `TrainingReporter.measures`."""
        more = {"bleu": numbers["bleu"]} if "bleu" in numbers else {}
        return {**super().measures(numbers, corpus), **more}

    def figures(self, measures: Mapping[str, float], digits: int) -> list[str]:
        """See `TrainingReporter.figures`."""
        more = [f"BLEU {measures['bleu']:.2f}"] if "bleu" in measures else []
        return [*super().figures(measures, digits), *more]

    def conclusion(self, measures: Mapping[str, float]) -> str:
        """See `TrainingReporter.conclusion`."""
        nats, bits, *more = self.figures(measures, 4)
        return ", ".join([f"{nats} a token", bits, *(f"{one} (greedy)" for one in more)])
