"""Tests of: `lmkit scaling run`."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from sweeps import loss

from lmkit.commands.scaling import run as sweeps
from lmkit.errors import Status, Stopped
from lmkit.io import child_commands
from lmkit.io.child_commands import Ended

TEXT = b"the cat sat on the mat\n" * 200
SWEEP = ("scaling", "run", "text.txt", "-o", "runs.csv", "--budgets", "1e9,1e10", "--widths", "8,16,24")


@pytest.fixture
def trained(monkeypatch, write):
    """Runs that end at once, the last of them first; widths of which a run fails, and the commands of all."""
    write("text.txt", TEXT)
    commands, failing = [], {}

    def ended(asked, processes):
        for place, command in reversed(list(enumerate(asked))):
            width = int(command[command.index("--width") + 1])
            if isinstance(failing.get(width), BaseException):
                raise failing[width]
            commands.append(command)
            Path(command[command.index("-o") + 1]).touch()
            yield Ended(place, *failing.get(width, (0, "")))

    def row(self, cell, output):
        size = 100 * cell.width**2
        tokens = cell.budget // (6 * size)
        return [6 * size * tokens, size, tokens, loss(size, tokens), cell.budget, cell.width, self.layers]

    monkeypatch.setattr(child_commands, "ended", ended)
    monkeypatch.setattr(sweeps.Sweep, "row", row)
    return commands, failing


def test_runs_are_in_order(lmkit, trained):
    assert lmkit(*SWEEP).status == 0
    header, *lines = Path("runs.csv").read_text().splitlines()
    assert header == "flops,parameters,tokens,loss,budget,width,layers"
    assert [line.split(",")[4:] for line in lines] == [
        [budget, width, "2"] for budget in ("1000000000.0", "10000000000.0") for width in ("8", "16", "24")
    ]
    assert not Path("runs.csv.state").exists()
    assert lmkit("scaling", "isoflop", "runs.csv").status in (0, 3)


def test_a_sweep_that_was_stopped(lmkit, trained, fails):
    commands, failing = trained
    failing[16] = Stopped(Status.INTERRUPTED)
    with pytest.raises(Stopped):
        lmkit(*SWEEP)
    assert len(commands) == 1
    assert "runs.csv.state is left from an interrupted run" in fails(2, *SWEEP).stderr
    assert "the state of another sweep" in fails(2, *SWEEP, "--resume", "--seed", "7").stderr
    failing.clear()
    done = lmkit(*SWEEP, "--resume")
    assert "1 runs are finished, 5 are left" in done.stderr
    assert len(commands) == 6
    resumed = Path("runs.csv").read_bytes()
    assert "runs.csv is finished" in fails(2, *SWEEP, "--resume").stderr
    lmkit(*SWEEP)
    assert Path("runs.csv").read_bytes() == resumed


def test_rates_of_each_width_and_a_page(lmkit, trained):
    rates = ["--lrs", "0.04,0.03,0.02", "--matrix-lrs", "0.05"]
    done = lmkit(*SWEEP, *rates, "--plot", "page.html")
    assert done.status == 0, done.stderr
    given = {(command[command.index("--width") + 1], command[command.index("--lr") + 1]) for command in trained[0]}
    assert given == {("8", "0.04"), ("16", "0.03"), ("24", "0.02")}
    assert all(command[command.index("--matrix-lr") + 1] == "0.05" for command in trained[0])
    page = Path("page.html").read_text()
    assert page.count("<figure>") + done.stderr.count("no valleys") + done.stderr.count("no parametric law") == 3


def test_a_run_that_diverged(lmkit, trained, fails):
    trained[1][16] = (1, "lmkit train transformer: training diverged: the loss is nan")
    done = lmkit(*SWEEP)
    assert done.stderr.count("training diverged, loss nan") == 2
    assert "runs.csv:3: loss is nan, a run that diverged?" in fails(3, "scaling", "isoflop", "runs.csv").stderr


def test_a_run_that_fails(trained, fails):
    trained[1][16] = (69, "lmkit train transformer: neural models are trained with PyTorch\n  hint: install it\n")
    done = fails(69, *SWEEP)
    assert "budget 1e+10, width 16: neural models are trained with PyTorch\n  hint: install it" in done.stderr
    assert json.loads(Path("runs.csv.state").read_text().splitlines()[1])[0] == [1e10, 24]


@pytest.mark.parametrize(
    "arguments",
    [
        ["-o", "runs.csv"],
        ["-", "-o", "runs.csv"],
        ["text.txt"],
        ["text.txt", "-o", "-"],
        ["text.txt", "-o", "text.txt"],
        ["text.txt", "-o", "runs.csv", "--widths", "8,12"],
        ["text.txt", "-o", "runs.csv", "--widths", ""],
        ["text.txt", "-o", "runs.csv", "--widths", "8,16,24", "--lrs", "0.1,0.2"],
        ["text.txt", "-o", "runs.csv", "--plot", "page.txt"],
        ["text.txt", "-o", "runs.csv", "--budgets", "1e9,-1"],
        ["text.txt", "-o", "runs.csv", "--budgets", "1e9,,2e9"],
        ["text.txt", "-o", "runs.csv", "--valid-fraction", "0"],
    ],
)
def test_wrong_usage(arguments, write, fails):
    write("text.txt", TEXT)
    fails(2, "scaling", "run", *arguments)


def test_a_text_that_is_not_there(fails):
    fails(3, "scaling", "run", "text.txt", "-o", "runs.csv")


@pytest.mark.slow
def test_row_k10(lmkit, write):
    """A real sweep, by several processes and by one: the same bytes."""
    write("text.txt", lmkit("data", "text", "python-docs").stdout[:60_000])
    small = ["text.txt", "--budgets", "2e8,6e8", "--widths", "8,16,32", "--context", "16"]
    for name, more in {"runs.csv": [], "again.csv": ["--processes", "1"]}.items():
        command = [sys.executable, "-m", "lmkit", "scaling", "run", *small, *more, "-o", name]
        subprocess.run(command, check=True, capture_output=True, timeout=600)
    assert Path("runs.csv").read_bytes() == Path("again.csv").read_bytes()
    rows = [line.split(",") for line in Path("runs.csv").read_text().splitlines()[1:]]
    assert [float(row[0]) for row in rows] == pytest.approx([2e8] * 3 + [6e8] * 3, rel=0.05)
    assert all(1.5 < float(row[3]) < 4 for row in rows)
    assert lmkit("scaling", "fit", "runs.csv", "--resamples", "10").status in (0, 3)
