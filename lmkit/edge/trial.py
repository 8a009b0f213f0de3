"""Calls of a function in a Python file that somebody else wrote, each in a process of its own, with a time limit.

What the file prints is dropped. It is not fenced in: it may do whatever its user may.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

LARGEST = 1 << 20  # bytes of an answer
_CHILD = r"""
import json, os, sys
answers = os.fdopen(os.dup(1), "w")
nothing = os.open(os.devnull, os.O_RDWR)
asked = json.load(sys.stdin)
for stream in (0, 1, 2):
    os.dup2(nothing, stream)
try:
    import runpy
    sys.path.insert(0, asked["folder"])
    sys.argv = [asked["file"]]
    function = runpy.run_path(asked["file"]).get(asked["function"])
    if function is None:
        told = {"fault": "no function " + asked["function"]}
    else:
        got = function(*asked["arguments"])
        told = {"got": json.loads(json.dumps(got, default=lambda value: value.tolist()))}
except BaseException as error:
    told = {"fault": (type(error).__name__ + ": " + str(error)[:200]).rstrip(": ")}
text = json.dumps(told)
answers.write(text if len(text) <= asked["largest"] else json.dumps({"fault": "the answer is too large"}))
answers.flush()
os._exit(0)
"""


class Answer(NamedTuple):
    """What a call gave, numbers and lists as JSON has them, or what went wrong, in one line."""

    got: Any = None
    fault: str | None = None


def call(name: str, function: str, arguments: Sequence[Any], seconds: float) -> Answer:
    """Calls a function that a file defines, for at most some seconds, by the Python that runs this."""
    path = Path(name).resolve()
    asked = {
        "file": str(path), "folder": str(path.parent), "function": function, "arguments": arguments,
        "largest": LARGEST,
    }  # fmt: skip
    with tempfile.TemporaryFile() as answers:
        child = subprocess.Popen(
            [sys.executable, "-I", "-B", "-c", _CHILD],
            stdin=subprocess.PIPE, stdout=answers, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        try:
            child.communicate(json.dumps(asked).encode(), timeout=seconds)
        except subprocess.TimeoutExpired:
            return Answer(fault=f"no answer within {seconds:g} seconds")
        finally:
            _end(child)
        answers.seek(0)
        return _read(answers.read(LARGEST + 1), child.returncode)


def _end(child: "subprocess.Popen[bytes]") -> None:
    """Ends the process and all that it started."""
    with suppress(OSError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def _read(text: bytes, status: int) -> Answer:
    try:
        told = json.loads(text)
    except (ValueError, RecursionError):
        told = None
    if isinstance(told, dict):
        if "got" in told:
            return Answer(got=told["got"])
        if isinstance(told.get("fault"), str):
            return Answer(fault=" ".join(told["fault"].split()))
    return Answer(fault=f"ended by signal {-status}" if status < 0 else "ended without an answer")
