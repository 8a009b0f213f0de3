"""What a training run is made of, from options: texts, settings, plan, batches, network, trainer."""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from lmkit.commands.loading import models as opening
from lmkit.commands.options.standard import Run
from lmkit.commands.options.training import Training
from lmkit.errors import UsageError
from lmkit.io import plots, streams

STEPS = 500
NO_WORDS = "--embeddings has vectors of words: it goes with --tokens word"
UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}

MakeSettings = Callable[[int], Any]
"""From the size of the vocabulary to a family's settings."""


def budget(
    text: str | None, steps: int | None, tokens_a_step: int, flops_a_token: int
) -> tuple[int | None, float | None]:
    """Steps, or seconds, of a run. Raises UsageError for what is no budget."""
    if text is None:
        return steps or STEPS, None
    if steps is not None:
        raise UsageError("--steps and --budget are two ways to say one thing")
    found = re.fullmatch(r"(\d+\.?\d*(?:e\+?\d+|e-\d+)?|\.\d+)(s|m|h|tokens|flops)", text, re.ASCII)
    amount, unit = (float(found[1]), found[2]) if found else (0.0, "")
    if not 0 < amount < math.inf:
        raise UsageError(f"--budget {text!r} is none such as 60s, 5m, 2h, 1e6tokens or 1e15flops")
    if unit in UNITS:
        return None, amount * UNITS[unit]
    tokens = amount if unit == "tokens" else amount / flops_a_token
    return max(1, round(tokens / tokens_a_step)), None


def schedule(training: Training) -> Any:
    """How the learning rate goes."""
    from lmkit.training.schedules import Schedule

    return Schedule(training.schedule, training.warmup)


@dataclass
class Setup:
    """The parts of a run on rows of `time_steps` tokens; texts are read and settings made at once."""

    run: Run
    inputs: Sequence[str]
    training: Training
    make: MakeSettings
    time_steps: int
    processes: int = 1
    texts: Any = field(init=False)
    settings: Any = field(init=False)
    start: Any = field(init=False, default=None)
    _shared: Any = field(init=False, default=None)

    def __post_init__(self) -> None:
        import torch

        from lmkit.commands.training_run.texts import read_texts

        self._spare_files()
        torch.set_num_threads(max(1, opening.core_count(self.training.threads) // self.processes))
        if self.training.embeddings is not None:
            self.start = self._vectors(self.training.embeddings)
        self.texts = read_texts(self.run, self.inputs, self.training)
        self.settings = self.make(self.texts.tokenizer.size)
        if self.start is not None:
            self._shared = self._shared_words()

    def _vectors(self, name: str) -> Any:
        """The space of word vectors to begin with. Raises UsageError where it does not fit the model."""
        if self.training.tokens in ("char", "byte"):
            raise UsageError(NO_WORDS)
        space, width = opening.open_kind(name, "w2v"), self.make(1).width
        if (found := space.centre.shape[1]) != width:
            raise UsageError(f"{streams.display(name)}: vectors of {found} numbers, not of --width {width}")
        return space

    def _spare_files(self) -> None:
        """Raises UsageError where one file is named for two things, MissingError where no figure can be drawn."""
        training = self.training
        if training.plot is not None:
            plots.check(training.plot)
        outputs = [name for name in (training.output, training.log, training.plot) if name not in (None, streams.STDIN)]
        if len(set(outputs)) < len(outputs):
            raise UsageError("-o, --log and --plot name one file for two things")
        read = [*self.inputs, training.valid, training.tokens, training.embeddings]
        for name in (training.output, training.plot, training.log):
            streams.spare_inputs(name, read)

    def trainer(self, batches: Any, plan: Any, *, validates: bool = False, world: Any = None) -> Any:
        """A trainer of a fresh network."""
        from lmkit.nn import factory
        from lmkit.nn.language_model import device_named
        from lmkit.training.trainer import Trainer

        training = self.training
        device_named(training.device)
        network = factory.initialised(self.settings, seed=training.seed, dropout=training.dropout)
        if self.start is not None:
            factory.embed(network, *self._shared)
        network = network.to(training.device)
        return Trainer(
            network, self.objective(), batches, plan,
            validation=self._validation() if validates else None,
            world=world, shard=training.shard, compiled=training.compile,
        )  # fmt: skip

    def _shared_words(self) -> tuple[Any, Any]:
        """Tokens that have a vector to begin with, and these; says how many. Raises UsageError for other tokens."""
        if self.texts.tokenizer.kind != "word":
            raise UsageError(NO_WORDS)
        found = self.start.find(self.texts.tokenizer.vocabulary.pieces())
        tokens = (found >= 0).nonzero()[0]
        name = streams.display(str(self.training.embeddings))
        self.run.terminal.notice(f"{len(tokens):,} of {len(found):,} tokens begin with the vectors of {name}")
        return tokens, self.start.centre[found[tokens]]

    def batches(self) -> Any:
        """What is learned from at each step."""
        from lmkit.training.batches import ContiguousStreams, DocumentBatches, RandomCrops

        training, corpus, start = self.training, self.texts.training, self.texts.form.start
        if training.by != "stream" and not training.pack:
            return DocumentBatches(corpus, start, training.batch, self.time_steps, training.seed)
        kind = {"crops": RandomCrops, "streams": ContiguousStreams}[self.settings.batching]
        return kind(corpus.ids, start, training.batch, self.time_steps, training.seed)

    def objective(self) -> Any:
        """What is learned."""
        from lmkit.training.objectives.language_modelling import LanguageModelling

        t = self.training
        return LanguageModelling(
            self.texts.form.start, label_smoothing=t.label_smoothing, teacher_forcing=t.teacher_forcing,
            loss_at=t.loss_at,
        )  # fmt: skip

    def plan(self, tokens_a_step: int) -> Any:
        """How to train."""
        from lmkit.training.optimizers import LearningRates
        from lmkit.training.plan import Plan

        t = self.training
        steps, seconds = budget(t.budget, t.steps, tokens_a_step, 3 * self.settings.forward_flops)
        every = t.evaluate_every
        if not every and (t.select_by or t.patience):
            every = max(1, (steps or STEPS) // 10)
        return Plan(
            steps=steps, seconds=seconds, optimizer=t.optimizer, rates=LearningRates(t.lr, t.matrix_lr, t.weight_decay),
            schedule=schedule(t), clip=t.clip or None, accumulate=t.accumulate, evaluate_every=every,
            select_by=t.select_by, patience=t.patience, precision=t.precision, seed=t.seed,
        )  # fmt: skip

    def _validation(self) -> Any:
        """How the network does on the validation text; None without one."""
        from lmkit.architectures.neural_model import LoadedModel
        from lmkit.training.validation import NextTokenValidation

        if self.texts.validation is None:
            return None
        weights = LoadedModel(self.settings, self.texts.form, self.texts.tokenizer, {})
        return NextTokenValidation(weights, self.texts.validation)
