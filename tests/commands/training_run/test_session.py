"""One session for every kind of training: which options count, and what becomes of a run that stops, fails or ends."""

import inspect
import json
import os
import signal
from dataclasses import dataclass

import numpy as np
import pytest

from lmkit import checkpoint
from lmkit.cli import function_of
from lmkit.commands.options.standard import ADJUSTABLE, UNRECORDED, Run
from lmkit.commands.training_run.event_log import EventLog
from lmkit.commands.training_run.session import Point, Session, state_file
from lmkit.errors import CheckpointError, Diverged, OutputError, Stopped, UsageError
from lmkit.io.messages import Terminal

NEURAL = {
    UNRECORDED: {
        "device", "embeddings", "files", "find_batch", "find_lr", "input_form", "json", "log", "mem_limit", "output",
        "plot", "print_schedule", "restart", "resume", "save_every", "shard", "text_field", "threads", "valid",
    },
    ADJUSTABLE: {
        "budget", "clip", "evaluate_every", "lr", "matrix_lr", "patience", "schedule", "steps", "warmup",
        "weight_decay",
    },
}  # fmt: skip
VECTORS = {
    UNRECORDED: {
        "count_updates", "embeddings", "encoding_errors", "engine", "files", "input_form", "log", "memory", "output",
        "restart", "resume", "save_every", "scheduler", "temp_dir", "text_field", "threads",
    },
    ADJUSTABLE: {"lr", "min_lr"},
}  # fmt: skip
SETTINGS = {"steps": 5, "seed": 3, "output": "out.lm"}


@pytest.mark.parametrize(
    ("command", "marks"),
    [("train ffn", NEURAL), ("train rnn", NEURAL), ("train transformer", NEURAL), ("w2v train", VECTORS)],
)
def test_options_say_themselves_what_they_are_to_a_run(command, marks):
    _, *own = inspect.signature(function_of(command)).parameters.values()
    run = Run(command, {}, Terminal(quiet=True), {parameter.name: parameter.annotation for parameter in own})
    for mark, names in marks.items():
        assert run.marked(mark) == names


@dataclass
class Options:
    """The options of a run that adds up numbers."""

    output: str | None
    resume: bool = False
    restart: bool = False
    save_every: float = 1000.0


class Sum(Session):
    """A training that adds 1, 2, ... to an array of zeros; `stop_at` sends a signal, `fail_at` diverges."""

    product, advice = "sum", "smaller numbers"

    def __init__(self, run, options, *, stop_at=0, fail_at=0):
        super().__init__(run, options, state_file(run, options))
        self._log, self._step, self._sum = EventLog("log.jsonl"), 0, np.zeros(2, np.float32)
        self._stop_at, self._fail_at = stop_at, fail_at
        self.told = []

    log = property(lambda self: self._log)
    point = property(lambda self: Point(self._step, 10 * self._step, 0.5))
    resumable = property(lambda self: self)

    def state(self):
        return {"step": self._step}, {"sum": self._sum}

    def resume(self, numbers, arrays):
        self._step, self._sum = numbers["step"], np.array(arrays["sum"])

    def place(self, *, resumed):
        return f"{'from' if resumed else 'at'} {self._step}"

    def begin(self):
        self.told.append("begin")

    def take_up(self, log):
        self.told.append(len(log))

    def train(self):
        total = self.run.settings["steps"]
        while self._step < total:
            if self._step + 1 == self._fail_at:
                raise Diverged("too much")
            self._step += 1
            self._sum = self._sum + self._step
            self._log.write(self.point, "step")
            if self._step == self._stop_at:
                os.kill(os.getpid(), signal.SIGTERM)
            if self._step < total:
                yield

    def draw(self):
        self.told.append("draw")

    def model(self):
        return self

    def to_checkpoint(self, origin):
        return checkpoint.Checkpoint("sum", {}, {"sum": self._sum}, {}, origin)

    def end(self):
        self.told.append("end")

    def inputs(self):
        return [{"bytes": 3}]

    def conditions(self):
        return {"processes": 1}

    def outcome(self):
        return {"versions": {"abacus": "1"}, "trained": {"steps": self._step}}


def session(told, *, resume=False, save_every=1000.0, changed=None, **more):
    declared = {"steps": _Marked(ADJUSTABLE), "output": _Marked(UNRECORDED)}
    run = Run("sum", {**SETTINGS, **(changed or {})}, Terminal(stream=told), declared)
    return Sum(run, Options("out.lm", resume=resume, save_every=save_every), **more)


class _Marked:
    def __init__(self, mark):
        self.__metadata__ = (mark,)


@pytest.fixture
def told(work, tmp_path):
    with (tmp_path / "told.txt").open("w+") as stream:
        yield stream


def said(told):
    told.seek(0)
    return told.read()


def test_a_run_to_the_end_is_written_and_recorded(told, work):
    run = session(told)
    run.go()
    made = checkpoint.parse((work / "out.lm").read_bytes())
    assert made.tensors["sum"].tolist() == [15, 15]
    assert made.origin["settings"] == {"steps": 5, "seed": 3}
    assert made.origin["inputs"] == [{"bytes": 3}]
    assert made.origin["trained"] == {"steps": 5}
    assert {"abacus", "lmkit"} <= set(made.origin["versions"])
    assert run.told == ["begin", 0, "end", "draw"]
    assert not (work / "out.lm.state").exists()


def test_a_stopped_run_is_saved_and_goes_on(told, work):
    run = session(told, stop_at=2)
    with pytest.raises(Stopped):
        run.go()
    assert run.told == ["begin", 0, "draw"]
    assert "stopped at 2; the state is in out.lm.state; continue it with --resume\n" in said(told)
    with pytest.raises(UsageError, match=r"out\.lm\.state is left"):
        session(told)
    session(told, resume=True, changed={"steps": 6}).go()
    assert "going on from 2 with other steps\n" in said(told)
    assert checkpoint.parse((work / "out.lm").read_bytes()).tensors["sum"].tolist() == [21, 21]
    steps = [json.loads(line) for line in (work / "log.jsonl").read_text().splitlines()]
    assert [event["step"] for event in steps if event["event"] == "step"] == [1, 2, 3, 4, 5, 6]


def test_what_is_recorded_must_stay_the_same(told):
    with pytest.raises(Stopped):
        session(told, stop_at=2).go()
    with pytest.raises(CheckpointError, match="the state of another run: seed differ"):
        session(told, resume=True, changed={"seed": 4}).go()
    session(told, resume=True, changed={"output": "elsewhere"}).go()


def test_saves_as_often_as_asked(told, work):
    session(told, save_every=0.0).go()
    events = [json.loads(line)["event"] for line in (work / "log.jsonl").read_text().splitlines()]
    assert events == ["step", "saved"] * 4 + ["step"]


@pytest.mark.parametrize("keeps", [True, False])
def test_a_run_that_diverges_says_what_to_change(keeps, told, work, monkeypatch):
    monkeypatch.setattr(Sum, "keeps_diverged", keeps)
    run = session(told, fail_at=3)
    with pytest.raises(Diverged) as failed:
        run.go()
    assert str(failed.value) == "too much" + ("; the state is in out.lm.state" if keeps else "")
    assert failed.value.hint == "smaller numbers"
    assert (work / "out.lm.state").exists() is keeps
    assert run.told[-1] == "draw"


def test_a_checkpoint_that_cannot_be_written_leaves_the_state(told, work, monkeypatch):
    run = session(told)
    real = Sum.to_checkpoint

    def full(self, origin):
        raise OutputError("no space left")

    monkeypatch.setattr(Sum, "to_checkpoint", full)
    with pytest.raises(OutputError, match=r"no space left; the state is in out\.lm\.state") as failed:
        run.go()
    assert "--resume writes the sum" in failed.value.hint
    monkeypatch.setattr(Sum, "to_checkpoint", real)
    session(told, resume=True).go()
    assert checkpoint.parse((work / "out.lm").read_bytes()).tensors["sum"].tolist() == [15, 15]
