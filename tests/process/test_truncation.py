"""A model that another process truncates while it is served: one line and a status, whatever was being read."""

import os
import shutil
import signal
import subprocess
import sys

import pytest

HANG = 60
NEURAL = ["transformer.lm", "lstm.lm"]
SERVING = {
    "score": ["score", "-q", "-b"],
    "score --explain": ["score", "-q", "--explain"],
    "sample": ["sample", "-q", "--greedy", "--max-tokens", "3", "-"],
    "sample in processes": ["sample", "-q", "--greedy", "--max-tokens", "3", "--threads", "2", "-"],
}


@pytest.fixture
def served(shelf, work):
    """Starts a command that answers line by line from a copy of a model, and waits for its first answer."""
    processes = []

    def served(model, words):
        shutil.copy(shelf[model], "model.lm")
        process = subprocess.Popen(
            [sys.executable, "-m", "lmkit", *words, "-m", "model.lm"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        processes.append(process)
        process.stdin.write(b"the cat\n")
        process.stdin.flush()
        assert process.stdout.readline()
        return process

    yield served
    for process in processes:
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            stream.close()


@pytest.mark.few(1)
@pytest.mark.parametrize("words", SERVING.values(), ids=SERVING)
@pytest.mark.parametrize("model", ["modified-kneser-ney-3.lm", "char-katz.lm"])
def test_a_truncated_model_ends_in_one_line(model, words, served):
    process = served(model, words)
    size = os.path.getsize("model.lm")
    os.truncate("model.lm", 0)
    _, stderr = process.communicate(b"the dog sat\n" * 40, timeout=HANG)
    assert process.returncode == 4
    assert stderr.decode() == (
        f"lmkit {words[0]}: model.lm: truncated while it was read, expected {size} bytes, got 0\n"
        "  hint: write a new file and rename it over the old one\n"
    )


@pytest.mark.few(2)
@pytest.mark.parametrize("words", [SERVING["sample"], SERVING["sample in processes"]], ids=["one", "several"])
@pytest.mark.parametrize("model", NEURAL)
def test_neural_models_end_in_one_line_or_answer(model, words, served):
    """What has copied its weights answers on as if nothing had happened."""
    process = served(model, words)
    os.truncate("model.lm", 0)
    _, stderr = process.communicate(b"the dog sat\n" * 40, timeout=HANG)
    assert process.returncode in (0, 4)
    assert stderr.count(b"truncated while it was read") == (process.returncode == 4)
    assert stderr.count(b"\n") == 2 * (process.returncode == 4)


def test_a_model_replaced_by_another_is_answered_from_as_before(served):
    process = served("modified-kneser-ney-3.lm", SERVING["score"])
    shutil.copy("model.lm", "new.lm")
    os.truncate("new.lm", 10)
    os.replace("new.lm", "model.lm")
    stdout, stderr = process.communicate(b"the cat\n", timeout=HANG)
    assert (process.returncode, stdout.count(b"\n"), stderr) == (0, 1, b"")


def test_other_bus_errors_end_the_process_as_ever(served):
    process = served("modified-kneser-ney-3.lm", SERVING["score"])
    process.send_signal(signal.SIGBUS)
    process.wait(timeout=HANG)
    assert process.returncode == -signal.SIGBUS
