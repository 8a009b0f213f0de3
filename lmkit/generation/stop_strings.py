"""The text of tokens as they come: what is settled, and where a stop string ends it. Knows no model."""

from collections.abc import Sequence
from copy import copy

from lmkit.protocols import SequenceFormat, Tokenizer
from lmkit.tokenization.streaming_decoder import StreamingDecoder


class StopStringMatcher:
    """What a continuation's tokens spell so far.

    Stop strings are looked for in bytes, wherever tokens part them; the first to be complete ends the text
    before it, of several that one token completes the one that begins first.
    """

    def __init__(self, tokenizer: Tokenizer, form: SequenceFormat, stops: Sequence[bytes] = ()) -> None:
        self._growing = StreamingDecoder(tokenizer, form)
        self._waiting: list[int] = []  # tokens not yet decoded; decoding waits until the text is read
        self._stops = stops
        self._longest = max(map(len, stops), default=0)
        self._told = 0

    @property
    def text(self) -> bytes:
        """All of it so far."""
        return bytes(self._grown().text)

    def add(self, token: int) -> bool:
        """Takes one more token; whether a stop string is complete, before which the text now ends."""
        if not self._stops:
            self._waiting.append(token)
            return False
        seen = self._growing.stable_length
        self._growing.add([token])
        text = self._growing.text
        first = max(0, seen + 1 - self._longest)
        places = [place for stop in self._stops if (place := text.find(stop, first)) >= 0]
        if places:
            del text[min(places) :]
        return bool(places)

    def _grown(self) -> StreamingDecoder:
        """The text of all tokens."""
        if self._waiting:
            self._growing.add(self._waiting)
            self._waiting = []
        return self._growing

    def branch(self) -> "StopStringMatcher":
        """A copy that continues from here."""
        other = copy(self)
        other._growing = self._grown().branch()
        other._waiting = []
        return other

    def settled(self) -> bytes:
        """What came since the last call and no token to come can take back."""
        stable_length = self._grown().stable_length
        if not self._stops:
            return self._until(stable_length)
        end = bytes(self._growing.text[max(0, stable_length + 1 - self._longest) : stable_length])
        return self._until(stable_length - max((_begun(end, stop) for stop in self._stops), default=0))

    def rest(self) -> bytes:
        """What came since the last call of `settled`, as the text has ended."""
        return self._until(len(self._grown().text))

    def _until(self, end: int) -> bytes:
        new = bytes(self._growing.text[self._told : end])
        self._told = max(self._told, end)
        return new


def _begun(text: bytes, stop: bytes) -> int:
    """How many bytes at the end of a text may be the beginning of a stop string."""
    return next((size for size in range(min(len(stop) - 1, len(text)), 0, -1) if stop.startswith(text[-size:])), 0)
