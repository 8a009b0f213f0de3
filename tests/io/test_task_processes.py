"""Processes that work on pieces: results in order, failures as they are raised, and none left behind."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lmkit.errors import DataError, ProcessError
from lmkit.io.task_processes import results_of


def square(number):
    if number < 0:
        raise DataError(f"{number}: negative", hint="a hint")
    return number * number, os.getpid()


def end_this(_piece):
    os.kill(os.getpid(), signal.SIGKILL)


def gone(process):
    """Whether a process ended, within ten seconds."""
    for _ in range(1000):
        try:
            if Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except OSError:
            return True
        time.sleep(0.01)
    return False


def test_results_are_in_order_and_processes_end():
    with results_of(square, range(9), 2) as results:
        found = list(results)
    assert [number for number, _ in found] == [number * number for number in range(9)]
    processes = {process for _, process in found}
    assert 1 <= len(processes) <= 2
    assert os.getpid() not in processes
    assert all(gone(process) for process in processes)


def test_nothing_to_do_starts_no_process():
    with results_of(square, [], 2) as results:
        assert not list(results)


def test_a_failure_is_raised_after_the_results_before_it():
    with results_of(square, [1, -2, 3], 2) as results:
        assert next(results)[0] == 1
        with pytest.raises(DataError, match="-2: negative") as raised:
            next(results)
    assert raised.value.hint == "a hint"


def test_processes_end_with_the_context():
    with results_of(square, range(100), 2) as results:
        _, process = next(results)
    assert gone(process)


def test_a_process_that_is_killed_is_named():
    with results_of(end_this, [1], 2) as results, pytest.raises(ProcessError, match="ended from outside"):
        next(results)


PARENT = """
import time
from lmkit.io.task_processes import results_of
from tests.io.test_task_processes import sleep
if __name__ == "__main__":
    with results_of(sleep, [1, 2], 2) as results:
        print(next(results), flush=True)
        next(results)
"""


def sleep(piece):
    if piece == 2:
        time.sleep(100)
    return os.getpid()


def test_processes_end_with_a_process_that_is_killed(tmp_path):
    (tmp_path / "parent.py").write_text(PARENT)
    command, root = [sys.executable, "parent.py"], Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    with subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True) as parent:
        worker = int(parent.stdout.readline())
        parent.kill()
    assert gone(worker)
