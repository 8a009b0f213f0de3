"""Trainings of word vectors that are stopped, killed, or have nowhere to write to."""

import json
import os
import random
import re
import resource
import signal
import time

import pytest
from training_runs import HANG, saved_again, started

__all__ = ["started"]

TRAIN = [
    "w2v",
    "train",
    "--dim",
    "8",
    "--threads",
    "1",
    "--save-every",
    "0",
    "text.txt",
    "--log",
    "log",
    "-o",
    "out.lm",
]


@pytest.fixture(autouse=True)
def text(write):
    generator = random.Random(0)
    lines = (" ".join(f"w{generator.randrange(50)}" for _ in range(10)) for _ in range(3000))
    return write("text.txt", "\n".join(lines).encode())


def events(path):
    """Events but for saves, and without times."""
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return [{**event, "seconds": 0} for event in lines if event["event"] == "step"]


@pytest.mark.slow
def test_after_kills_the_bytes_are_those_of_an_uninterrupted_run(started, process, work):
    whole = [*TRAIN, "--epochs", "20"]
    assert process(*whole[:-4], "--epochs", "20", "-o", "whole.lm", "--log", "whole.log").status == 0
    for delay in (0.003, 0.021):
        running = started(*whole, "--resume")
        saved_again(work, running)
        time.sleep(delay)
        running.kill()
        assert running.wait(HANG) == -signal.SIGKILL
    done = process(*whole, "--resume", "--threads", "2")
    assert done.status == 0, done.stderr
    assert re.search(r"going on after [1-9]", done.stderr)
    assert (work / "out.lm").read_bytes() == (work / "whole.lm").read_bytes()
    assert events(work / "log") == events(work / "whole.log")
    assert not (work / "out.lm.state").exists()


@pytest.mark.few(1)
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 143)])
def test_who_asks_to_stop_is_told_how_to_go_on(number, status, started, work):
    running = started(*TRAIN, "--epochs", "1000000")
    saved_again(work, running)
    running.send_signal(number)
    _, err = running.communicate(timeout=HANG)
    assert running.returncode == status
    last = err.decode().splitlines()[-1]
    assert re.fullmatch(
        r"lmkit: stopped after [\d,]+ words; the state is in out.lm.state; continue it with --resume", last
    )
    assert sorted(os.listdir(work)) == ["log", "out.lm.state", "text.txt"]


@pytest.mark.slow
def test_a_state_of_another_run_is_refused_and_none_begins(started, process, work, one_line):
    assert "is not there: training begins" in process(*TRAIN, "--resume", "--epochs", "1").stderr
    running = started(*TRAIN, "--epochs", "1000000")
    saved_again(work, running)
    running.terminate()
    running.communicate(timeout=HANG)
    state = (work / "out.lm.state").read_bytes()
    for options, status, message in (
        ([], 2, "is left from an interrupted run"),
        (["--resume", "--window", "3"], 4, "the state of another run: epochs, window differ"),
    ):
        done = process(*TRAIN, *options, "-q")
        assert (done.status, message in done.stderr) == (status, True), done.stderr
        one_line(done.stderr)
    (work / "out.lm.state").write_bytes(state[:-4] + b"\0\0\0\1")
    done = process(*TRAIN, "--epochs", "1000000", "--resume", "-q")
    assert (done.status, "tensor 'context' is not what was written" in done.stderr) == (4, True), done.stderr


@pytest.mark.slow
def test_no_room_for_vectors_and_state_leaves_the_vectors_before(started, process, work):
    """A limit on the size of files stands in for a full disk; nothing is promised that is not there."""
    assert process(*TRAIN, "--epochs", "1").status == 0
    whole = (work / "out.lm").read_bytes()

    def limited():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))

    running = started(*TRAIN, "--epochs", "1", preexec_fn=limited)
    _, err = running.communicate(timeout=HANG)
    assert running.returncode == 74
    assert err.decode().splitlines()[-1] == "lmkit w2v train: out.lm: File too large"
    assert sorted(os.listdir(work)) == ["log", "out.lm", "text.txt"]
    assert (work / "out.lm").read_bytes() == whole


@pytest.mark.slow
def test_vectors_without_room_are_written_by_the_next_run(started, process, work):
    """A limit on the size of files that lets the state through, which is smaller."""
    once = [*TRAIN, "--epochs", "1"]
    assert process(*once).status == 0
    whole = (work / "out.lm").read_bytes()
    (work / "out.lm").unlink()

    def limited():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(whole) - 1, len(whole) - 1))

    running = started(*once, preexec_fn=limited)
    _, err = running.communicate(timeout=HANG)
    assert running.returncode == 74
    assert err.decode().splitlines()[-2:] == [
        "lmkit w2v train: out.lm: File too large; the state is in out.lm.state",
        "  hint: make room, then --resume writes the vectors",
    ]
    done = process(*once, "--resume")
    assert done.status == 0, done.stderr
    assert (work / "out.lm").read_bytes() == whole
    assert sorted(os.listdir(work)) == ["log", "out.lm", "text.txt"]


def test_a_reader_that_has_enough_ends_it_quietly(shell):
    done = shell(f"lmkit {' '.join(TRAIN[:-4])} --dim 3000 -q | head -c 10 | wc -c; echo ${{PIPESTATUS[@]}}")
    assert (done.stderr, done.text) == ("", "10\n141 0 0\n")
