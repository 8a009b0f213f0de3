"""What a training run is made of, from options: texts, settings, plan, batches, network, trainer."""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from lmkit.commands.loading import models as opening
from lmkit.commands.loading import running_text
from lmkit.commands.loading.provenance import stored
from lmkit.commands.ngram.counting import make_learner
from lmkit.commands.options.normalization import normalization_of
from lmkit.commands.options.standard import TOKENS, Run
from lmkit.commands.options.training import Training
from lmkit.commands.training_run.reporter import TrainingReporter
from lmkit.errors import DataError, UsageError
from lmkit.io import streams
from lmkit.io.record_reader import files_in

if TYPE_CHECKING:
    from lmkit.data.corpus import Corpus
    from lmkit.data.sequences import TextFormat
    from lmkit.training.batches import Batches
    from lmkit.training.distributed import ProcessGroup
    from lmkit.training.plan import Plan
    from lmkit.training.schedules import Budget, Schedule
    from lmkit.training.trainer import Trainer

NO_WORDS = "--embeddings has vectors of words: it goes with --tokens word"
UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}

MakeSettings = Callable[[int], Any]
"""From the size of the vocabulary to a family's settings."""


class Texts(NamedTuple):
    """A tokenizer, how text is read, the text to train on, the one to validate on, and the record of the inputs."""

    tokenizer: Any
    form: "TextFormat"
    training: "Corpus"
    validation: "Corpus | None"
    record: list[dict[str, Any]]


def read_texts(run: Run, files: Sequence[str], training: Training) -> Texts:
    """Reads and encodes everything. Raises DataError for an empty text."""
    from lmkit.data.corpus import EncodedText, LearningTokenizer
    from lmkit.data.sequences import TextFormat

    _check(training)
    normalization = normalization_of(training.normalize, training.punctuation, training.tokens)
    learner = make_learner(training.tokens, None, normalization, numbered=False)

    def encoded(tokenizer: Any, files: Sequence[str]) -> EncodedText:
        """All files as one text, or each file or record as one where the form says so."""
        reader = running_text.text_reader(training.encoding_errors, training.source, raw=learner.accepts_any_bytes)
        text = EncodedText.of(tokenizer, form, running_text.read_documents(run, reader, files, form.by, "reading"))
        record.append(text.record | stored(reader, files, text.record))
        return text

    reading: Any = LearningTokenizer(learner) if training.tokens in TOKENS else learner.tokenizer()
    form = TextFormat.of(training.by, reading)
    record = list[dict[str, Any]]()
    text, held_out = encoded(reading, files), None
    if not len(text.ids):
        raise DataError("no text to train on: the input is empty")
    tokenizer = learner.tokenizer()
    if training.max_vocab is not None or training.min_count > 1:
        tokenizer, text = text.limited(tokenizer, training.max_vocab, training.min_count)
    if training.valid is not None:
        held_out = encoded(tokenizer, files_in(training.valid))
        if not len(held_out.ids):
            raise DataError(f"{streams.display(training.valid)}: no text to validate on")
    elif training.valid_fraction:
        text, held_out = text.split(form, training.valid_fraction)
    return Texts(tokenizer, form, text.corpus(), held_out.corpus() if held_out is not None else None, record)


def _check(training: Training) -> None:
    """Raises UsageError for options about texts that cannot be combined."""
    if training.valid is not None and training.valid_fraction:
        raise UsageError("--valid cannot be combined with --valid-fraction")
    if training.tokens not in TOKENS and (training.max_vocab is not None or training.min_count > 1):
        raise UsageError("a given vocabulary cannot be combined with --max-vocab or --min-count")
    if training.pack and training.by == "stream":
        raise UsageError("--pack is about documents: --by line, file or blank-line")
    needed = training.select_by or training.patience or training.average > 1
    if needed and training.valid is None and not training.valid_fraction:
        raise UsageError("--select-by, --average and --patience need a validation text: --valid or --valid-fraction")


def budget(text: str | None, steps: int | None) -> "Budget | None":
    """What --budget says, None without it. Raises UsageError for what is no budget."""
    from lmkit.training.schedules import Budget

    if text is None:
        return None
    if steps is not None:
        raise UsageError("--steps cannot be combined with --budget")
    found = re.fullmatch(r"(\d+\.?\d*(?:e\+?\d+|e-\d+)?|\.\d+)(s|m|h|tokens|flops)", text, re.ASCII)
    amount, unit = (float(found[1]), found[2]) if found else (0.0, "")
    if not 0 < amount < math.inf:
        raise UsageError(f"--budget {text!r} is not a budget: expected 60s, 5m, 2h, 1e6tokens or 1e15flops")
    return Budget(amount * UNITS[unit], "s") if unit in UNITS else Budget(amount, unit)


def schedule(training: Training) -> "Schedule":
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
    kinds: ClassVar[tuple[str, ...]] = TOKENS
    """Tokenizers that options name by kind; others are files."""
    texts: Any = field(init=False)
    settings: Any = field(init=False)
    start: Any = field(init=False, default=None)
    _shared: Any = field(init=False, default=None)

    def __post_init__(self) -> None:
        import torch

        self._spare_files()
        torch.set_num_threads(max(1, opening.core_count(self.training.threads) // self.processes))
        if self.training.embeddings is not None:
            self.start = self._vectors(self.training.embeddings)
        self.texts = self.read()
        self.settings = self.settings_of(self.texts)
        if self.start is not None:
            self._shared = self._shared_words()

    def read(self) -> Any:
        """The texts, encoded."""
        return read_texts(self.run, self.inputs, self.training)

    def settings_of(self, texts: Any) -> Any:
        """The settings of a model of what was read."""
        return self.make(texts.tokenizer.size)

    def tokenizers(self) -> dict[str, tuple[str, Any]]:
        """What the origin calls the digest of each tokenizer, by the option that names it; and the tokenizer."""
        return {"tokens": ("tokenizer", self.texts.tokenizer)}

    def tokens_a_step(self, batches: "Batches") -> int:
        """How many tokens a step learns from, about."""
        return batches.rows * self.time_steps

    def _vectors(self, name: str) -> Any:
        """The space of word vectors to begin with. Raises UsageError where it does not fit the model."""
        if self.training.tokens in ("char", "byte"):
            raise UsageError(NO_WORDS)
        space, width = opening.open_kind(name, "w2v"), self.make(1).width
        if (found := space.centre.shape[1]) != width:
            raise UsageError(f"{streams.display(name)}: vectors of {found} numbers, not of --width {width}")
        return space

    def _spare_files(self) -> None:
        """Raises UsageError where one file is named for two things."""
        training = self.training
        written = [name for name in (training.output, training.log, training.plot) if name not in (None, streams.STDIN)]
        if len(set(written)) < len(written):
            raise UsageError("-o, --log and --plot name one file for two things")

    @property
    def begun(self) -> dict[str, str]:
        """Digests of what training begins with, by what the origin calls it."""
        return {"embeddings": self.start.digest} if self.start is not None else {}

    def network(self) -> Any:
        """A network with its first weights."""
        from lmkit.nn import factory

        network = factory.initialised(self.settings, seed=self.training.seed, dropout=self.training.dropout)
        if self.start is not None:
            factory.embed(network, *self._shared)
        return network

    def validation(self) -> Any:
        """How a network is validated; None without a text for it."""
        from lmkit.training.validation import validation_of

        return validation_of(self.settings, self.texts.tokenizer, self.texts.form, self.texts.validation)

    def model(self, weights: Any) -> Any:
        """What the checkpoint holds."""
        from lmkit.architectures.neural_model import LoadedModel

        return LoadedModel(self.settings, self.texts.form, self.texts.tokenizer, weights)

    def reporter(self, plan: "Plan", *, first: bool) -> TrainingReporter:
        """What tells people and the log of the run; of several processes the first."""
        training = self.training
        return TrainingReporter(
            self.run, plan, self.texts, self.settings, training.log if first else None,
            training.plot if first else None, speaks=first,
        )  # fmt: skip

    batch_option: ClassVar[str] = "batch"
    """What the size of a batch is called: `batch`, in rows, or `batch_tokens`, those of rows."""

    @property
    def row_length(self) -> int:
        """Tokens of the longest row of a batch."""
        return int(min(self.time_steps, self.texts.training.tokens))

    @property
    def most_rows(self) -> int:
        """How many rows all that is learned from has."""
        return -(-int(self.texts.training.tokens) // self.row_length)

    def full_batches(self, full: Any) -> "Batches":
        """Batches that take the most memory, given `FullRows`."""
        batches: Batches = full
        return batches

    @property
    def forward_flops(self) -> int:
        """Floating-point operations of a token's way through the model."""
        return int(self.settings.forward_flops)

    def trainer(
        self, batches: "Batches", plan: "Plan", *, validates: bool = False, world: "ProcessGroup | None" = None
    ) -> "Trainer":
        """A trainer of a fresh network."""
        from lmkit.nn.language_model import device_named
        from lmkit.training.trainer import Trainer

        training = self.training
        device_named(training.device)
        return Trainer(
            self.network().to(training.device), self.objective(), batches, plan,
            validation=self.validation() if validates else None,
            world=world, shard=training.shard, compiled=training.compile,
        )  # fmt: skip

    def _shared_words(self) -> tuple[Any, Any]:
        """Tokens that have a vector to begin with, and these; says how many. Raises UsageError for other tokens."""
        if not self.texts.tokenizer.separator:
            raise UsageError(NO_WORDS)
        found = self.start.find(self.texts.tokenizer.vocabulary.pieces())
        tokens = (found >= 0).nonzero()[0]
        name = streams.display(str(self.training.embeddings))
        self.run.terminal.notice(f"{len(tokens):,} of {len(found):,} tokens begin with the vectors of {name}")
        return tokens, self.start.centre[found[tokens]]

    def batches(self) -> "Batches":
        """What is learned from at each step."""
        from lmkit.training.batches import batches_of

        t = self.training
        return batches_of(
            self.texts.training, self.texts.form.start, self.settings.batching, t.batch, self.time_steps, t.seed,
            by_document=t.by != "stream" and not t.pack,
        )  # fmt: skip

    def objective(self) -> Any:
        """What is learned."""
        from lmkit.training.objectives.language_modelling import LanguageModelling

        t = self.training
        return LanguageModelling(
            self.texts.form.start, label_smoothing=t.label_smoothing, teacher_forcing=t.teacher_forcing,
            loss_at=t.loss_at,
        )  # fmt: skip

    def plan(self, tokens_a_step: int) -> "Plan":
        """How to train."""
        from lmkit.training.optimizers import LearningRates
        from lmkit.training.plan import Plan
        from lmkit.training.schedules import STEPS, evaluation_interval

        t = self.training
        allowed = budget(t.budget, t.steps)
        length = (
            (t.steps or STEPS, None) if allowed is None else (allowed.length(tokens_a_step, 3 * self.forward_flops))
        )
        steps, seconds = length
        every = evaluation_interval(t.evaluate_every, steps, needed=bool(t.select_by or t.patience or t.average > 1))
        return Plan(
            steps=steps, seconds=seconds, optimizer=t.optimizer, rates=LearningRates(t.lr, t.matrix_lr, t.weight_decay),
            schedule=schedule(t), clip=t.clip or None, accumulate=t.accumulate, evaluate_every=every,
            select_by=t.select_by, average=t.average, patience=t.patience, precision=t.precision, seed=t.seed,
        )  # fmt: skip
