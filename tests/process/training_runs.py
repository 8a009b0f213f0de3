"""Training runs as processes of their own: started, watched for what they save, and ended with the test."""

import subprocess
import sys
import time

import pytest

LMKIT = [sys.executable, "-m", "lmkit"]
HANG = 60


@pytest.fixture
def started(work):
    """Starts lmkit with arguments; what still runs after the test is killed."""
    processes = []

    def started(*arguments, **more):
        more = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **more}
        processes.append(subprocess.Popen([*LMKIT, *arguments], **more))
        return processes[-1]

    yield started
    for process in processes:
        process.kill()
        process.communicate()


def saved_again(work, process):
    """Waits for a state that was not there before."""
    path, before = work / "out.lm.state", None
    if path.exists():
        before = path.stat().st_ino
    end = time.monotonic() + HANG
    while process.poll() is None and (not path.exists() or path.stat().st_ino == before):
        assert time.monotonic() < end, "nothing is saved"
        time.sleep(0.001)
