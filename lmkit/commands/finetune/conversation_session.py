"""One run of tuning a language model on conversations: from its batches to a checkpoint, with what is reported."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lmkit.commands.finetune import neural_run
from lmkit.commands.finetune.conversation_model import ConversationModel
from lmkit.commands.loading import models as opening
from lmkit.commands.options.language_finetuning import AnswerTuning
from lmkit.commands.options.neural_finetuning import NeuralFinetuning
from lmkit.commands.options.standard import Run
from lmkit.commands.training_run.event_log import EventLog
from lmkit.commands.training_run.session import TrainerSession
from lmkit.errors import UsageError
from lmkit.io import mapped_files

if TYPE_CHECKING:
    from lmkit.architectures.adapters import Adapter, ChatSettings
    from lmkit.nn.tuned_language_model import TunedLanguageModel
    from lmkit.training.answer_batches import Collection, MixedItems
    from lmkit.training.objectives.objective import Objective

ROWS = 16  # items that are validated at once


@dataclass(frozen=True)
class Settings(neural_run.Settings):
    """All groups of options, as a Session reads them."""

    answers: AnswerTuning
    select_by: str


@dataclass(frozen=True)
class Tuned:
    """What is tuned of a model: its adapter if there is one, and how it reads conversations afterwards."""

    base: ConversationModel
    adapter: "Adapter | None"
    chat: "ChatSettings"

    def network(self, options: NeuralFinetuning, seed: int, *, recompute: bool) -> "TunedLanguageModel":
        """Return the network to train. Raises UsageError for tensors that the model lacks."""
        import torch

        from lmkit.nn import factory
        from lmkit.nn.language_model import device_named
        from lmkit.nn.tuned_language_model import TunedLanguageModel, tuned_tensors

        device_named(options.device)
        body = factory.loaded(self.base.weights, dropout=options.dropout)
        trained = tuned_tensors(body, *options.mode)
        if not trained and self.adapter is None:
            raise UsageError(
                f"--train {options.train}: the output layer is tied to the embeddings, so that it has none"
            )
        network = TunedLanguageModel(
            body, trained=trained, adapter=self.adapter, start=self.chat.text.start, recompute=recompute
        )
        network.initialise(torch.Generator().manual_seed(seed % factory.SEEDS))
        return network.to(options.device)

    def model(self, arrays: Mapping[str, Any]) -> Any:
        """Return what the checkpoint holds, of trained arrays: a model, or an adapter."""
        from dataclasses import replace

        from lmkit.architectures.adapters import AdapterWeights

        if self.adapter is not None:
            return AdapterWeights(self.adapter, self.base.parent, arrays, chat=self.chat)
        weights = self.base.weights
        return self.chat.of(replace(weights, tensors={**weights.tensors, **arrays}, digest=""))


def adapter_of(base: ConversationModel, options: NeuralFinetuning) -> "Adapter | None":
    """The adapter of --train lora for a model, None for other modes. Raises UsageError."""
    from dataclasses import replace

    settings: Any = base.weights.settings
    mode, layers = options.mode
    if layers is not None and layers[1] >= settings.layers:
        raise UsageError(f"--train {options.train}: the model has layers 0 to {settings.layers - 1}")
    if mode != "lora":
        return None
    if settings.kind != "transformer":
        raise UsageError(f"--train lora is for transformers, not for a model of kind {settings.kind}")
    adapter = options.adapter
    assert adapter is not None
    names = dict.fromkeys(name.split(".")[-2] for name in adapter.matrices(settings))  # `all` by their names
    return replace(adapter, targets=tuple(names))


class ConversationTuning(TrainerSession):
    """A run on items; `what` they are called, `records` describe them. See `Session`."""

    product = "model"
    advice = "a lower --lr"
    what = "conversations"

    def __init__(
        self, run: Run, settings: Settings, tuned: Tuned, objective: "Objective", state: Any,
        records: Sequence[dict[str, Any]],
    ) -> None:  # fmt: skip
        import torch

        super().__init__(run, settings, state)
        torch.set_num_threads(opening.core_count(settings.options.threads))
        self._settings, self._tuned, self._objective, self._records = settings, tuned, objective, records
        self._log = EventLog(settings.options.log)
        self._last: dict[str, float] = {}
        self.network = tuned.network(
            settings.options, settings.examples.seed, recompute=settings.answers.recompute
        )  # fmt: skip
        mapped_files.release_pages()  # the network has weights of its own

    def learn(self, batches: "MixedItems", held: "Collection | None", scale: float = 1.0) -> "ConversationTuning":
        """Return the run that learns from batches, `held` items aside; `scale` multiplies the usual rate."""
        from lmkit.training.answer_batches import in_order
        from lmkit.training.optimizers import LearningRates
        from lmkit.training.plan import Plan
        from lmkit.training.schedules import Schedule
        from lmkit.training.trainer import Trainer
        from lmkit.training.validation import BatchValidation

        options, settings = self._settings.options, self._settings
        width: int = self._tuned.base.weights.settings.width  # type: ignore[attr-defined]
        rate = options.rate(width) * (scale if options.lr is None else 1.0)
        validation = None if held is None else BatchValidation(self._objective, [*in_order(held, ROWS)])
        plan = Plan(
            steps=max(1, math.ceil(batches.each * options.epochs)), optimizer="adamw",
            rates=LearningRates(rate, rate, options.weight_decay), schedule=Schedule("linear", None),
            accumulate=options.accumulate, evaluate_every=batches.each,
            select_by=settings.select_by if validation is not None else None, patience=options.patience,
            precision=settings.answers.precision, seed=settings.examples.seed,
        )  # fmt: skip
        self._rows = batches.rows
        self._trainer = Trainer(self.network, self._objective, batches, plan, validation=validation)
        self._progress = self.run.terminal.progress("fine-tuning", plan.steps or 0, "")
        return self

    @property
    def log(self) -> EventLog:
        """See `Session.log`."""
        return self._log

    def begin(self) -> None:
        """See `Session.begin`."""
        trained = sum(tensor.numel() for tensor in self.network.parameters() if tensor.requires_grad)
        total = sum(tensor.numel() for tensor in self.network.parameters())
        self.run.terminal.notice(
            f"{self.network.settings.kind}: {trained:,} of {total:,} parameters train "
            f"({self._settings.options.train}); {self._trainer.plan.steps} steps of {self._rows} {self.what}"
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
                if not self._trainer.finished:
                    self.run.terminal.notice(f"step {event.step}: validation {_shown(self._last)}")
            else:
                self._log.write(event, "step", **event.numbers, lr=event.rate, gradient_norm=event.norm)
                self._progress.advance(1, f"loss {event.loss:.3f}")
            if not self._trainer.finished:
                yield

    def draw(self) -> None:
        """See `Session.draw`: there is no figure."""

    def model(self) -> Any:
        """See `Session.model`."""
        return self._tuned.model(self._trainer.weights())

    def end(self) -> None:
        """See `Session.end`."""
        self.run.terminal.clear()
        metrics, trainer = self._metrics(), self._trainer
        rate = trainer.tokens / trainer.seconds if trainer.seconds else 0.0
        shown = f"; validation {_shown(metrics)}" if metrics else ""
        self.run.terminal.notice(
            f"{trainer.step} steps, {trainer.tokens:,} tokens in {trainer.seconds:.1f} s ({rate:,.0f} a second){shown}"
        )

    def _metrics(self) -> dict[str, float]:
        """How the weights that are kept did on the validation items."""
        kept = {key: value for key, value in self._trainer.best.items() if key not in ("merit", "step")}
        return kept if self._trainer.plan.select_by else self._last

    def inputs(self) -> Sequence[dict[str, Any]]:
        """See `Session.inputs`."""
        return self._records

    def conditions(self) -> dict[str, Any]:
        """See `Session.conditions`."""
        return {
            "parent": self._tuned.base.parent, "examples": list(self._records), "chat": self._tuned.chat.to_config()
        }  # fmt: skip

    def outcome(self) -> dict[str, Any]:
        """See `Session.outcome`."""
        import torch

        trained = {
            "steps": self._trainer.step, "tokens": self._trainer.tokens, "validation": self._metrics()
        }  # fmt: skip
        return {"versions": {"torch": torch.__version__}, "parent": self._tuned.base.parent, "trained": trained}


class PreferenceTuning(ConversationTuning):
    """A run on pairs of answers."""

    what = "pairs"


def _shown(numbers: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.4f}" for name, value in numbers.items())
