"""One training run of a command: resumes from OUTPUT.state, logs, saves, stops when asked, writes the checkpoint.

Knows no model: what is trained, and how it is reported, is in the Session of a kind of training.
"""

import signal
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, ClassVar, NamedTuple, Protocol

from lmkit.commands.loading.provenance import checkpoint_bytes, origin
from lmkit.commands.options.normalization import recorded
from lmkit.commands.options.standard import ADJUSTABLE, UNRECORDED, Run
from lmkit.commands.training_run.event_log import EventLog
from lmkit.commands.training_run.state_file import StateFile
from lmkit.errors import Diverged, OutputError, Status, Stopped, UsageError
from lmkit.io import outputs


class RunOptions(Protocol):
    """The options of a training run that have nothing to do with what is trained."""

    @property
    def output(self) -> str | None:
        """The name of the checkpoint."""

    @property
    def resume(self) -> bool:
        """Whether to resume from the state file, if there is one."""

    @property
    def restart(self) -> bool:
        """Whether to start over where a state file is left."""

    @property
    def save_every(self) -> float:
        """Seconds between two saves."""


class Resumable(Protocol):
    """What is saved in a state file."""

    def state(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return all that resuming needs: numbers, and arrays by name."""

    def resume(self, numbers: Mapping[str, Any], arrays: Mapping[str, Any]) -> None:
        """Take these up. Raises KeyError, ValueError or TypeError where something is absent or does not fit."""


class Point(NamedTuple):
    """The position of training, as the log has it."""

    step: int
    tokens: int
    seconds: float


def state_file(run: Run, options: RunOptions) -> StateFile:
    """Return the state file of a run.

    Raises UsageError where there is one without --resume and --restart, and for --resume of a run that has ended.
    """
    if options.resume and options.restart:
        raise UsageError("--resume and --restart exclude each other")
    state = StateFile(options.output, run.marked(ADJUSTABLE))
    if options.resume:
        state.check_not_finished()
    elif not options.restart:
        state.check_no_state()
    return state


@contextmanager
def asked_to_stop(*, alone: bool) -> Iterator[list[Status]]:
    """A list that gets the status to end with when a signal asks for the end.

    A second one ends at once, if this process is alone: torchrun passes on what a terminal has sent already.
    """
    asked: list[Status] = []
    statuses = {signal.SIGINT: Status.INTERRUPTED, signal.SIGTERM: Status.TERMINATED}
    if hasattr(signal, "SIGHUP"):
        statuses[signal.SIGHUP] = Status.TERMINATED
    heeded = [number for number in statuses if signal.getsignal(number) != signal.SIG_IGN]  # not under nohup

    def note(number: int, _frame: object) -> None:
        status = statuses[signal.Signals(number)]
        if asked and alone:
            raise Stopped(status)
        asked.append(status)

    before = {}
    with suppress(ValueError):  # only the main thread is asked
        before = {number: signal.signal(number, note) for number in heeded}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Session(ABC):
    """A run of one kind of training; `go` is all of it.

    Of several processes that train together one `writes`; all save at the same steps.
    """

    product: ClassVar[str]
    """What the checkpoint holds, for people."""
    advice: ClassVar[str]
    """What to change after training diverged."""

    keeps_diverged: ClassVar[bool] = True
    """Whether the state after divergence is the one before the step that failed, so that it is worth saving."""

    def __init__(
        self, run: Run, options: RunOptions, state: StateFile, *, processes: int = 1, writes: bool = True
    ) -> None:
        self.run, self.options, self.file = run, options, state
        self._processes, self._writes = processes, writes
        self._saved = 0.0

    # What a kind of training has.

    @property
    @abstractmethod
    def log(self) -> EventLog:
        """The log of events."""

    @property
    @abstractmethod
    def point(self) -> Point:
        """The position of training."""

    @property
    @abstractmethod
    def resumable(self) -> Resumable:
        """What is saved and resumed."""

    @abstractmethod
    def place(self, *, resumed: bool) -> str:
        """Return where a run resumes or stopped, for people: `after 10 words`."""

    @abstractmethod
    def begin(self) -> None:
        """Report what is about to happen."""

    @abstractmethod
    def take_up(self, log: Sequence[str]) -> None:
        """Take up the lines that the log keeps of an earlier part of the run."""

    @abstractmethod
    def train(self) -> Iterator[None]:
        """Train, report events, and yield wherever training may be saved and stopped. Raises Diverged."""

    @abstractmethod
    def draw(self) -> None:
        """Draw the curve of the run so far, where one is asked for."""

    @abstractmethod
    def model(self) -> Any:
        """Return what was trained, for a checkpoint."""

    @abstractmethod
    def end(self) -> None:
        """Report what training took and what came of it."""

    @abstractmethod
    def inputs(self) -> Sequence[dict[str, Any]]:
        """Return the records of the inputs."""

    @abstractmethod
    def conditions(self) -> dict[str, Any]:
        """Return what must be equal for a resumed run to equal an uninterrupted one, beside options and inputs."""

    @abstractmethod
    def outcome(self) -> dict[str, Any]:
        """Return what the checkpoint's origin has of the training; `versions` are added to the others."""

    def last_evaluated(self) -> int:
        """Return the step of the last evaluation; the log keeps those up to it."""
        return self.point.step

    def agree(self, *, stop: bool, save: bool) -> tuple[bool, bool]:
        """Return whether to stop and whether to save, as all processes do."""
        return stop, save

    def recorded(self) -> dict[str, Any]:
        """Return the options that say what is learned."""
        unrecorded = self.run.marked(UNRECORDED)
        return recorded({key: value for key, value in self.run.settings.items() if key not in unrecorded})

    # The run.

    def go(self) -> None:
        """Train to the end, or to where it is stopped, and write the checkpoint."""
        self._saved = time.monotonic()
        if self.options.resume:
            self.run.terminal.notice(self._resumed())
        elif self.file.exists and self._writes:
            self.run.terminal.notice(f"{self.file.name} removed: training starts over")
            self.file.remove()
        self.begin()
        with (
            self.log.opened(self.point.step, self.last_evaluated()) as before,
            asked_to_stop(alone=self._processes == 1) as asked,
        ):
            self.take_up(before)
            try:
                ended = self._follow(asked)
            except Diverged as error:
                if self.keeps_diverged:
                    self.save()
                self.draw()
                raise Diverged(f"{error}{self._kept()}", hint=self.advice) from None
            if not ended:
                self.draw()
                raise Stopped(asked[0] if asked else Status.TERMINATED)
        self._write()

    def _resumed(self) -> str:
        """Take up the state on disk; return what is to be said of it."""
        changed = self.file.load(self.resumable, self._fingerprint())
        if changed is None:
            return f"{self.file.name} is not there: training begins"
        return f"going on {self.place(resumed=True)}" + (f" with other {', '.join(changed)}" if changed else "")

    def _follow(self, asked: list[Status]) -> bool:
        """Train to the end; False where a signal asked to stop before."""
        for _ in self.train():
            due = time.monotonic() - self._saved >= self.options.save_every
            stop, save = self.agree(stop=bool(asked), save=due)
            if stop or save:
                self.save()
            if stop:
                kept = self._kept("; continue it with --resume")
                self.run.terminal.notice(f"stopped {self.place(resumed=False)}{kept}")
                return False
        return True

    def _kept(self, more: str = "") -> str:
        return f"; the state is in {self.file.name}{more}" if self.file.exists else ""

    def save(self) -> None:
        """Save the state; a failure is reported, and the state before it stays."""
        self._saved = time.monotonic()
        try:
            if self.file.save(self.resumable, self._fingerprint(), writes=self._writes):
                self.log.write(self.point, "saved")
        except OutputError as error:
            before = "; the state before is still there" if self.file.exists else ""
            self.run.terminal.notice(f"{error}; not saved{before}")

    def _write(self) -> None:
        """Write the checkpoint, then remove the state."""
        model = self.model()
        self.end()
        if not self._writes:
            return
        try:
            with outputs.open_output(self.options.output, binary=True) as out:
                for piece in checkpoint_bytes(model, self._origin()):
                    out.write(piece)
        except OutputError as error:
            if self._processes > 1 or self.file.name is None:  # a state is of all, and the others are gone
                raise
            self.save()
            if not self.file.exists:
                raise
            hint = f"make room, then --resume writes the {self.product}"
            raise OutputError(f"{error}{self._kept()}", hint=hint) from None
        self.file.remove()
        self.draw()

    # What is recorded of it.

    def _fingerprint(self) -> dict[str, Any]:
        """Return what must be equal for a resumed run to equal an uninterrupted one."""
        return {**self.recorded(), **self.conditions()}

    def _origin(self) -> dict[str, Any]:
        record = origin(self.run.command, self.recorded(), self.inputs())
        outcome = self.outcome()
        record["versions"] |= outcome.pop("versions")
        return {**record, **outcome}


class TrainerSession(Session):
    """A run of a neural network: its position is that of the trainer, in steps."""

    _trainer: Any

    @property
    def point(self) -> Point:
        """See `Session.point`."""
        return Point(self._trainer.step, self._trainer.tokens, self._trainer.seconds)

    @property
    def resumable(self) -> Resumable:
        """See `Session.resumable`."""
        trainer: Resumable = self._trainer
        return trainer

    def place(self, *, resumed: bool) -> str:
        """See `Session.place`."""
        return f"{'from' if resumed else 'at'} step {self._trainer.step}"

    def last_evaluated(self) -> int:
        """See `Session.last_evaluated`."""
        return int(self._trainer.evaluated)
