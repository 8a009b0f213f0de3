"""The settings of a training run, whatever is trained for."""

from dataclasses import dataclass, field

from lmkit.training.optimizers import LearningRates
from lmkit.training.schedules import RateSchedule, Schedule


@dataclass(frozen=True)
class Plan:
    """How to train: all but the model, the objective and the data. `steps` or `seconds` says when it ends."""

    steps: int | None = None
    seconds: float | None = None
    optimizer: str = "muon"
    rates: LearningRates = field(default_factory=lambda: LearningRates(0.02, 0.04))
    schedule: RateSchedule = field(default_factory=Schedule)
    clip: float | None = 1.0
    accumulate: int = 1
    evaluate_every: int = 0
    select_by: str | None = None
    average: int = 1
    """Evaluations whose weights are averaged: the best ones by `select_by`, else the last."""
    patience: int = 0
    precision: str = "fp32"
    seed: int = 0
