"""One training run from options to checkpoint: builds it, watches it, saves it, and stops it when asked."""

import math
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from lmkit.commands import models as opening
from lmkit.commands.options import Run
from lmkit.commands.provenance import checkpoint_bytes, origin
from lmkit.commands.train.options import Training
from lmkit.edge import streams
from lmkit.edge.records import to_json
from lmkit.errors import CheckpointError, LmkitError, MissingError, OutputError, Status, Stopped, UsageError

LN2 = math.log(2.0)
STEPS = 500
UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}
UNSAVED = ("log", "output", "resume", "save_every", "threads", "valid", "print_schedule", "device", "shard")
"""Settings that say nothing of what is learned."""

MakeSettings = Callable[[int], Any]
"""From the size of the vocabulary to a family's settings."""


def train(run: Run, files: Sequence[str], training: Training, make: MakeSettings, *, time_steps: int) -> None:
    """Trains a model of the settings that `make` gives on rows of `time_steps` tokens."""
    if training.print_schedule:
        _print_schedule(training)
        return
    inputs = list(files or [streams.STDIN])
    opening.one_stdin(*inputs, training.valid, training.tokens)
    _needs_torch()
    make(1)  # what makes no model is told before any text is read
    with _told_of_memory(), _Session(run, inputs, training, make, time_steps) as session:
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
    number, unit = text.rstrip("abcdefghijklmnopqrstuvwxyz"), text.lstrip("0123456789.e+-")
    for name in (*UNITS, "tokens", "flops"):
        if text.endswith(name) and unit.endswith(name):
            number, unit = text.removesuffix(name), name
    try:
        amount = float(number)
    except ValueError:
        amount = 0.0
    if not (math.isfinite(amount) and amount > 0) or unit not in (*UNITS, "tokens", "flops"):
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

        self._run, self._training = run, training
        self._world = join(training.device, shard=training.shard)
        self._speaks = self._world.first and not run.terminal.quiet
        if training.output is not None:
            streams.spare_inputs(training.output, [*inputs, training.valid, training.tokens, training.log])
        torch.set_num_threads(max(1, opening.core_count(training.threads) // self._world.size))
        self._texts = read_texts(run, inputs, training)
        self._settings = make(self._texts.tokenizer.size)
        self._state_name = f"{training.output}.state" if training.output not in (None, streams.STDIN) else None
        self._trainer = self._build(time_steps)
        self._final: Any = None
        self._log: Any = None
        self._saved = time.monotonic()

    def __enter__(self) -> "_Session":
        return self

    def __exit__(self, *_: object) -> None:
        if self._log is not None:
            self._log.close()
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
            validation=self._validation(network) if self._texts.validation is not None else None,
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

    def _validation(self, network: Any) -> Callable[[], tuple[int, float, int]]:
        """A function that scores the whole validation text: tokens, summed nats, how many were foreseen."""
        from lmkit.families.model import Weights
        from lmkit.neural.scoring import of_network

        corpus, form = self._texts.validation, self._texts.form
        weights = Weights(self._settings, form, self._texts.tokenizer, {})

        def score() -> tuple[int, float, int]:
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
        from lmkit.neural.training import Diverged

        trainer = self._trainer
        if self._training.resume:
            self._resume()
        self._open_log()
        self._tell_beginning()
        total = trainer.plan.steps or trainer.plan.seconds
        progress = self._run.terminal.progress("training", None if total is None else math.ceil(total), "")
        with _asked_to_stop() as asked:
            try:
                for event in trainer.run():
                    self._tell(event, progress)
                    if asked and not trainer.finished:
                        break
                    if time.monotonic() - self._saved >= self._training.save_every:
                        self._save_state()
            except Diverged as error:
                self._save_state()
                self._run.terminal.clear()
                raise Diverged(
                    f"{error}{self._kept()}", hint="a lower --lr and --matrix-lr, more --warmup, or a lower --clip"
                ) from None
        if asked and not trainer.finished:
            self._stop(asked[0])
        self._finish()

    def _stop(self, status: Status) -> None:
        """Saves and ends as the signal wants it."""
        self._save_state()
        self._run.terminal.clear()
        if self._state_name is not None and self._world.first:
            self._run.terminal.notice(
                f"stopped at step {self._trainer.step}{self._kept()}; --resume goes on from there"
            )
        raise Stopped(status)

    def _kept(self) -> str:
        return f"; what was learned is in {self._state_name}" if self._state_name is not None else ""

    def _finish(self) -> None:
        """Writes the model, then drops what was kept to go on."""
        from lmkit.families.model import Weights

        trainer, texts = self._trainer, self._texts
        arrays = trainer.weights()
        self._tell_end()
        if not self._world.first:
            return
        weights = Weights(self._settings, texts.form, texts.tokenizer, arrays)
        record = origin(self._run.command, self._recorded(), texts.record)
        import torch

        record["versions"]["torch"] = torch.__version__
        record["trained"] = {"steps": trainer.step, "tokens": trainer.tokens, "validation": self._metrics()}
        try:
            with streams.open_output(self._training.output, binary=True) as out:
                for piece in checkpoint_bytes(weights, record):
                    out.write(piece)
        except OutputError as error:
            with suppress(LmkitError):
                self._save_state()
            raise OutputError(f"{error}{self._kept()}", hint="make room, then --resume writes the model") from None
        if self._state_name is not None:
            with suppress(FileNotFoundError):
                os.unlink(self._state_name)

    def _recorded(self) -> dict[str, Any]:
        return {key: value for key, value in self._run.settings.items() if key not in UNSAVED and key != "files"}

    def _metrics(self) -> dict[str, float]:
        best = self._trainer.best if self._training.select_by else None
        chosen = best or (self._final and {"nats": self._final.nats, "accuracy": self._final.accuracy})
        return {key: chosen[key] for key in ("nats", "accuracy")} if chosen else {}

    # Its state on disk.

    def _fingerprint(self) -> dict[str, Any]:
        """What must be the same for a run to go on as if it had never stopped."""
        same = self._recorded()
        same["save_inputs"] = self._texts.record
        same["processes"] = self._world.size
        return {"settings": same, "model": self._settings.to_json(), "tokenizer": self._texts.tokenizer.digest}

    def _save_state(self) -> None:
        from lmkit.checkpoint import Checkpoint, serialize

        self._saved = time.monotonic()
        if self._state_name is None:
            return
        numbers, arrays = self._trainer.state()
        if not self._world.first:
            return
        content = Checkpoint("training-state", {**numbers, "fingerprint": self._fingerprint()}, arrays)
        try:
            with streams.open_output(self._state_name, binary=True) as out:
                for piece in serialize(content):
                    out.write(piece)
        except OutputError as error:
            self._run.terminal.notice(f"{error}; the state before this one is still there, training goes on")

    def _resume(self) -> None:
        """Takes up the state on disk, if there is one. Raises CheckpointError where it is of another run."""
        from lmkit.checkpoint import parse

        name = self._state_name
        if name is None:
            raise UsageError("--resume goes on from OUTPUT.state, so it needs -o OUTPUT")
        if not os.path.exists(name):
            self._run.terminal.notice(f"{name} is not there: training begins")
            return
        with opening.about(name):
            content = parse(streams.read_whole(name))
            if content.kind != "training-state":
                raise CheckpointError(f"of kind {content.kind}, not the state of a training run")
            differences = _differences(content.config.get("fingerprint", {}), self._fingerprint())
            if differences:
                raise CheckpointError(
                    f"the state of another run: {', '.join(differences)} differ", hint="remove it to begin anew"
                )
            try:
                self._trainer.resume(content.config, content.tensors)
            except (KeyError, ValueError, TypeError, RuntimeError) as error:
                raise CheckpointError(f"damaged state: {error}") from None
        self._run.terminal.notice(f"going on from step {self._trainer.step}")

    # What is told of it.

    def _open_log(self) -> None:
        """Opens the log; in a resumed run without what came after the saved step."""
        name = self._training.log
        if name is None or not self._world.first:
            return
        kept = []
        if self._trainer.step and os.path.exists(name):
            with open(name, encoding="utf-8") as lines:
                kept = [line for line in lines if _step_of(line) <= self._trainer.step]
        try:
            self._log = open(name, "w", encoding="utf-8")  # noqa: SIM115
            self._log.writelines(kept)
        except OSError as error:
            raise OutputError(f"{name}: {streams.reason(error)}") from None

    def _tell_beginning(self) -> None:
        if not self._speaks:
            return
        plan, corpus = self._trainer.plan, self._texts.training
        length = f"{plan.steps} steps" if plan.steps is not None else f"{plan.seconds:g} s"
        self._run.terminal.notice(
            f"{self._settings.kind}: {self._settings.parameters:,} parameters, {self._texts.tokenizer.size:,} tokens; "
            f"{length} of {self._tokens_a_step:,} tokens from {corpus.tokens:,}"
        )

    def _tell(self, event: Any, progress: Any) -> None:
        from lmkit.neural.training import Evaluated

        if isinstance(event, Evaluated):
            self._final = event
            per_byte = event.nats / LN2 / self._texts.validation.bytes_per_token
            self._write(event, "evaluation", nats=event.nats, bits_per_byte=per_byte, accuracy=event.accuracy)
            if self._speaks and not self._trainer.finished:
                self._run.terminal.notice(
                    f"step {event.step}: validation {event.nats:.4f} nats, {per_byte:.4f} bits a byte"
                )
            return
        per_byte = event.nats / LN2 / self._texts.training.bytes_per_token
        clipped = min(event.norm, self._trainer.plan.clip or math.inf)
        self._write(
            event, "step", nats=event.nats, bits_per_byte=per_byte, lr=event.rate, gradient_norm=clipped,
            gradient_norm_before=event.norm,
        )  # fmt: skip
        if self._speaks:
            spent = 1 if self._trainer.plan.steps is not None else event.seconds - self._before
            rate = event.tokens / event.seconds
            progress.advance(spent, f"{event.nats:.3f} nats  {per_byte:.3f} bits a byte  {rate:,.0f} tokens/s")
        self._before = event.seconds

    _before = 0.0

    def _write(self, event: Any, name: str, **values: float) -> None:
        if self._log is None:
            return
        record = {"event": name, "step": event.step, "tokens": event.tokens, "seconds": round(event.seconds, 6)}
        try:
            self._log.write(to_json({**record, **values}) + "\n")
            self._log.flush()
        except OSError as error:
            raise OutputError(f"{self._training.log}: {streams.reason(error)}") from None

    def _tell_end(self) -> None:
        if not self._speaks:
            return
        trainer = self._trainer
        self._run.terminal.clear()
        rate = trainer.tokens / trainer.seconds if trainer.seconds else 0.0
        text = f"{trainer.step} steps, {trainer.tokens:,} tokens in {trainer.seconds:.1f} s ({rate:,.0f} a second)"
        metrics = self._metrics()
        if metrics:
            per_byte = metrics["nats"] / LN2 / self._texts.validation.bytes_per_token
            text += f"; validation {metrics['nats']:.4f} nats a token, {per_byte:.4f} bits a byte{self._how()}"
        self._run.terminal.notice(text)

    def _how(self) -> str:
        """How the validation text was scored."""
        context = self._settings.to_json().get("context")
        windowed = self._settings.kind == "transformer"
        return f" (windows of {context}, each on its own)" if windowed else " (state carried along)"


def _step_of(line: str) -> int:
    import json

    try:
        return int(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return 0


def _differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Which settings are not what they were."""
    import json

    found = []
    now = json.loads(json.dumps(now))
    for part in now:
        ours, theirs = now[part], before.get(part)
        if isinstance(ours, dict) and isinstance(theirs, dict):
            found += [key for key in sorted({*ours, *theirs}) if ours.get(key) != theirs.get(key)]
        elif ours != theirs:
            found.append(part)
    return found


@contextmanager
def _asked_to_stop() -> Iterator[list[Status]]:
    """A list that gets the status to end with when a signal asks for the end; a second one ends at once."""
    asked: list[Status] = []
    statuses = {signal.SIGINT: Status.INTERRUPTED, signal.SIGTERM: Status.TERMINATED}

    def note(number: int, _frame: object) -> None:
        status = statuses[signal.Signals(number)]
        if asked:
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
