"""The text of tokens that come one after another: each costs the same, and a stable beginning stays. Knows no model.

Tokenizers that have a `separator` spell the pieces with that between them, and without the space that ends the
last word where they say so by `ends_words`. Of others, of which only the text of a whole is known, the last few
tokens are decoded with the new ones, where they say by `local` that this is enough, and else all.
"""

from collections.abc import Iterable, Sequence
from copy import copy
from typing import Protocol

from lmkit.protocols import SequenceFormat, Tokenizer

_CONTEXT = 3  # tokens that stand before those decoded
_REPLACEMENT = "\ufffd".encode()


class _Line(Protocol):
    """The text of one line."""

    stable_length: int
    """How many bytes of it no token to come can change."""

    def add(self, tokens: Sequence[int]) -> Iterable[tuple[int, bytes]]:
        """More tokens, one at least: the changes in turn, each from which byte on, and what is there now."""

    def branch(self) -> "_Line":
        """A copy that continues from here."""


class StreamingDecoder:
    """What ids spell, line ends and all: after each the text of `sequences.decode_text`.

    `text`: all of it. `stable_length`: how many bytes of it stay, whatever comes.
    """

    def __init__(self, tokenizer: Tokenizer, form: SequenceFormat) -> None:
        self._tokenizer = tokenizer
        self._newline_id = form.newline_id if form.multiline else None
        self._line = _line(tokenizer)
        self._begin = 0
        self.text = bytearray()
        self.stable_length = 0

    def add(self, tokens: Sequence[int]) -> None:
        """More tokens."""
        while self._newline_id in tokens:
            place = tokens.index(self._newline_id)
            self._add(tokens[:place])
            self.text += b"\n"
            self._begin = self.stable_length = len(self.text)
            self._line = _line(self._tokenizer)
            tokens = tokens[place + 1 :]
        self._add(tokens)

    def _add(self, tokens: Sequence[int]) -> None:
        """More tokens of the line."""
        if tokens:
            for place, new in self._line.add(tokens):
                self.text[self._begin + place :] = new
            self.stable_length = self._begin + self._line.stable_length

    def branch(self) -> "StreamingDecoder":
        """A copy that continues from here."""
        other = copy(self)
        other.text, other._line = bytearray(self.text), self._line.branch()
        return other


def _line(tokenizer: Tokenizer) -> _Line:
    return _Decoded(tokenizer) if tokenizer.separator is None else _Joined(tokenizer, tokenizer.separator)


class _Joined:
    """Pieces with a separator between them."""

    def __init__(self, tokenizer: Tokenizer, separator: bytes) -> None:
        self._piece = tokenizer.piece
        self._between = b""
        self._separator = separator
        self._ends_words = tokenizer.ends_words
        self._space = b""  # at the end of what came, to be given with what follows
        self.stable_length = 0

    def add(self, tokens: Sequence[int]) -> Iterable[tuple[int, bytes]]:
        """See `_Line.add`."""
        new = self._space + self._between + self._separator.join(map(self._piece, tokens))
        self._between = self._separator
        self._space = b" " if self._ends_words and new.endswith(b" ") else b""
        new = new[: len(new) - len(self._space)]
        place = self.stable_length
        self.stable_length += len(new)
        return [(place, new)]

    def branch(self) -> "_Joined":
        """See `_Line.branch`."""
        return copy(self)


class _Decoded:
    """Text of a tokenizer that tells no more of it than the whole."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._local = tokenizer.local
        self._ids: list[int] = []
        self._begin = 0  # the first of the tokens that are decoded
        self._known = b""  # what those of them spell that are done with
        self.stable_length = 0

    def add(self, tokens: Sequence[int]) -> Iterable[tuple[int, bytes]]:
        """See `_Line.add`."""
        return map(self._changed, tokens)

    def _changed(self, token: int) -> tuple[int, bytes]:
        self._ids.append(token)
        text = self._tokenizer.decode(self._ids[self._begin :])
        if not text.startswith(self._known):  # never where `local` is true
            self._local, self._begin, self._known, self.stable_length = False, 0, b"", 0
            text = self._tokenizer.decode(self._ids)
        place, new = self.stable_length, text[len(self._known) :]
        if self._local and not new.endswith(_REPLACEMENT) and not self._tokenizer.is_byte(token):
            begin = max(self._begin, len(self._ids) - _CONTEXT)
            known = self._tokenizer.decode(self._ids[begin:])
            if known:  # the beginning of a line may be spelled otherwise
                self._begin, self._known = begin, known
                self.stable_length += len(new)
        return place, new

    def branch(self) -> "_Decoded":
        """See `_Line.branch`."""
        other = copy(self)
        other._ids = list(self._ids)
        return other
