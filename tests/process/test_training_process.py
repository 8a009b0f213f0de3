"""Training runs that are killed, asked to stop, or have nowhere to write to; and several processes as one."""

import itertools
import json
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import time

import pytest
from training_runs import HANG, saved_again, started

__all__ = ["started"]

TEXT = b"the cat sat on the mat\nthe dog sat on the log\na cat and a dog\n" * 20
SMALL = ["--threads", "1", "--layers", "1", "--width", "16", "--bptt", "8", "--cell", "gru", "--dropout", "0.1"]
TRAIN = ["train", "rnn", *SMALL, "--save-every", "0", "text.txt", "-o", "out.lm"]


@pytest.fixture(autouse=True)
def text(write):
    return write("text.txt", TEXT)


@pytest.mark.slow
def test_after_kills_at_any_moment_the_bytes_are_those_of_an_uninterrupted_run(started, process, work):
    """The moments lie in steps, in saves and between them; the last run goes on to the end."""
    assert process(*TRAIN[:-2], "--steps", "200", "-o", "whole.lm").status == 0
    for delay in (0.0132,):  # the campaign of faults has more
        running = started(*TRAIN, "--steps", "200", "--resume")
        saved_again(work, running)
        time.sleep(delay)
        running.kill()
        assert running.wait(HANG) == -signal.SIGKILL
    done = process(*TRAIN, "--steps", "200", "--resume")
    assert done.status == 0
    assert re.search(r"going on from step [1-9]", done.stderr)
    assert (work / "out.lm").read_bytes() == (work / "whole.lm").read_bytes()
    assert not (work / "out.lm.state").exists()


@pytest.mark.few(1)
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 143)])
def test_who_asks_to_stop_is_told_how_to_go_on(number, status, started, work):
    running = started(*TRAIN, "--steps", "1000000")
    saved_again(work, running)
    running.send_signal(number)
    _, err = running.communicate(timeout=HANG)
    assert running.returncode == status
    last = err.decode().splitlines()[-1]
    assert re.fullmatch(r"lmkit: stopped at step \d+; the state is in out.lm.state; continue it with --resume", last)
    assert sorted(os.listdir(work)) == ["out.lm.state", "text.txt"]
    size = int.from_bytes((work / "out.lm.state").read_bytes()[:8], "little")
    config = json.loads(json.loads((work / "out.lm.state").read_bytes()[8 : 8 + size])["__metadata__"]["config"])
    assert f"step {config['step']};" in last


@pytest.mark.slow
def test_no_room_for_model_and_state_leaves_the_model_before(started, process, work):
    """A limit on the size of files stands in for a full disk; nothing is promised that is not there."""
    assert process(*TRAIN, "--steps", "3").status == 0
    whole = (work / "out.lm").read_bytes()

    def limited():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (8000, 8000))

    running = started(*TRAIN, "--steps", "5", preexec_fn=limited)
    _, err = running.communicate(timeout=HANG)
    assert running.returncode == 74
    lines = err.decode().splitlines()
    assert "lmkit: out.lm.state: File too large; not saved" in lines
    assert lines[-1] == "lmkit train rnn: out.lm: File too large"
    assert sorted(os.listdir(work)) == ["out.lm", "text.txt"]
    assert (work / "out.lm").read_bytes() == whole


@pytest.mark.slow
def test_too_little_memory_names_what_needs_less(started, work, one_line):
    def limited():
        resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))

    big = ["train", "transformer", "-q", "--threads", "1", "--batch", "20000", "--context", "512", "--steps", "2"]
    running = started(*big, "text.txt", "-o", "out.lm", preexec_fn=limited)
    _, err = running.communicate(timeout=HANG)
    assert running.returncode == 74, err
    one_line(err.decode())
    assert b"out of memory" in err
    assert b"a smaller --batch" in err
    assert os.listdir(work) == ["text.txt"]


@pytest.mark.slow
def test_a_reader_that_has_enough_ends_it_quietly(shell):
    done = shell(f"lmkit {' '.join(TRAIN[:-2])} --width 400 --steps 1 -q | head -c 10 | wc -c; echo ${{PIPESTATUS[@]}}")
    assert (done.stderr, done.text) == ("", "10\n141 0 0\n")


@pytest.mark.slow
@pytest.mark.parametrize("way", [[], ["--shard"]], ids=["copy", "shard"])
def test_torchrun(way, process, work):
    """One log, one voice, one model, as of one process; a second run goes on from the first's state."""
    small = ["--threads", "1", "--layers", "1", "--width", "16", "--steps", "8", "--valid-fraction", "0.2"]
    command = ["train", "rnn", *small, "--bptt", "8", "--evaluate-every", "3", "text.txt"]
    torchrun = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--nproc-per-node=2",
        "-m",
        "--",
        "lmkit",
        *command,
        *way,
    ]
    alone = process(*command, "--log", "alone.jsonl", "-o", "alone.lm")
    both = subprocess.run(
        [*torchrun, "--log", "both.jsonl", "-o", "both.lm"], capture_output=True, text=True, timeout=120, check=False
    )
    assert both.returncode == 0, both.stderr
    curves = [
        [json.loads(line) for line in (work / name).read_text().splitlines()] for name in ("alone.jsonl", "both.jsonl")
    ]
    assert [event["event"] for event in curves[0]] == [event["event"] for event in curves[1]]
    for one, other in itertools.zip_longest(*curves):
        assert one["nats"] == pytest.approx(other["nats"], rel=1e-5)
    rounded = r"in .*? a second\)|\d+\.\d{4}"  # times, and losses that the logs have compared to more digits
    said = [re.sub(rounded, "", text) for text in (alone.stderr, both.stderr)]
    assert said[0] == "".join(line for line in said[1].splitlines(keepends=True) if line.startswith("lmkit"))
    assert sorted(os.listdir(work)) == ["alone.jsonl", "alone.lm", "both.jsonl", "both.lm", "text.txt"]


@pytest.mark.slow
def test_torchrun_of_an_encoder(process, work):
    """Several processes learn what one does from the same masks."""
    assert (
        process("bpe", "train", "--algorithm", "wordpiece", "--vocab-size", "36", "text.txt", "-o", "wp.lm").status == 0
    )
    small = ["--threads", "1", "--layers", "1", "--width", "16", "--heads", "2", "--context", "12", "--batch", "6"]
    command = ["train", "encoder", "--tokens", "wp.lm", *small, "--steps", "6", "--by", "line", "text.txt"]
    assert process(*command, "--log", "alone.jsonl", "-o", "alone.lm").status == 0
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "-m", "--", "lmkit"]
    both = subprocess.run(
        [*torchrun, *command, "--log", "both.jsonl", "-o", "both.lm"], capture_output=True, text=True, timeout=120,
        check=False,
    )  # fmt: skip
    assert both.returncode == 0, both.stderr
    curves = [
        [json.loads(line) for line in (work / name).read_text().splitlines()] for name in ("alone.jsonl", "both.jsonl")
    ]
    for one, other in itertools.zip_longest(*curves):
        assert one["nats"] == pytest.approx(other["nats"], rel=1e-4)


@pytest.mark.slow
def test_torchrun_that_is_asked_to_stop(process, work):
    command = ["train", "rnn", *SMALL, "text.txt", "-o", "out.lm", "--resume"]
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "-m", "--", "lmkit", *command]
    running = subprocess.Popen(
        [*torchrun, "--steps", "1000000", "--log", "log.jsonl"],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    while not (work / "log.jsonl").exists() or not (work / "log.jsonl").read_bytes():
        assert running.poll() is None
        time.sleep(0.1)
    os.killpg(running.pid, signal.SIGINT)  # as a terminal does
    _, err = running.communicate(timeout=HANG)
    assert err.count("lmkit: stopped at step ") == 1, err
    assert (work / "out.lm.state").exists()


@pytest.mark.slow
def test_two_nodes_of_which_one_is_killed(work):
    """The other says so and ends; started again, both end with the bytes of an uninterrupted run."""

    def nodes(output):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        torchrun = [sys.executable, "-m", "torch.distributed.run", "--nnodes=2", "--nproc-per-node=1"]
        where = ["--master-addr=127.0.0.1", f"--master-port={port}"]
        command = ["-m", "--", "lmkit", *TRAIN[:-2], "--steps", "100", "--resume", "-o", output]
        return [
            subprocess.Popen([*torchrun, *where, f"--node-rank={rank}", *command], stderr=subprocess.PIPE, text=True)
            for rank in (0, 1)
        ]

    def ended(running):
        return [(node.communicate(timeout=4 * HANG)[1], node.returncode) for node in running]

    assert [status for _, status in ended(nodes("whole.lm"))] == [0, 0]
    running = nodes("out.lm")
    end = time.monotonic() + 4 * HANG
    while not (work / "out.lm.state").exists():
        assert time.monotonic() < end, "nothing is saved"
        time.sleep(0.05)
    workers = subprocess.run(["pgrep", "-P", str(running[1].pid)], capture_output=True, text=True, check=True).stdout
    for worker in map(int, workers.split()):
        os.kill(worker, signal.SIGKILL)
    (told, status), (_, killed) = ended(running)
    assert status
    assert killed
    assert "lmkit train rnn: another process of this run has ended\n" in told
    assert [status for _, status in ended(nodes("out.lm"))] == [0, 0]
    assert (work / "out.lm").read_bytes() == (work / "whole.lm").read_bytes()
