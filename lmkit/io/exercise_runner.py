"""Calls of a function in a Python file of the user's own, each in a process with limits of time and memory.

What the file prints is dropped. It is not fenced in: it may do whatever its user may. What it started ends with it.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from lmkit.io.descendants import adopted
from lmkit.io.limited_process import LIMITS, EndedError, LimitedProcess
from lmkit.isolation import Handler, Job, LimitError, Settings

LARGEST = 1 << 20  # bytes of an answer


class Answer(NamedTuple):
    """What a call gave, numbers and lists as JSON has them, or what went wrong, in one line."""

    got: Any = None
    fault: str | None = None


def call(name: str, function: str, arguments: Sequence[Any], seconds: float) -> Answer:
    """Call a function that a file defines, for at most some seconds, by the Python that runs this."""
    path = Path(name).resolve()
    asked = {"file": str(path), "folder": str(path.parent), "function": function, "arguments": arguments}
    try:
        with adopted():
            process = LimitedProcess(Job(serve, {}), LIMITS._replace(seconds=seconds, answer=2 * LARGEST), session=True)
            try:
                answer = process.ask(json.dumps(asked).encode())
            finally:
                process.end()
    except EndedError as error:
        return Answer(fault=error.how)
    except LimitError as error:
        return Answer(fault=str(error))
    return _read(answer)


def _read(text: bytes) -> Answer:
    """What the process said, which may be anything: the file shares it."""
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        said = None
    if isinstance(said, dict):
        if "got" in said:
            return Answer(got=said["got"])
        if isinstance(said.get("fault"), str):
            return Answer(fault=" ".join(said["fault"].split()))
    return Answer(fault="ended without an answer")


# Inside of the process.


def serve(_settings: Settings) -> Handler:
    """Return what calls the `function` of a `file` with `arguments`, in an interpreter as a user's script has it."""
    import site
    import sys

    site.main()
    sys.dont_write_bytecode = True
    return _called


def _called(request: bytes) -> bytes:
    """A call's value or fault as JSON."""
    asked = json.loads(request)
    try:
        said = {"got": _value(**asked)}
    except MemoryError:
        raise
    except _NoFunction as error:
        said = {"fault": f"no function {error}"}
    except BaseException as error:
        said = {"fault": f"{type(error).__name__}: {str(error)[:200]}".rstrip(": ")}
    text = json.dumps(said).encode()
    return text if len(text) <= LARGEST else json.dumps({"fault": "the answer is too large"}).encode()


def _value(file: str, folder: str, function: str, arguments: Sequence[Any]) -> Any:
    import runpy
    import sys

    sys.path.insert(0, folder)
    sys.argv = [file]
    found = runpy.run_path(file).get(function)
    if found is None:
        raise _NoFunction(function)
    return json.loads(json.dumps(found(*arguments), default=lambda value: value.tolist()))


class _NoFunction(Exception):
    """A file defines no function of a name."""
