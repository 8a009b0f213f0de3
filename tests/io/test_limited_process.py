"""Services in processes with limits: what they answer, how they end, and that nothing of them is left."""

import gc
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from lmkit import isolation
from lmkit.errors import CheckpointError, DataError
from lmkit.io import limited_process
from lmkit.io.limited_process import LimitedProcess, LimitedWorker, Limits
from lmkit.isolation import Job, LimitError

LINUX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux alone has this")

ROOT = Path(__file__).resolve().parents[2]


def echo(settings):
    """A service for these tests: what a request asks for by its first word."""
    if settings.get("wrong"):
        raise DataError("wrong settings", hint="other settings")

    def answer(request):
        word, _, rest = request.partition(b" ")
        if word == b"spin":
            while True:
                pass
        if word == b"take":
            return bytes(len(bytearray(int(rest))) % 7)
        if word == b"stop":
            os.kill(os.getpid(), signal.SIGKILL)
        if word == b"raise":
            raise CheckpointError("not that", hint="this")
        if word == b"break":
            raise KeyError("x")
        if word == b"nest":
            return answer(b"nest ") + b""
        if word == b"pid":
            return str(os.getpid()).encode()
        if word == b"say":
            print("said")
            print("said", file=sys.stderr)
        return request

    return answer


@pytest.fixture(scope="module")
def path():
    """Limited processes find this module."""
    sys.path.append(str(ROOT))
    yield
    sys.path.remove(str(ROOT))


@pytest.fixture
def worker(path):
    worker = LimitedWorker(Job(echo, {}))
    yield worker
    worker.close()


def within(seconds, memory=64 << 20, **more):
    return LimitedProcess(Job(echo, {}), Limits(seconds, memory, **more))


def test_requests_of_any_size_are_answered(worker):
    for size in (0, 1, 7, 8, 9, 1 << 16, 3 << 20):
        data = os.urandom(size)
        assert worker.ask(b"x " + data) == b"x " + data
    assert worker.ask(b"say") == b"say"


def test_many_requests_are_answered_in_order(worker):
    requests = [b"x %d " % number + bytes(number % 7 * 9000) for number in range(999)] + [b"y" * (2 << 20), b"z"]
    assert list(worker.ask_each(requests)) == requests
    assert list(worker.ask_each([])) == []


def test_what_fails_among_many_does_not_spoil_others(worker):
    answers = worker.ask_each([b"a", b"raise", b"b"])
    assert next(answers) == b"a"
    with pytest.raises(CheckpointError):
        next(answers)
    given_up = worker.ask_each([b"c", b"d"])
    assert next(given_up) == b"c"
    given_up.close()
    assert worker.ask(b"e") == b"e"


def test_errors_of_a_service_are_those_of_lmkit(worker, path):
    with pytest.raises(CheckpointError, match=r"^not that$") as told:
        worker.ask(b"raise")
    assert told.value.hint == "this"
    with pytest.raises(RuntimeError, match="KeyError: 'x'"):
        worker.ask(b"break")
    with pytest.raises(DataError, match="nested too deeply"):
        worker.ask(b"nest")
    assert worker.ask(b"x") == b"x"
    with pytest.raises(DataError, match="wrong settings"):
        LimitedWorker(Job(echo, {"wrong": True}))


def test_a_request_beyond_its_time_ends_the_process(path):
    process = within(0.3)
    with pytest.raises(LimitError, match=r"^not done within 0\.3 s, the limit$"):
        process.ask(b"spin")
    assert not process.alive
    assert not os.path.exists(f"/proc/{process.pid}")


@LINUX
def test_a_request_beyond_its_memory_ends_the_process(path):
    process = within(10)
    assert process.ask(b"take 40000000") is not None
    with pytest.raises(LimitError, match=r"^more than 64 MB of memory, the limit$"):
        process.ask(b"take 80000000")
    assert not process.alive


def test_an_answer_may_be_too_large(path):
    with pytest.raises(LimitError, match="an answer of 2001 bytes"):
        within(10, answer=1000).ask(b"x" * 2000)


def test_a_process_that_ends_says_how_and_the_next_request_starts_another(worker):
    with pytest.raises(LimitError, match="ended by signal 9"):
        worker.ask(b"stop")
    assert worker.ask(b"x") == b"x"


def test_threads_share_a_worker(worker):
    found = {}

    def ask(name):
        for number in range(50):
            text = f"{name} {number}".encode()
            found[text] = worker.ask(text)

    threads = [threading.Thread(target=ask, args=(name,)) for name in range(3)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(found) == 150
    assert all(text == answer for text, answer in found.items())


def test_a_forked_process_starts_its_own(worker):
    pid = worker.ask(b"pid")
    read, write = os.pipe()
    child = os.fork()
    if not child:
        other = worker.ask(b"pid")
        worker.close()
        os.write(write, other)
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(read, 100) != pid
    assert worker.ask(b"pid") == pid


PARENT = """
import sys; sys.path[:0] = [{root!r}, {tests!r}]
from tests.io.test_limited_process import echo
from lmkit.io.limited_process import LimitedProcess
from lmkit.isolation import Job
process = LimitedProcess(Job(echo, {{}}))
print(process.pid, flush=True)
process.ask(b"spin")
"""


def is_running(pid):
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@LINUX
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_no_process_outlives_its_parent(number):
    root = os.path.dirname(os.path.dirname(isolation.__file__))
    code = PARENT.format(root=root, tests=os.path.dirname(__file__))
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    pid = int(parent.stdout.readline())
    assert is_running(pid)
    parent.send_signal(number)
    parent.wait()
    parent.stdout.close()
    for _ in range(600):
        if not is_running(pid):
            return
        time.sleep(0.1)
    pytest.fail("the process is still there")


def test_the_workers_of_a_command_end_with_it(path):
    with limited_process.Workers() as workers, isolation.started_by(workers.start):
        pid = int(isolation.worker(echo, {}).ask(b"pid"))
        assert is_running(pid) or not sys.platform.startswith("linux")
    assert not is_running(pid)
    assert json.loads(isolation.worker(echo, {}).ask(b"pid")) == os.getpid()


def test_a_process_ends_with_the_last_reference_to_its_worker():
    with limited_process.Workers() as workers:
        worker = workers.start(isolation.Job(echo, {}))
    pid = int(worker.ask(b"pid"))  # after the command ended: another process
    assert is_running(pid) or not sys.platform.startswith("linux")
    del worker, workers
    gc.collect()
    assert not is_running(pid)
