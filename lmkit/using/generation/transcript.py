"""The text of tokens as they come: what is settled, and where a stop string ends it. Knows no model."""

from collections.abc import Sequence

from lmkit.protocols import Form, Tokenizer
from lmkit.text.sequences import decode_text


class Transcript:
    """What a continuation's tokens spell so far.

    Stop strings are looked for in bytes, wherever tokens part them; the first to be complete ends the text
    before it, of several that are complete at once the one that begins first.
    """

    def __init__(self, tokenizer: Tokenizer, form: Form, stops: Sequence[bytes] = ()) -> None:
        self._tokenizer = tokenizer
        self._form = form
        self._stops = stops
        self._ids: list[int] = []
        self._told = 0
        self.text = b""

    def add(self, token: int) -> bool:
        """Takes one more token; whether a stop string is complete, before which the text now ends."""
        self._ids.append(token)
        self.text = decode_text(self._tokenizer, self._form, self._ids)
        places = [self.text.find(stop) for stop in self._stops if stop in self.text]
        if places:
            self.text = self.text[: min(places)]
        return bool(places)

    def branch(self) -> "Transcript":
        """Another that goes on from here."""
        other = Transcript(self._tokenizer, self._form, self._stops)
        other._ids, other._told, other.text = list(self._ids), self._told, self.text
        return other

    def settled(self) -> bytes:
        """What came since the last call and no token to come can take back."""
        held = max((_begun(self.text, stop) for stop in self._stops), default=0)
        end = max(self._told, len(self.text) - held)
        new = self.text[self._told : end]
        self._told = end
        return new

    def rest(self) -> bytes:
        """What came since the last call of `settled`, as the text has ended."""
        new = self.text[self._told :]
        self._told = len(self.text)
        return new


def _begun(text: bytes, stop: bytes) -> int:
    """How many bytes at the end of a text may be the beginning of a stop string."""
    return next((size for size in range(min(len(stop) - 1, len(text)), 0, -1) if stop.startswith(text[-size:])), 0)
