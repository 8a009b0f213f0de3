"""Events of a training run as JSON Lines in a file that grows as they come. Knows no model."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from lmkit.errors import OutputError
from lmkit.io import streams
from lmkit.io.records import to_json


class EventLog:
    """Events as JSON Lines in a file that grows as they come; nothing without a name."""

    def __init__(self, name: str | None) -> None:
        self._name = name
        self._file: TextIO | None = None

    @contextmanager
    def opened(self, step: int, evaluated: int) -> Iterator[list[str]]:
        """Opens the file; gives what it keeps of an earlier run: up to `step` and the evaluation at `evaluated`.

        Raises OutputError.
        """
        if self._name is None:
            yield []
            return
        kept = []
        if step and os.path.exists(self._name):
            kept = [line for line in self._lines() if _is_of(line, step, evaluated)]
        try:
            self._file = open(self._name, "w", encoding="utf-8")  # noqa: SIM115
        except OSError as error:
            raise OutputError(f"{self._name}: {streams.reason(error)}") from None
        try:
            with self._file:
                self._file.writelines(kept)
                yield kept
        finally:
            self._file = None

    def _lines(self) -> list[str]:
        """Lines of an earlier run. Raises OutputError where the file can't be read."""
        assert self._name is not None
        try:
            with open(self._name, encoding="utf-8", errors="replace") as lines:
                return list(lines)
        except OSError as error:
            raise OutputError(f"{self._name}: {streams.reason(error)}") from None

    def write(self, event: Any, name: str, **values: float) -> None:
        """One event: its name, where training stood, and its numbers."""
        if self._file is None:
            return
        record = {"event": name, "step": event.step, "tokens": event.tokens, "seconds": round(event.seconds, 6)}
        try:
            self._file.write(to_json({**record, **values}) + "\n")
            self._file.flush()
        except OSError as error:
            raise OutputError(f"{self._name}: {streams.reason(error)}") from None


def _is_of(line: str, step: int, evaluated: int) -> bool:
    """Whether a line is a complete event to keep; a killed run may have left half of one."""
    try:
        event = json.loads(line)
        last = evaluated if event["event"] == "evaluation" else step
        return line.endswith("\n") and int(event["step"]) <= last
    except (ValueError, KeyError, TypeError):
        return False
