"""Words of a text and those around each, within their line, as the text comes. Knows no files and no ids."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from lmkit.tokenization.words import split

SEPARATORS = b" \t\r\n\0"
"""What a text may be cut after without cutting a word."""


class Centre(NamedTuple):
    """A word and those around it, from left to right."""

    word: bytes
    context: Sequence[bytes]


def words_of(piece: bytes) -> Iterator[bytes | None]:
    """The words of a piece of text that ends behind one of SEPARATORS, and None for each line end."""
    for number, part in enumerate(piece.split(b"\n")):
        if number:
            yield None
        yield from split(part)


class Windows:
    """Each word with up to `reach` words before and after it, as words come.

    Holds no more than the words of two windows, however long a line is.
    """

    def __init__(self, reach: int) -> None:
        self._reach = reach
        self._before: deque[bytes] = deque(maxlen=reach)
        self._after: deque[bytes] = deque()

    def take(self, words: Iterable[bytes | None]) -> Iterator[Centre]:
        """Adds words, None for the end of a line; gives those whose context is complete now."""
        before, after, reach = self._before, self._after, self._reach
        for word in words:
            if word is None:
                while after:
                    yield self._centre()
                before.clear()
            else:
                after.append(word)
                if len(after) > reach:
                    yield self._centre()

    def _centre(self) -> Centre:
        """The first of the words that wait; no more than its window wait behind it."""
        word = self._after.popleft()
        centre = Centre(word, [*self._before, *self._after])
        self._before.append(word)
        return centre
