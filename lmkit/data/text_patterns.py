"""Regular expressions of users that texts must match, or must not, searched where `lmkit.isolation` says."""

import json
import re
from collections.abc import Iterator, Sequence

from lmkit import isolation
from lmkit.errors import DataError


def serve(settings: isolation.Settings) -> isolation.Handler:
    """Return what says which of the `patterns`, the first one by its number, a text fails; -1 where it fails none.

    `required` are flags: a text without a match fails, or one with a match.
    """
    patterns = []
    for pattern in settings["patterns"]:
        try:
            patterns.append(re.compile(pattern))
        except (re.error, OverflowError, RecursionError) as error:
            place = getattr(error, "pos", None)
            where = "" if place is None else f" at character {place + 1}"
            raise DataError(f"{pattern!r} is not a regular expression: {getattr(error, 'msg', error)}{where}") from None

    def failed(request: bytes) -> bytes:
        text = json.loads(request)
        pairs = zip(patterns, settings["required"], strict=True)
        failures = [at for at, (pattern, required) in enumerate(pairs) if bool(pattern.search(text)) != required]
        return str(failures[0] if failures else -1).encode()

    return failed


class TextPatterns:
    """Patterns that are searched in a limited process, as Python's expressions may take any time."""

    def __init__(self, matching: Sequence[str], excluded: Sequence[str]) -> None:
        """Raises DataError for what is no regular expression, and LimitError."""
        self.patterns = [*matching, *excluded]
        required = [True] * len(matching) + [False] * len(excluded)
        self._worker = isolation.worker(serve, {"patterns": self.patterns, "required": required})

    def failures(self, texts: Sequence[str]) -> Iterator[int | None]:
        """Yield the number of the first pattern that each text fails, None for none. Raises LimitError."""
        for answer in self._worker.ask_each([json.dumps(text).encode() for text in texts]):
            yield int(answer) if int(answer) >= 0 else None
