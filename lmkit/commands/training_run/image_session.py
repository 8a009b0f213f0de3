"""One training run on images: from arrays to a checkpoint, with what is reported meanwhile."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lmkit.commands.loading import models as opening
from lmkit.commands.options.image_training import ImageTraining
from lmkit.commands.options.standard import UNRECORDED, Run
from lmkit.commands.training_run.event_log import EventLog
from lmkit.commands.training_run.session import TrainerSession, state_file
from lmkit.errors import UsageError

VALIDATED = 128
"""Examples that are validated together."""


@dataclass(frozen=True)
class ImageRun:
    """What is trained.

    training, validation  arrays with one row for each example
    model                 from trained arrays to what the checkpoint holds
    network               makes the network, with its first weights
    notices               what is said of it before it begins
    inputs                records of the files
    parents               digests of the models that it is made of, by their part
    compared              other numbers of the validation examples, such as a linear probe's
    """

    training: Mapping[str, Any]
    validation: Mapping[str, Any] | None
    model: Callable[[Mapping[str, Any]], Any]
    network: Callable[[], Any]
    notices: Sequence[str]
    inputs: Sequence[dict[str, Any]]
    parents: Mapping[str, str]
    compared: Callable[[], Mapping[str, float]] = dict


def check(run: Run, options: ImageTraining) -> Any:
    """The state file of a run. Raises UsageError for options that cannot be combined."""
    if options.patience and options.valid is None:
        raise UsageError("--patience needs validation images: --valid")
    opening.check_single_stdin(*(name for name in (run.settings.get("file"), options.valid) if name))
    opening.needs_torch("models are trained")
    return state_file(run, options)


class ImageSession(TrainerSession):
    """A run of a network on images; see `Session`."""

    product = "model"
    advice = "a lower --lr"

    def __init__(self, run: Run, options: ImageTraining, state: Any, made: ImageRun) -> None:
        import torch

        super().__init__(run, options, state)
        torch.set_num_threads(opening.core_count(options.threads))
        self._made, self._options, self._log = made, options, EventLog(options.log)
        self._trainer = self._of_options(options)
        self._last: dict[str, float] = {}
        self._progress = run.terminal.progress("training", self._trainer.plan.steps or None, "")

    def _of_options(self, options: ImageTraining) -> Any:
        from lmkit.training.image_batches import ShuffledExamples
        from lmkit.training.objectives.images import ImageObjective
        from lmkit.training.optimizers import LearningRates
        from lmkit.training.plan import Plan
        from lmkit.training.schedules import Schedule
        from lmkit.training.trainer import Trainer
        from lmkit.training.validation import BatchValidation

        batches, objective = ShuffledExamples(self._made.training, options.batch, options.seed), ImageObjective()
        validation, held = None, self._made.validation
        if held is not None:
            validation = BatchValidation(objective, ShuffledExamples(held, VALIDATED, 0).in_order(VALIDATED))
        plan = Plan(
            steps=math.ceil(batches.each * options.epochs), optimizer="adamw",
            rates=LearningRates(options.lr, options.lr, options.weight_decay), schedule=Schedule("cosine", None),
            evaluate_every=batches.each, select_by="accuracy" if validation is not None else None,
            patience=options.patience, seed=options.seed,
        )  # fmt: skip
        return Trainer(self._made.network(), objective, batches, plan, validation=validation)

    @property
    def log(self) -> EventLog:
        """See `Session.log`."""
        return self._log

    def begin(self) -> None:
        """See `Session.begin`."""
        from lmkit.training.objectives.images import count_parameters

        for notice in self._made.notices:
            self.run.terminal.notice(notice)
        trained, total = count_parameters(self._trainer.network)
        rows = len(next(iter(self._made.training.values())))
        self.run.terminal.notice(
            f"{trained:,} of {total:,} parameters train; {self._trainer.plan.steps} steps, {rows} examples an epoch"
        )

    def take_up(self, log: Sequence[str]) -> None:
        """See `Session.take_up`: nothing is drawn."""

    def train(self) -> Iterator[None]:
        """See `Session.train`."""
        from lmkit.training.trainer import Evaluation

        for event in self._trainer.run():
            if isinstance(event, Evaluation):
                self._last = dict(event.numbers)
                self._log.write(event, "evaluation", **self._last)
                self._progress.advance(0, f"validation accuracy {self._last['accuracy']:.3f}")
            else:
                self._log.write(event, "step", loss=event.loss, lr=event.rate, gradient_norm=event.norm)
                self._progress.advance(1, f"loss {event.loss:.3f}")
            if not self._trainer.finished:
                yield

    def draw(self) -> None:
        """See `Session.draw`: there is no figure."""

    def model(self) -> Any:
        """See `Session.model`."""
        return self._made.model(self._trainer.weights())

    def end(self) -> None:
        """See `Session.end`."""
        self.run.terminal.clear()
        metrics = self._metrics()
        shown = ", ".join(f"{name} {value:.4f}" for name, value in metrics.items())
        said = f"; validation {shown}" if metrics else ""
        self.run.terminal.notice(f"{self._trainer.step} steps in {self._trainer.seconds:.1f} s{said}")

    def _metrics(self) -> dict[str, float]:
        """How the weights that are kept did on the validation images, and what that is compared with."""
        if self._made.validation is None:
            return {}
        kept = {key: value for key, value in self._trainer.best.items() if key not in ("merit", "step")}
        return {**kept, **self._made.compared()}

    def recorded(self) -> dict[str, Any]:
        """See `Session.recorded`."""
        left_out = self.run.marked(UNRECORDED)
        return {key: value for key, value in self.run.settings.items() if key not in left_out}

    def inputs(self) -> Sequence[dict[str, Any]]:
        """See `Session.inputs`."""
        return self._made.inputs

    def conditions(self) -> dict[str, Any]:
        """See `Session.conditions`."""
        return {"images": list(self._made.inputs), "parents": dict(self._made.parents)}

    def outcome(self) -> dict[str, Any]:
        """See `Session.outcome`."""
        import torch

        parents = {"parents": dict(self._made.parents)} if self._made.parents else {}
        trained = {"steps": self._trainer.step, "validation": self._metrics()}
        return {"versions": {"torch": torch.__version__}, **parents, "trained": trained}
