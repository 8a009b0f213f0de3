"""`lmkit prompt answer` as a process: killed at any moment, it goes on; prompts are answered as they come."""

import json
import signal
import subprocess
import sys

import pytest
from test_process import read_line, started, until  # noqa: F401

PROMPTS = [
    {"id": number, "prompt": f"the {word} sat "} for number, word in enumerate(["cat", "dog", "bird", "log"] * 3)
]


@pytest.fixture
def run(shelf, write, started):  # noqa: F811
    """Starts a run over the prompts that it is given."""
    write("m.lm", shelf["gru-stream.lm"].read_bytes())

    def run(*more, **streams):
        return started("prompt", "answer", "-m", "m.lm", "--labels", "a,the cat", "--norm", "pmi", *more, **streams)

    return run


def fed(process, records):
    process.stdin.write("".join(json.dumps(record) + "\n" for record in records).encode())
    process.stdin.flush()


def test_prompts_are_answered_as_they_come(run):
    process = run()
    for record in PROMPTS[:3]:
        fed(process, [record])
        assert json.loads(read_line(process.stdout))["id"] == record["id"]


def test_a_killed_run_goes_on(run, work):
    whole = run()
    expected, _ = whole.communicate("".join(json.dumps(record) + "\n" for record in PROMPTS).encode())
    for count in (1, 3):
        process = run("--cache", "c")
        fed(process, PROMPTS[:count])
        until(lambda: (work / "c").exists() and (work / "c").read_bytes().count(b"\n") > 1)
        process.send_signal(signal.SIGKILL)
        process.wait()
        with open(work / "c", "ab") as torn:
            torn.write(b'{"key": "')
    last = run("--cache", "c", stdin=subprocess.PIPE)
    found, said = last.communicate("".join(json.dumps(record) + "\n" for record in PROMPTS).encode())
    assert (last.returncode, found) == (0, expected)
    assert b"the last line is incomplete, removed" in said


def test_a_run_that_nobody_reads_ends_quietly(shelf):
    line = (
        f"yes '{json.dumps(PROMPTS[0])}' | {sys.executable} -m lmkit prompt answer -m {shelf['lstm.lm']} --labels a,b"
    )
    done = subprocess.run(["bash", "-c", f"{line} | head -1"], capture_output=True, timeout=60, check=False)
    assert json.loads(done.stdout)["id"] == 0
    assert done.stderr == b""
