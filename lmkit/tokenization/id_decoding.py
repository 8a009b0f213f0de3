"""Ids of a text back to its bytes, block by block, whatever the tokenizer. Knows no files.

Shapes: N ids.
"""

from collections.abc import Iterator

import numpy as np

from lmkit.errors import DataError
from lmkit.protocols import I64, Ints, Tokenizer
from lmkit.tokenization.id_rendering import Renderer

PIECE = 1 << 18  # ids of an array that are decoded at a time


def numbers_in(block: bytes, feed: int) -> I64 | None:
    """Ids of a block of decimal numbers, (N,), `feed` for each line end; None where it holds anything else."""
    if block.translate(None, b"0123456789 \t\r\n"):
        return None
    return np.fromstring(block.replace(b"\n", b" %d " % feed), dtype=np.int64, sep=" ")


class IdDecoder:
    """Ids to text; `feed`, the first number that is no id, represents a line end."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self.feed = tokenizer.size
        self._whole_words = tokenizer.ends_words or bool(tokenizer.separator)
        self._renderer = None
        if tokenizer.separator is not None:
            strings = [tokenizer.piece(token) + tokenizer.separator for token in range(tokenizer.size)]
            self._renderer = Renderer([*strings, b"\n"])

    def has(self, ids: I64, feeds: int) -> bool:
        """Whether all ids are in the vocabulary, but for so many line ends."""
        if not len(ids):
            return True
        return bool(ids.min() >= 0 and ids.max() <= self.feed and np.count_nonzero(ids == self.feed) == feeds)

    def decode(self, ids: I64) -> bytes:
        """The text of the ids of a block."""
        if self._renderer is None:
            return self._line_by_line(ids)
        text = self._renderer.render(ids)
        return text.replace(b" \n", b"\n") if self._whole_words else text

    def _line_by_line(self, ids: I64) -> bytes:
        """Through the tokenizer's own decoder, which may look beyond single pieces."""
        lines = np.split(ids, np.flatnonzero(ids == self.feed) + 1)
        return b"".join(
            self._tokenizer.decode(line[line != self.feed].tolist()) + b"\n" * bool(len(line) and line[-1] == self.feed)
            for line in lines
        )

    def decode_array(self, array: Ints) -> Iterator[bytes]:
        """The text of an array, (N,); the end of a sentence ends a line where ids do not spell line ends.

        Raises DataError for an element that is no id.
        """
        eos = self._tokenizer.specials.get("eos")
        for begin in range(0, len(array), PIECE):
            ids = array[begin : begin + PIECE].astype(np.int64)
            beyond = np.flatnonzero((ids >= self.feed) | (ids < 0))
            if len(beyond):
                place = int(beyond[0])
                raise DataError(f"element {begin + place} is {ids[place]}, outside the vocabulary of {self.feed}")
            if eos is not None and not self._tokenizer.spells_whitespace:
                ids[ids == eos] = self.feed
            yield self.decode(ids)
