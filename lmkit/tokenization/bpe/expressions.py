"""Regular expressions that users and files bring: where they cut a text, by the tokenizers library (Oniguruma).

Such an expression may take any time and memory, even to compile, so it runs where `lmkit.isolation` says. Imports no
numpy: this module is all that a process for one expression loads.
"""

import re
from array import array
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

from lmkit import isolation
from lmkit.errors import DataError

FRAME = 1 << 16  # bytes of text that limits hold for, or one stretch that is longer
SHOWN = 40  # characters of a text or an expression in a message
_STRAY = re.compile("[\udc80-\udcff]")


class Splitter:
    """A regular expression. Raises DataError for a syntax error, LimitError beyond the limits."""

    def __init__(self, expression: str) -> None:
        self._expression = expression
        self._worker = isolation.worker(serve, {"expression": expression}, imports=("tokenizers",))

    def cuts(self, stretches: Sequence[bytes]) -> Iterator[tuple[int, bytes]]:
        """Yield, for each group of stretches, their number and where pre-tokens start, as integers of eight bytes.

        Places count bytes of the group's stretches laid end to end; each stretch is seen alone. Raises DataError
        where the expression gives up on a text, and LimitError.
        """
        for group in _groups(stretches):
            request = array("q", [len(group), *map(len, group)]).tobytes() + b"".join(group)
            try:
                yield len(group), self._worker.ask(request)
            except isolation.LimitError as error:
                raise isolation.LimitError(f"{_said(self._expression, group[0])}: {error}") from None


def _groups(stretches: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    """Stretches in groups of about FRAME bytes."""
    begin = size = 0
    for place, stretch in enumerate(stretches):
        if size and size + len(stretch) > FRAME:
            yield stretches[begin:place]
            begin, size = place, 0
        size += len(stretch)
    if begin < len(stretches):
        yield stretches[begin:]


def _said(expression: str, text: bytes) -> str:
    shown = expression if len(expression) <= SHOWN else f"{expression[:SHOWN]}..."
    return f"the pattern {shown!r} on the text {text.decode(errors='replace')[:SHOWN]!r}..."


@lru_cache(maxsize=8)
def splitter(expression: str) -> Splitter:
    """Return the splitter of an expression; see there."""
    return Splitter(expression)


# The service.


def serve(settings: isolation.Settings) -> isolation.Handler:
    """Return what finds the starts of pre-tokens; requests and answers are those of `Splitter.cuts`."""
    from tokenizers import Regex
    from tokenizers.pre_tokenizers import Split

    expression = settings["expression"]
    try:
        split = Split(Regex(expression), behavior="isolated")
    except Exception as error:
        raise DataError(f"no regular expression ({' '.join(str(error).split())[:200]})") from None

    def cuts(request: bytes) -> bytes:
        sizes = array("q")
        sizes.frombytes(request[:8])
        begin = 8 * (1 + sizes[0])
        sizes.frombytes(request[8:begin])
        found, base = array("q"), 0
        for size in sizes[1:]:
            stretch = request[begin + base : begin + base + size]
            try:
                found.extend(_starts(split, stretch, base))
            except BaseException as error:
                if type(error).__name__ != "PanicException":
                    raise
                reason = str(error).removeprefix("Onig: ")
                raise DataError(f"{_said(expression, stretch)}: {reason}") from None
            base += size
        return found.tobytes()

    return cuts


def _starts(split: Any, stretch: bytes, base: int) -> list[int]:
    """Where pre-tokens of a stretch start, in bytes from `base` on; bytes that are not UTF-8 are U+FFFD each."""
    if stretch.isascii():
        return [base + start for _, (start, _) in split.pre_tokenize_str(stretch.decode())]
    text = stretch.decode(errors="surrogateescape")
    found, place, reached = [], base, 0
    for _, (start, _) in split.pre_tokenize_str(_STRAY.sub("\ufffd", text)):
        place += len(text[reached:start].encode(errors="surrogateescape"))
        found.append(place)
        reached = start
    return found
