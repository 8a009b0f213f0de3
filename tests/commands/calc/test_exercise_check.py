"""`lmkit calc cross-entropy --check` and `attention --check`."""

import os
import sys

import pytest

from lmkit.evaluation.exercises import EXERCISES

RIGHT = b"""
import numpy as np
from beside import shifted
print("printed while loading")

def cross_entropy(logits, target):
    print("printed while answering")
    logits = shifted(np.asarray(logits, dtype=np.float32))
    return np.log(np.exp(logits).sum()) - logits[target]

def attention(q, k, v):
    q, k, v = map(np.asarray, (q, k, v))
    weights = np.exp(shifted(q @ k.T / np.sqrt(q.shape[-1])))
    return weights / weights.sum(axis=-1, keepdims=True) @ v
"""
BESIDE = b"def shifted(x):\n    return x - x.max(axis=-1, keepdims=True)\n"


@pytest.mark.few(1)
@pytest.mark.parametrize("verb", ["cross-entropy", "attention"])
def test_a_right_file(verb, lmkit, write):
    write("beside.py", BESIDE)
    done = lmkit("calc", verb, "--check", write("lab.py", RIGHT))
    assert done.status == 0, done.text
    assert {row["ok"] for row in done.rows} == {"yes"}
    assert done.stderr == f"lmkit: {len(done.rows)} of {len(done.rows)} right\n"


FAULTS = b"""
import os

def cross_entropy(logits, target):
    if len(logits) == 1:
        raise KeyError("first\\nsecond")
    if logits == [1000.0, 0.0]:
        return [float("nan"), {}, "x" * (1 << 21)][target] if target < 1 else "x" * (1 << 21)
    if logits[0] == -1000:
        os._exit(3)
    if logits[0] == -2.5:
        os.kill(os.getpid(), 9)
    if target == 0:
        exit("enough")
    if target == 2:
        return float("nan")
    return [1.0]
"""


def test_wrong_answers_are_one_line_each(lmkit, write):
    done = lmkit("calc", "cross-entropy", "--json", "--check", write("lab.py", FAULTS))
    assert done.status == 1
    assert {record["case"]: record["fault"] for record in done.records} == {
        "uniform": "expected a number, got an array of 1",
        "three logits": "the answer has a NaN",
        "unlikely target": "SystemExit: enough",
        "negative logits": "ended by signal 9",
        "certain": "KeyError: 'first\\nsecond'",
        "large logits": "the answer has a NaN",
        "large loss": "the answer is too large",
        "very negative logits": "ended without an answer",
    }
    assert [record["got"] for record in done.records] == [[1.0], *[None] * 7]
    assert not any(record["ok"] for record in done.records)
    assert "0 of 8 right" in done.stderr


@pytest.mark.few(1)
@pytest.mark.parametrize(
    ("text", "told"),
    [
        (b"", "no function attention"), (b"attention = 3", "TypeError: 'int' object is not callable"),
        (b"x = (", "SyntaxError: "), (b"\x00", "SyntaxError: "), (b"import absent_module", "ModuleNotFoundError: "),
        (b"def attention(q): pass", "TypeError: "), (b"def attention(q, k, v): pass", "not a number, nor lists"),
        (b"def attention(*_):\n a = 1\n for _ in range(700): a = [a]\n return a", "not a number, nor lists"),
    ],
    ids=range(8),
)  # fmt: skip
def test_files_that_are_wrong_as_a_whole(text, told, lmkit, write):
    done = lmkit("calc", "attention", "--check", write("lab.py", text))
    assert done.status == 1
    assert all(row["fault"].startswith(told) and row["ok"] == "no" for row in done.rows)


LINUX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux alone has this")
ESCAPED = b"""
import os, subprocess, sys
started = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
if not os.fork():
    os.setsid()
    if not os.fork():
        with open("orphan", "w") as file:
            file.write(str(os.getpid()))
        os.rename("orphan", "pids")
        import time
        time.sleep(600)
    os._exit(0)
while not os.path.exists("pids"):
    pass
with open("pids", "a") as file:
    file.write(f" {started.pid}")

def attention(*_):
    if ENDLESS:
        while True:
            pass
"""


@LINUX
@pytest.mark.parametrize("endless", [False, True])
def test_what_a_file_starts_ends_with_it(endless, lmkit, write, work, monkeypatch):
    monkeypatch.setattr("lmkit.commands.calc.exercise_check.SECONDS", 2.0)
    cases = EXERCISES["attention"][:1]
    monkeypatch.setitem(EXERCISES, "attention", cases)
    done = lmkit("calc", "attention", "--check", write("lab.py", ESCAPED.replace(b"ENDLESS", str(endless).encode())))
    assert done.status == 1
    pids = [int(pid) for pid in (work / "pids").read_text().split()]
    assert len(pids) == 2
    assert not any(os.path.exists(f"/proc/{pid}") for pid in pids)


@LINUX
def test_memory_is_limited(lmkit, write, monkeypatch):
    monkeypatch.setitem(EXERCISES, "attention", EXERCISES["attention"][:1])
    done = lmkit("calc", "attention", "--check", write("lab.py", b"def attention(*_): return len(bytearray(1 << 30))"))
    assert [row["fault"] for row in done.rows] == ["more than 512 MB of memory, the limit"]
    text = b"def attention(*_): return float(len(bytearray(1 << 28)))"
    (row,) = lmkit("calc", "attention", "--check", write("lab.py", text)).rows
    assert row["fault"] == "expected an array of 1 by 2, got a number"


def test_an_endless_loop_ends(lmkit, write, monkeypatch):
    monkeypatch.setattr("lmkit.commands.calc.exercise_check.SECONDS", 0.2)
    text = b"import os\nif os.fork():\n    pass\nwhile True: pass"
    done = lmkit("calc", "attention", "--check", write("lab.py", text))
    assert {row["fault"] for row in done.rows} == {"not done within 0.2 s, the limit"}


@pytest.mark.parametrize(
    ("arguments", "status"),
    [(["--check", "absent.py"], 3), (["--check", "."], 3), (["--check", "-"], 2), (["--check", "lab.py", "[1]"], 2),
     (["--check", "lab.py", "-o", "lab.py"], 2)],
)  # fmt: skip
def test_checks_that_make_no_sense(arguments, status, fails, write):
    write("lab.py", RIGHT)
    fails(status, "calc", "attention", *arguments)
