"""One training run from options to checkpoint: builds it, watches it, saves it, and stops it when asked."""

import math
import os
import re
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

from lmkit.commands import models as opening
from lmkit.commands.options import Run
from lmkit.commands.provenance import checkpoint_bytes, origin
from lmkit.commands.train.options import Training
from lmkit.commands.train.state import StateFile
from lmkit.commands.train.telling import Teller
from lmkit.edge import streams
from lmkit.edge.terminal import Terminal
from lmkit.errors import (
    CheckpointError,
    DataError,
    LmkitError,
    MissingError,
    OutputError,
    Status,
    Stopped,
    UsageError,
)

STEPS = 500
UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}
UNRECORDED = (
    "device", "files", "log", "output", "print_schedule", "resume", "save_every", "shard", "threads", "valid",
)  # fmt: skip
"""Settings that say nothing of what is learned, or that name files."""

MakeSettings = Callable[[int], Any]
"""From the size of the vocabulary to a family's settings."""


def train(run: Run, files: Sequence[str], training: Training, make: MakeSettings, *, time_steps: int) -> None:
    """Trains a model of the settings that `make` gives on rows of `time_steps` tokens."""
    if training.print_schedule:
        _print_schedule(training)
        return
    inputs = list(files or [streams.STDIN])
    opening.one_stdin(*inputs, training.valid, training.tokens)
    streams.expect_output(training.output, binary=True)
    _needs_torch()
    make(1)  # what makes no model is told before any text is read
    with _told_of_memory(), _told_once(), _Session(run, inputs, training, make, time_steps) as session:
        session.go()


def _needs_torch() -> None:
    from importlib.util import find_spec

    if find_spec("torch") is None:
        raise MissingError("neural models are trained with PyTorch", hint="pip install 'lmkit-cli[torch]'")


@contextmanager
def _told_of_memory() -> Iterator[None]:
    """Says which options need less memory where there is not enough."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        text = str(error)
        if isinstance(error, RuntimeError) and "alloc" not in text and "out of memory" not in text.lower():
            raise
        raise OutputError(
            "out of memory", hint="a smaller --batch, more --accumulate, a shorter context, or fewer --layers"
        ) from None


@contextmanager
def _told_once() -> Iterator[None]:
    """Of several processes only the first tells what is wrong with all of them."""
    try:
        yield
    except (CheckpointError, DataError, UsageError) as error:
        _leave_it_to_the_first(error)
        raise


def _leave_it_to_the_first(error: LmkitError) -> None:
    """Ends a process silently if another one tells of the same failure."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1 and os.environ.get("RANK") != "0":
        raise Stopped(error.status) from None


def _print_schedule(training: Training) -> None:
    """Every step's learning rate, without text, model or torch."""
    from lmkit.edge.records import Table

    schedule, total = _schedule(training), training.steps or STEPS
    with streams.open_output(training.output) as out:
        table = Table(out, ("step", "lr"), as_json=False)
        for step in range(1, total + 1):
            table.row({"step": step, "lr": training.lr * schedule.factor(step, total)})


def _schedule(training: Training) -> Any:
    from lmkit.neural.schedules import Schedule

    return Schedule(training.schedule, training.warmup)


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


class _Session:
    """A run: its trainer, its files, and what is told of it."""

    def __init__(self, run: Run, inputs: list[str], training: Training, make: MakeSettings, time_steps: int) -> None:
        import torch

        from lmkit.commands.train.texts import read_texts
        from lmkit.neural.world import join

        self._world = join(training.device, shard=training.shard)
        if not self._world.first:
            run = replace(run, terminal=Terminal(quiet=True))
        if self._world.size > 1 and streams.STDIN in (*inputs, training.valid, training.tokens):
            raise UsageError("several processes can't read one stdin", hint="name FILEs")
        self._run, self._training = run, training
        read = [*inputs, training.valid, training.tokens]
        streams.spare_inputs(training.output, [*read, training.log])
        streams.spare_inputs(training.log, read)
        torch.set_num_threads(max(1, opening.core_count(training.threads) // self._world.size))
        self._texts = read_texts(run, inputs, training)
        self._settings = make(self._texts.tokenizer.size)
        self._trainer = self._build(time_steps)
        self._state = StateFile(training.output, self._fingerprint())
        self._teller = Teller(
            run, self._trainer.plan, self._texts, self._settings, training.log if self._world.first else None,
            speaks=self._world.first,
        )  # fmt: skip
        self._saved = time.monotonic()

    def __enter__(self) -> "_Session":
        return self

    def __exit__(self, *_: object) -> None:
        self._world.leave()

    # What is trained on what.

    def _build(self, time_steps: int) -> Any:
        from lmkit.neural import build
        from lmkit.neural.scoring import device_named
        from lmkit.neural.training import Trainer

        training = self._training
        device_named(training.device)
        network = build.fresh(self._settings, seed=training.seed, dropout=training.dropout).to(training.device)
        batches = self._batches(time_steps)
        self._tokens_a_step = batches.rows * time_steps
        return Trainer(
            network, batches, self._plan(), self._texts.form.start,
            validation=self._validation() if self._texts.validation is not None else None,
            world=self._world, shard=training.shard, compiled=training.compile,
        )  # fmt: skip

    def _batches(self, time_steps: int) -> Any:
        from lmkit.neural.batches import Crops, Documents, Lanes

        training, corpus, start = self._training, self._texts.training, self._texts.form.start
        if training.by != "stream" and not training.pack:
            return Documents(corpus, start, training.batch, time_steps, training.seed)
        kind = Crops if self._settings.kind == "transformer" else Lanes
        return kind(corpus.ids, start, training.batch, time_steps, training.seed)

    def _plan(self) -> Any:
        from lmkit.neural.optimizers import Rates
        from lmkit.neural.training import Plan

        t = self._training
        steps, seconds = budget(t.budget, t.steps, self._tokens_a_step, 3 * self._settings.forward_flops)
        every = t.evaluate_every
        if not every and (t.select_by or t.patience):
            every = max(1, (steps or STEPS) // 10)
        return Plan(
            steps=steps, seconds=seconds, optimizer=t.optimizer, rates=Rates(t.lr, t.matrix_lr, t.weight_decay),
            schedule=_schedule(t), clip=t.clip or None, accumulate=t.accumulate, label_smoothing=t.label_smoothing,
            teacher_forcing=t.teacher_forcing, loss_at=t.loss_at, evaluate_every=every, select_by=t.select_by,
            patience=t.patience, precision=t.precision, seed=t.seed,
        )  # fmt: skip

    def _validation(self) -> Callable[[Any], tuple[int, float, int]]:
        """A function that scores the whole validation text: tokens, summed nats, how many were foreseen."""
        from lmkit.families.model import Weights
        from lmkit.neural.scoring import of_network

        corpus, form = self._texts.validation, self._texts.form
        weights = Weights(self._settings, form, self._texts.tokenizer, {})

        def score(network: Any) -> tuple[int, float, int]:
            model = of_network(network, weights, stride=self._settings.to_json().get("context"), batch_tokens=1 << 13)
            model.count_correct = True  # type: ignore[attr-defined]
            if form.by == "stream":
                nats = sum(float(part.sum()) for part in model.score_document([corpus.ids.astype("int32")]))
            else:
                nats = float(model.score_many(corpus.ids.astype("int32"), corpus.ends).sum())
            return corpus.tokens, nats, model.correct  # type: ignore[attr-defined]

        return score

    # The run.

    def go(self) -> None:
        """Trains to the end, or to where it is stopped."""
        if self._training.resume:
            there = self._state.load(self._trainer)
            at = (
                f"going on from step {self._trainer.step}"
                if there
                else f"{self._state.name} is not there: training begins"
            )
            self._teller.notice(at)
        self._teller.begins(self._tokens_a_step)
        with (
            self._teller.log.opened(self._trainer.step, self._trainer.evaluated),
            _asked_to_stop(alone=self._world.size == 1) as asked,
        ):
            if not self._train(asked):
                raise Stopped(asked[0] if asked else Status.TERMINATED)
        self._finish()

    def _train(self, asked: list[Status]) -> bool:
        """Follows the events until the end; False where somebody asked to stop before."""
        from lmkit.neural.training import Diverged, Evaluated

        trainer = self._trainer
        try:
            for event in trainer.run():
                if isinstance(event, Evaluated):
                    self._teller.evaluated(event, last=trainer.finished)
                else:
                    self._teller.stepped(event)
                if trainer.finished:
                    continue
                due = time.monotonic() - self._saved >= self._training.save_every
                stop, save = self._world.summed([bool(asked), due and self._world.first])  # all do the same
                if stop or save:
                    self._save()
                if stop:
                    self._teller.notice(f"stopped at step {trainer.step}{self._kept('; --resume goes on from there')}")
                    return False
        except Diverged as error:
            self._save()
            _leave_it_to_the_first(error)
            hint = "a lower --lr and --matrix-lr, more --warmup, or a lower --clip"
            raise Diverged(f"{error}{self._kept()}", hint=hint) from None
        return True

    def _kept(self, more: str = "") -> str:
        return f"; the state is in {self._state.name}{more}" if self._state.name is not None else ""

    def _save(self) -> None:
        """Keeps the state; a failure is told, and the state before it stays."""
        self._saved = time.monotonic()
        try:
            if self._state.save(self._trainer, writes=self._world.first):
                self._teller.saved(self._trainer)
        except OutputError as error:
            self._teller.notice(f"{error}; not saved, the state before is still there")

    def _finish(self) -> None:
        """Writes the model, then drops what was kept to go on."""
        from lmkit.families.model import Weights

        arrays = self._trainer.weights()
        self._teller.ended(self._trainer, self._metrics())
        if not self._world.first:
            return
        weights = Weights(self._settings, self._texts.form, self._texts.tokenizer, arrays)
        try:
            with streams.open_output(self._training.output, binary=True) as out:
                for piece in checkpoint_bytes(weights, self._origin()):
                    out.write(piece)
        except OutputError as error:
            if self._world.size > 1 or self._state.name is None:  # a state is of all, and the others are gone
                raise
            self._save()
            raise OutputError(f"{error}{self._kept()}", hint="make room, then --resume writes the model") from None
        self._state.remove()

    # What is recorded of it.

    def _origin(self) -> dict[str, Any]:
        import torch

        record = origin(self._run.command, self._recorded(), self._texts.record)
        record["versions"]["torch"] = torch.__version__
        trained = {"steps": self._trainer.step, "tokens": self._trainer.tokens, "validation": self._metrics()}
        return {**record, "trained": trained}

    def _recorded(self) -> dict[str, Any]:
        return {key: value for key, value in self._run.settings.items() if key not in UNRECORDED}

    def _metrics(self) -> dict[str, float]:
        """How the weights that are kept did on the validation text."""
        last = self._teller.evaluation
        if self._training.select_by and self._trainer.best:
            return {key: self._trainer.best[key] for key in ("nats", "accuracy")}
        return {"nats": last.nats, "accuracy": last.accuracy} if last is not None else {}

    def _fingerprint(self) -> dict[str, Any]:
        """What must be the same for a run to go on as if it had never stopped."""
        model = {f"model {key}": value for key, value in self._settings.to_json().items()}
        texts = {"texts": self._texts.record, "tokenizer": self._texts.tokenizer.digest}
        return {**self._recorded(), **model, **texts, "processes": self._world.size}


@contextmanager
def _asked_to_stop(*, alone: bool) -> Iterator[list[Status]]:
    """A list that gets the status to end with when a signal asks for the end.

    A second one ends at once, if this process is alone: torchrun passes on what a terminal has sent already.
    """
    asked: list[Status] = []
    statuses = {signal.SIGINT: Status.INTERRUPTED, signal.SIGTERM: Status.TERMINATED}
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # not under nohup
        statuses[signal.SIGHUP] = Status.TERMINATED

    def note(number: int, _frame: object) -> None:
        status = statuses[signal.Signals(number)]
        if asked and alone:
            raise Stopped(status)
        asked.append(status)

    before = {}
    with suppress(ValueError):  # only the main thread is asked
        before = {number: signal.signal(number, note) for number in statuses}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
