"""One training run from options to checkpoint: builds it, watches it, saves it, and stops it when asked."""

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from lmkit.commands import models as opening
from lmkit.commands.options import Run
from lmkit.commands.provenance import checkpoint_bytes, origin
from lmkit.commands.resuming import StateFile
from lmkit.commands.stopping import asked_to_stop
from lmkit.commands.train import searching
from lmkit.commands.train.options import Training
from lmkit.commands.train.setup import MakeSettings, Setup
from lmkit.commands.train.telling import Teller
from lmkit.edge import streams
from lmkit.edge.terminal import Terminal
from lmkit.errors import CheckpointError, DataError, Diverged, LmkitError, OutputError, Status, Stopped, UsageError

UNRECORDED = (
    "device", "embeddings", "files", "find_batch", "find_lr", "json", "log", "mem_limit", "output", "plot",
    "print_schedule", "resume", "save_every", "shard", "threads", "valid",
)  # fmt: skip
"""Settings that say nothing of what is learned, or that name files."""
MAY_CHANGE = (
    "budget", "clip", "evaluate_every", "lr", "matrix_lr", "patience", "save_every", "schedule", "steps", "warmup",
    "weight_decay",
)  # fmt: skip
"""Settings that may be others when a run goes on: it then ends elsewhere, as is wanted after it diverged."""


def train(run: Run, files: Sequence[str], training: Training, make: MakeSettings, *, time_steps: int) -> None:
    """Trains a model of the settings that `make` gives on rows of `time_steps` tokens."""
    searching.check(training)
    if training.print_schedule:
        searching.print_schedule(training)
        return
    inputs = list(files or [streams.STDIN])
    opening.one_stdin(*inputs, training.valid, training.tokens, training.embeddings)
    streams.expect_output(training.output, binary=True)
    opening.needs_torch("neural models are trained")
    make(1)  # what makes no model is told before any text is read
    with _told_of_memory(), _told_once():
        if training.find_lr or training.find_batch:
            search = searching.find_lr if training.find_lr else searching.find_batch
            search(Setup(run, inputs, training, make, time_steps))
            return
        state = StateFile(training.output, MAY_CHANGE)
        if not training.resume:
            state.expect_none()
        with _Session(run, inputs, training, make, time_steps, state) as session:
            session.go()


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


class _Session:
    """A run: its trainer, its files, and what is told of it."""

    def __init__(
        self, run: Run, inputs: list[str], training: Training, make: MakeSettings, time_steps: int, state: StateFile
    ) -> None:
        from lmkit.neural.world import join

        self._world = join(training.device, shard=training.shard)
        if not self._world.first:
            run = replace(run, terminal=Terminal(quiet=True))
        if self._world.size > 1 and streams.STDIN in (*inputs, training.valid, training.tokens, training.embeddings):
            raise UsageError("several processes can't read one stdin", hint="name FILEs")
        self._run, self._training = run, training
        setup = Setup(run, inputs, training, make, time_steps, self._world.size)
        self._texts, self._settings = setup.texts, setup.settings
        self._begun = {"embeddings": setup.start.digest} if setup.start is not None else {}
        batches = setup.batches()
        self._tokens_a_step = batches.rows * time_steps
        self._trainer = setup.trainer(batches, setup.plan(self._tokens_a_step), validates=True, world=self._world)
        self._state = state
        self._teller = Teller(
            run, self._trainer.plan, self._texts, self._settings, training.log if self._world.first else None,
            training.plot if self._world.first else None, speaks=self._world.first,
        )  # fmt: skip
        self._saved = time.monotonic()

    def __enter__(self) -> "_Session":
        return self

    def __exit__(self, *_: object) -> None:
        self._world.leave()

    # The run.

    def go(self) -> None:
        """Trains to the end, or to where it is stopped."""
        if self._training.resume:
            self._teller.notice(self._resumed())
        self._teller.begins(self._tokens_a_step)
        with (
            self._teller.log.opened(self._trainer.step, self._trainer.evaluated) as before,
            asked_to_stop(alone=self._world.size == 1) as asked,
        ):
            self._teller.curve.take_up(before)
            if not self._train(asked):
                self._teller.curve.draw()
                raise Stopped(asked[0] if asked else Status.TERMINATED)
        self._finish()

    def _resumed(self) -> str:
        """Takes up the state on disk; gives what is to be told of it."""
        changed = self._state.load(self._trainer, self._fingerprint())
        if changed is None:
            return f"{self._state.name} is not there: training begins"
        return f"going on from step {self._trainer.step}" + (f" with other {', '.join(changed)}" if changed else "")

    def _train(self, asked: list[Status]) -> bool:
        """Follows the events until the end; False where somebody asked to stop before."""
        from lmkit.neural.training import Evaluated

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
            self._teller.curve.draw()
            _leave_it_to_the_first(error)
            hint = "a lower --lr and --matrix-lr, more --warmup, or a lower --clip"
            raise Diverged(f"{error}{self._kept()}", hint=hint) from None
        return True

    def _kept(self, more: str = "") -> str:
        return f"; the state is in {self._state.name}{more}" if self._state.exists else ""

    def _save(self) -> None:
        """Keeps the state; a failure is told, and the state before it stays."""
        self._saved = time.monotonic()
        try:
            if self._state.save(self._trainer, self._fingerprint(), writes=self._world.first):
                self._teller.saved(self._trainer)
        except OutputError as error:
            before = "; the state before is still there" if self._state.exists else ""
            self._teller.notice(f"{error}; not saved{before}")

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
            hint = "make room, then --resume writes the model" if self._state.exists else None
            raise OutputError(f"{error}{self._kept()}", hint=hint) from None
        self._state.remove()
        self._teller.curve.draw()

    # What is recorded of it.

    def _origin(self) -> dict[str, Any]:
        import torch

        record = origin(self._run.command, self._recorded(), self._texts.record)
        record["versions"]["torch"] = torch.__version__
        trained = {"steps": self._trainer.step, "tokens": self._trainer.tokens, "validation": self._metrics()}
        return {**record, **self._begun, "trained": trained}

    def _recorded(self) -> dict[str, Any]:
        return {key: value for key, value in self._run.settings.items() if key not in UNRECORDED}

    def _metrics(self) -> dict[str, float]:
        """How the weights that are kept did on the validation text."""
        last = self._teller.evaluation
        if self._training.select_by and self._trainer.best:
            return {key: value for key, value in self._trainer.best.items() if key not in ("merit", "step")}
        return dict(last.numbers) if last is not None else {}

    def _fingerprint(self) -> dict[str, Any]:
        """What must be the same for a run to go on as if it had never stopped."""
        model = {f"model {key}": value for key, value in self._settings.to_json().items()}
        texts = {"texts": self._texts.record, "tokenizer": self._texts.tokenizer.digest}
        return {**self._recorded(), **self._begun, **model, **texts, "processes": self._world.size}
