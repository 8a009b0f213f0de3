"""One training run from options to checkpoint: builds it, watches it, saves it, and stops it when asked."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any, Self

from lmkit.commands.loading import models as opening
from lmkit.commands.options.standard import Run
from lmkit.commands.options.training import Training
from lmkit.commands.training_run.event_log import EventLog
from lmkit.commands.training_run.session import TrainerSession, state_file
from lmkit.commands.training_run.setup import MakeSettings, Setup
from lmkit.commands.training_run.state_file import StateFile
from lmkit.errors import CheckpointError, DataError, Diverged, OutputError, ProcessError, Stopped, UsageError
from lmkit.io import outputs, streams
from lmkit.io.messages import Terminal


def train(
    run: Run, files: Sequence[str], training: Training, make: MakeSettings, *, time_steps: int,
    setup: Callable[..., Setup] = Setup,
) -> None:  # fmt: skip
    """Trains a model of the settings that `make` gives on rows of `time_steps` tokens; `setup` makes its parts."""
    training.check_search()
    if training.print_schedule:
        from lmkit.commands.training_run import lr_finder

        lr_finder.print_schedule(training)
        return
    inputs = list(files or [streams.STDIN])
    opening.check_single_stdin(*inputs, training.valid, training.tokens, training.embeddings)
    outputs.expect_output(training.output, binary=True)
    opening.needs_torch("neural models are trained")
    make(1)  # invalid model options fail before any text is read
    with _told_of_memory(), _told_of_lost_processes(), _told_once():
        if training.find_lr or training.find_batch:
            from lmkit.commands.training_run import lr_finder

            search = lr_finder.find_lr if training.find_lr else lr_finder.find_batch
            search(setup(run, inputs, training, make, time_steps))
            return
        state = state_file(run, training)
        with NeuralSession(run, inputs, training, partial(setup, make=make, time_steps=time_steps), state) as session:
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
def _told_of_lost_processes() -> Iterator[None]:
    """Says that another of several processes is gone where talking to it fails."""
    try:
        yield
    except RuntimeError as error:  # gloo's have no class of their own
        if int(os.environ.get("WORLD_SIZE", "1")) == 1 or not any(name in str(error) for name in ("gloo", "NCCL")):
            raise
        raise ProcessError(
            "another process of this run has ended", hint="start all processes again, with --resume"
        ) from None


@contextmanager
def _told_once() -> Iterator[None]:
    """Of several processes only the first tells what is wrong with all of them."""
    try:
        yield
    except (CheckpointError, DataError, Diverged, UsageError) as error:
        if int(os.environ.get("WORLD_SIZE", "1")) > 1 and os.environ.get("RANK") != "0":
            raise Stopped(error.status) from None
        raise


class NeuralSession(TrainerSession):
    """A run of a neural network: its trainer, its texts, and what is reported of it."""

    product = "model"
    advice = "a lower --lr and --matrix-lr, more --warmup, or a lower --clip"

    def __init__(
        self, run: Run, inputs: list[str], training: Training, make_setup: Callable[..., Setup], state: StateFile
    ) -> None:
        from lmkit.training.distributed import join

        self._world = join(training.device, shard=training.shard)
        first, processes = self._world.first, self._world.size
        if not first:
            run = replace(run, terminal=Terminal(quiet=True))
        if processes > 1 and streams.STDIN in (*inputs, training.valid, training.tokens, training.embeddings):
            raise UsageError("several processes can't read one stdin", hint="name FILEs")
        super().__init__(run, training, state, processes=processes, writes=first)
        self._training = training
        setup = self._setup = make_setup(run, inputs, training, processes=processes)
        self._texts, self._settings = setup.texts, setup.settings
        self._begun = setup.begun
        batches = setup.batches()
        self._tokens_a_step = setup.tokens_a_step(batches)
        self._trainer = setup.trainer(batches, setup.plan(self._tokens_a_step), validates=True, world=self._world)
        self._teller = setup.reporter(self._trainer.plan, first=first)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._world.leave()

    @property
    def log(self) -> EventLog:
        """See `Session.log`."""
        return self._teller.log

    def begin(self) -> None:
        """See `Session.begin`."""
        self._teller.begins(self._tokens_a_step)

    def take_up(self, log: Sequence[str]) -> None:
        """See `Session.take_up`: they are part of the curve."""
        self._teller.curve.take_up(log)

    def train(self) -> Iterator[None]:
        """See `Session.train`."""
        from lmkit.training.trainer import Evaluation

        for event in self._trainer.run():
            if isinstance(event, Evaluation):
                self._teller.evaluated(event, last=self._trainer.finished)
            else:
                self._teller.stepped(event)
            if not self._trainer.finished:
                yield

    def agree(self, *, stop: bool, save: bool) -> tuple[bool, bool]:
        """See `Session.agree`: one signal is enough, and the first process has the clock."""
        stopping, saving = self._world.summed([stop, save and self._world.first])
        return bool(stopping), bool(saving)

    def draw(self) -> None:
        """See `Session.draw`."""
        self._teller.curve.draw()

    def model(self) -> Any:
        """See `Session.model`; every process takes part."""
        return self._setup.model(self._trainer.weights())

    def end(self) -> None:
        """See `Session.end`."""
        self._teller.ended(self._trainer, self._metrics())

    def inputs(self) -> Sequence[dict[str, Any]]:
        """See `Session.inputs`."""
        records: list[dict[str, Any]] = self._texts.record
        return records

    def recorded(self) -> dict[str, Any]:
        """See `Session.recorded`; of a file with a tokenizer its kind, as its name says nothing elsewhere."""
        return {**super().recorded(), **{option: tokenizer.kind for option, (_, tokenizer) in self._files().items()}}

    def _files(self) -> dict[str, tuple[str, Any]]:
        """Those of the setup's tokenizers that options name as files."""
        settings = self.run.settings
        return {
            option: named for option, named in self._setup.tokenizers().items()
            if settings.get(option) not in {None, *self._setup.kinds}
        }  # fmt: skip

    def conditions(self) -> dict[str, Any]:
        """See `Session.conditions`."""
        model = {f"model {key}": value for key, value in self._settings.to_json().items()}
        digests = {name: tokenizer.digest for name, tokenizer in self._setup.tokenizers().values()}
        texts = {"texts": self._texts.record, **digests}
        return {**self._begun, **model, **texts, "processes": self._world.size}

    def outcome(self) -> dict[str, Any]:
        """See `Session.outcome`."""
        import torch

        trained = {"steps": self._trainer.step, "tokens": self._trainer.tokens, "validation": self._metrics()}
        digests = {name: tokenizer.digest for name, tokenizer in self._files().values()}
        return {"versions": {"torch": torch.__version__}, **self._begun, **digests, "trained": trained}

    def _metrics(self) -> dict[str, float]:
        """How the weights that are kept did on the validation text."""
        last = self._teller.evaluation
        if self._training.select_by and self._trainer.best:
            return {key: value for key, value in self._trainer.best.items() if key not in ("merit", "step")}
        return dict(last.numbers) if last is not None else {}
