"""One fine-tuning run of a neural model: from examples to a checkpoint, with what is reported meanwhile."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from lmkit.commands.loading import models as opening
from lmkit.commands.options.finetuning import BAG, Examples
from lmkit.commands.options.neural_finetuning import NeuralFinetuning
from lmkit.commands.options.standard import UNRECORDED, Run
from lmkit.commands.training_run.event_log import EventLog
from lmkit.commands.training_run.session import TrainerSession, state_file
from lmkit.errors import CheckpointError, UsageError
from lmkit.io import outputs, streams

if TYPE_CHECKING:
    from lmkit.architectures.fine_tuned import Body
    from lmkit.data.item_sequences import ItemFormat, ItemSequence
    from lmkit.protocols import F32
    from lmkit.training.item_batches import Items

USUAL_RATES = 1e-6, 1e-4
"""Learning rates that models of the usual sizes are fine-tuned with."""


@dataclass(frozen=True)
class Labelled:
    """Examples as a task has them: inputs, and what is right for each.

    inputs   texts, or the words of sentences
    targets  a label's number or a number for each, or of a tagger the numbers of the words' labels; -1: an unknown one
    gold     the same as validation compares it
    costs    weights of examples; None: all 1
    """

    inputs: Sequence[tuple[str, ...]]
    targets: Any
    gold: Sequence[Any]
    costs: Any = None


@dataclass(frozen=True)
class Task:
    """What is learned: the kind, its labels, how many texts an example has, and the measure of the best weights."""

    kind: str
    labels: tuple[str, ...]
    sides: int
    select_by: str
    middle: float = 0.0
    scale: float = 1.0
    crf: bool = False
    windows: bool = False


def fine_tune(
    run: Run, model: str, examples: Examples, options: NeuralFinetuning, task: Task, found: Labelled,
    held_out: Labelled | None, records: Sequence[dict[str, Any]],
) -> None:  # fmt: skip
    """Fine-tune a model on examples and write the checkpoint; `records` describe the inputs."""
    outputs.expect_output(examples.output, binary=True)
    adapter = options.adapter
    opening.needs_torch("models are fine-tuned")
    _warn_of_rate(run, options)
    _check_patience(options, held_out)
    state = state_file(run, Settings(examples, options))
    from lmkit.architectures.seq2seq_model import LoadedSeq2Seq

    weights = opening.open_weights(model)
    if isinstance(weights, LoadedSeq2Seq):
        raise CheckpointError(f"{streams.display(model)}: of kind {weights.kind}, which writes texts and has no labels")
    with opening.error_context(model):
        parts = _Parts(weights, options, task, adapter)
    runs = []
    for seed in range(examples.seed + 1, examples.seed + options.seeds):
        settings = Settings(replace(examples, seed=seed), options)
        runs.append(FineTuning(run, settings, parts, task, found, held_out, records, state).measured())
        run.terminal.notice(f"seed {seed}: validation {_shown(runs[-1])}")
    FineTuning(run, Settings(examples, options), parts, task, found, held_out, records, state, runs).go()


def _check_patience(options: NeuralFinetuning, held_out: Labelled | None) -> None:
    if options.patience and held_out is None:
        raise UsageError("--patience needs validation examples: --valid")
    if options.seeds > 1 and held_out is None:
        raise UsageError("--seeds needs validation examples: --valid")
    if options.seeds > 1 and (options.resume or options.restart):
        raise UsageError("--seeds cannot be resumed: leave --resume and --restart out")


def _warn_of_rate(run: Run, options: NeuralFinetuning) -> None:
    """Says that a rate for the weights of a model lies outside the usual range; heads and adapters learn faster."""
    least, most = USUAL_RATES
    if options.lr is not None and options.mode[0] in ("all", "layers") and not least <= options.lr <= most:
        run.terminal.notice(
            f"--lr {options.lr:g} lies outside {least:g} to {most:g}, usual for fine-tuning: lower rates learn little, "
            "higher ones forget the model"
        )


def train_weights(
    run: Run, weights: Any, examples: Examples, options: NeuralFinetuning, task: Task, found: Labelled,
    held_out: Labelled | None, records: Sequence[dict[str, Any]],
) -> None:  # fmt: skip
    """Train a model with these weights, and a head, and write the checkpoint."""
    _check_patience(options, held_out)
    state = state_file(run, Settings(examples, options))
    parts = _Parts(weights, options, task, None)
    FineTuning(run, Settings(examples, options), parts, task, found, held_out, records, state).go()


@dataclass(frozen=True)
class Settings:
    """Both groups of options, as a Session reads them."""

    examples: Examples
    options: NeuralFinetuning

    @property
    def output(self) -> str | None:
        """See `RunOptions.output`."""
        return self.examples.output

    @property
    def resume(self) -> bool:
        """See `RunOptions.resume`."""
        return self.options.resume

    @property
    def restart(self) -> bool:
        """See `RunOptions.restart`."""
        return self.options.restart

    @property
    def save_every(self) -> float:
        """See `RunOptions.save_every`."""
        return self.options.save_every


class _Parts:
    """The body, the head and the adapter of a run. Raises UsageError for layers that the body lacks."""

    def __init__(self, weights: Any, options: NeuralFinetuning, task: Task, adapter: Any) -> None:
        from lmkit.architectures.encoder_model import LoadedEncoder
        from lmkit.architectures.fine_tuned import body_of, item_format
        from lmkit.architectures.heads import CLASSIFY, FIRST, LAST, TaskHead

        self.parent, self.adapter = weights.digest, adapter
        self.body: Body = body_of(weights)
        settings: Any = self.body.settings
        is_encoder = isinstance(self.body, LoadedEncoder)
        if options.pooling == FIRST and not is_encoder:
            raise UsageError("--pooling cls is for encoders: the first token of other models sees nothing of the text")
        pooling = options.pooling or (FIRST if is_encoder else LAST)
        self.head: TaskHead = TaskHead(
            task=task.kind,
            width=settings.width,
            labels=task.labels,
            pooling=pooling,
            sides=task.sides,
            crf=task.crf,
            windows=task.windows,
        )
        self.head_bias = not (task.kind == CLASSIFY and pooling == LAST and _has_no_bias(settings))
        self.format: ItemFormat = item_format(self.body)
        mode, layers = options.mode
        if layers is not None and layers[1] >= settings.layers:
            raise UsageError(f"--train {options.train}: the model has layers 0 to {settings.layers - 1}")
        if mode == "lora" and settings.kind == "rnn":
            raise UsageError("--train lora is for transformers and encoders, not for an rnn")
        if adapter is not None:
            adapter.matrices(settings)

    def network(self, options: NeuralFinetuning, seed: int) -> Any:
        """The network to train."""
        import torch

        from lmkit.nn import factory
        from lmkit.nn.language_model import device_named
        from lmkit.nn.supervised import SupervisedNetwork, trained_tensors

        device_named(options.device)
        body = factory.loaded(self.body, dropout=options.dropout)
        start = getattr(self.body.form, "start", 0)
        trained = trained_tensors(body, *options.mode)
        made = SupervisedNetwork(
            body, self.head, trained=trained, adapter=self.adapter, start=start, dropout=options.dropout,
            head_bias=self.head_bias,
        )  # fmt: skip
        made.initialise(torch.Generator().manual_seed(seed % factory.SEEDS))
        return made.to(options.device)

    def model(self, arrays: dict[str, Any], task: Task) -> Any:
        """What the checkpoint holds, of trained arrays: a whole model, or an adapter."""
        from lmkit.architectures.adapters import AdapterWeights
        from lmkit.architectures.fine_tuned import FineTunedWeights, with_tensors
        from lmkit.nn.supervised import HEAD_SCALE

        scale = HEAD_SCALE * task.scale
        head = {
            "head.weight": (arrays["head.weight"] * scale).astype("float32"),
            "head.bias": (arrays["head.bias"] * scale + task.middle).astype("float32"),
        }
        head |= {name: HEAD_SCALE * arrays[name] for name in self.head.shapes() if name not in head}
        others = {name: array for name, array in arrays.items() if name not in head}
        if self.adapter is not None:
            return AdapterWeights(self.adapter, self.parent, {**others, **head}, head=self.head)
        return FineTunedWeights(with_tensors(self.body, others), self.head, head)


def _has_no_bias(settings: Any) -> bool:
    """Whether a body is a transformer whose last norm has no bias: classifiers of transformers have none there then."""
    from lmkit.architectures.transformer import TransformerConfig

    return isinstance(settings, TransformerConfig) and settings.normalisation == "rmsnorm"


class FineTuning(TrainerSession):
    """A run of a network with a head; see `Session`."""

    product = "model"
    advice = "a lower --lr"

    def __init__(
        self, run: Run, settings: Settings, parts: _Parts, task: Task, found: Labelled, held_out: Labelled | None,
        records: Sequence[dict[str, Any]], state: Any, others: Sequence[dict[str, float]] = (),
    ) -> None:  # fmt: skip
        """`others`: how runs with other seeds did on the validation examples."""
        import torch

        super().__init__(run, settings, state)
        options = settings.options
        torch.set_num_threads(opening.core_count(options.threads))
        self._parts, self._task, self._records, self._settings = parts, task, records, settings
        self._log, self._others = EventLog(options.log), others
        items = self._items(found, "training")
        held = None if held_out is None else self._items(held_out, "validation")
        self._trainer = self._made(items, held, held_out)
        self._last: dict[str, float] = {}
        self._progress = run.terminal.progress("fine-tuning", self._trainer.plan.steps, "")

    def _items(self, found: Labelled, what: str) -> "Items":
        """Examples as sequences; says how many are cut."""
        import numpy as np

        from lmkit.architectures.heads import CLASSIFY, TAG
        from lmkit.training.item_batches import Items

        if self._task.kind == TAG:
            return self._windows(found, what)
        several = [self._read(one) for one in found.inputs]
        long = sum(len(own) > 1 or own[0].lost > 0 for own in several)
        if long:
            how = "read in overlapping windows" if self._task.windows else "cut there; --windows reads all of them"
            self.run.terminal.notice_once(  # not of each seed
                f"{long} of {len(several)} {what} texts are longer than {self._parts.format.limit} tokens, {how}"
            )
        costs: F32 = np.ones(len(several), np.float32) if found.costs is None else found.costs.astype(np.float32)
        targets = np.array(found.targets)
        if self._task.kind != CLASSIFY:
            targets = ((targets - self._task.middle) / self._task.scale).astype(np.float32)
        counts = [len(own) for own in several]  # windows share the weight of their text
        sequences = [one for own in several for one in own]
        costs = np.repeat(costs / np.array(counts, np.float32), counts)
        return Items(sequences, np.repeat(targets, counts), costs, windows=counts)

    def _read(self, texts: Sequence[str]) -> "list[ItemSequence]":
        """The sequences of an example."""
        form = self._parts.format
        return form.item_windows(texts) if self._task.windows else [form.item(texts)]

    def _windows(self, found: Labelled, what: str) -> "Items":
        """Sentences as sequences, long ones in windows, each word's label once; says how many are long."""
        import numpy as np

        from lmkit.training.item_batches import Items

        windows = [self._parts.format.word_windows(one) for one in found.inputs]
        long = sum(len(several) > 1 for several in windows)
        if long:
            self.run.terminal.notice_once(  # not of each seed
                f"{long} of {len(windows)} {what} sentences are longer than {self._parts.format.limit} tokens, read in "
                "overlapping windows"
            )
        words = []
        for own, several in zip(found.targets, windows, strict=True):
            bounds = np.cumsum([len(one.words) for one in several])[:-1]
            words += np.split(np.array(own, dtype=np.int64), bounds)
        sequences = [one for several in windows for one in several]
        costs: F32 = np.ones(len(sequences), np.float32)
        return Items(sequences, np.zeros(0), costs, words, [len(several) for several in windows])

    def _made(self, items: "Items", held: "Items | None", held_out: Labelled | None) -> Any:
        from lmkit.training.item_batches import ShuffledItems
        from lmkit.training.objectives.supervised import Supervised
        from lmkit.training.optimizers import LearningRates
        from lmkit.training.plan import Plan
        from lmkit.training.schedules import Schedule
        from lmkit.training.supervised_validation import SupervisedValidation
        from lmkit.training.trainer import Trainer

        options, task = self._settings.options, self._task
        batches = ShuffledItems(items, options.batch, self._settings.examples.seed)
        self._rows = batches.rows
        rate = options.rate(self._parts.head.width)
        validation = None
        if held is not None and held_out is not None:
            validation = SupervisedValidation(held, self._parts.head, held_out.gold, task.middle, task.scale)
        plan = Plan(
            steps=max(1, math.ceil(batches.each * options.epochs)), optimizer="adamw",
            rates=LearningRates(rate, rate, options.weight_decay), schedule=Schedule("linear", None),
            accumulate=options.accumulate, evaluate_every=batches.each,
            select_by=task.select_by if validation is not None else None, patience=options.patience,
            seed=self._settings.examples.seed,
        )  # fmt: skip
        network = self._parts.network(options, self._settings.examples.seed)
        objective = Supervised(task.kind, options.label_smoothing)
        return Trainer(network, objective, batches, plan, validation=validation)

    @property
    def log(self) -> EventLog:
        """See `Session.log`."""
        return self._log

    def begin(self) -> None:
        """See `Session.begin`."""
        network = self._trainer.network
        trained = sum(tensor.numel() for tensor in network.parameters() if tensor.requires_grad)
        total = sum(tensor.numel() for tensor in network.parameters())
        mode, rows = self._settings.options.train, self._rows
        self.run.terminal.notice(
            f"{self._parts.body.settings.kind}: {trained:,} of {total:,} parameters train ({mode}); "
            f"{self._trainer.plan.steps} steps of {rows} examples"
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
                if not self._trainer.finished and self._settings.options.seeds == 1:
                    self.run.terminal.notice(f"step {event.step}: validation {_shown(self._last)}")
            else:
                self._log.write(event, "step", loss=event.loss, lr=event.rate, gradient_norm=event.norm)
                self._progress.advance(1, f"loss {event.loss:.3f}")
            if not self._trainer.finished:
                yield

    def measured(self) -> dict[str, float]:
        """Train without a checkpoint; return how the weights that are kept do on the validation examples."""
        for _ in self.train():
            pass
        self.run.terminal.clear()
        return self._metrics()

    def draw(self) -> None:
        """See `Session.draw`: there is no figure."""

    def model(self) -> Any:
        """See `Session.model`."""
        return self._parts.model(self._trainer.weights(), self._task)

    def end(self) -> None:
        """See `Session.end`."""
        self.run.terminal.clear()
        metrics = self._metrics()
        shown = f"; validation {_shown(metrics)}" if metrics else ""
        self.run.terminal.notice(f"{self._trainer.step} steps in {self._trainer.seconds:.1f} s{shown}")
        for name, (mean, low, high) in self._intervals().items():
            runs = 1 + len(self._others)
            self.run.terminal.notice(f"{name} of {runs} seeds: mean {mean:.4f}, 95 % interval {low:.4f} to {high:.4f}")

    def _intervals(self) -> dict[str, tuple[float, float, float]]:
        """The mean of each measure over all seeds, and its interval; nothing for one seed."""
        from lmkit.metrics.bootstrap import mean_interval

        runs = [self._metrics(), *self._others]
        return {name: mean_interval([run[name] for run in runs]) for name in runs[0]} if self._others else {}

    def _metrics(self) -> dict[str, float]:
        """How the weights that are kept did on the validation examples."""
        kept = {key: value for key, value in self._trainer.best.items() if key not in ("merit", "step")}
        return kept if self._trainer.plan.select_by else self._last

    def recorded(self) -> dict[str, Any]:
        """See `Session.recorded`: without the options of the bag of n-grams."""
        left_out = {*self.run.marked(UNRECORDED), *BAG}
        return {key: value for key, value in self.run.settings.items() if key not in left_out}

    def inputs(self) -> Sequence[dict[str, Any]]:
        """See `Session.inputs`."""
        return self._records

    def conditions(self) -> dict[str, Any]:
        """See `Session.conditions`."""
        return {"parent": self._parts.parent, "examples": list(self._records)}

    def outcome(self) -> dict[str, Any]:
        """See `Session.outcome`."""
        import torch

        trained: dict[str, Any] = {"steps": self._trainer.step, "validation": self._metrics()}
        if self._others:
            means = {
                name: dict(zip(("mean", "low", "high"), own, strict=True)) for name, own in self._intervals().items()
            }
            trained["seeds"] = {"runs": len(self._others) + 1, **means}
        parent = {"parent": self._parts.parent} if self._parts.parent else {}
        return {"versions": {"torch": torch.__version__}, **parent, "trained": trained}


def _shown(numbers: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.4f}" for name, value in numbers.items())


def check_group(
    run: Run, model: str | None, bag: Sequence[str], neural: Sequence[str], name: str = "the bag of n-grams"
) -> None:
    """Raises UsageError for options of what there is without a model, by its `name`, beside one, and the other way."""
    wrong = sorted(run.given.intersection(neural if model is None else bag))
    if wrong:
        option = f"--{wrong[0].replace('_', '-')}"
        if model is None:
            raise UsageError(f"{option} needs a model to fine-tune", hint="name one with -m")
        raise UsageError(f"{option} is about {name} and cannot be combined with -m")
    if model == streams.STDIN:
        raise UsageError("the model to fine-tune is read from a file or folder, not from stdin")
