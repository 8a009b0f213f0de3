"""Where the tokens of a text lie in it: words, characters, or what a tokenizer's tokens spell. Knows no files.

N tokens.
"""

import re
from collections.abc import Callable
from typing import NamedTuple

from lmkit.data.sequences import TextFormat
from lmkit.errors import DataError
from lmkit.protocols import Tokenizer
from lmkit.tokenization.token_bytes import Context, token_bytes_of

_WORD = re.compile(r"[^ \t\r\n\0]+")  # as `tokenization.words` separates them


class TokenPlaces(NamedTuple):
    """Where each token begins and ends, in characters, (N,) each."""

    starts: list[int]
    ends: list[int]


Cut = Callable[[str], TokenPlaces]
"""From a text to the places of its tokens."""


def words(text: str) -> TokenPlaces:
    """Find the words, between which is white space."""
    found = [match.span() for match in _WORD.finditer(text)]
    return TokenPlaces([start for start, _ in found], [end for _, end in found])


def characters(text: str) -> TokenPlaces:
    """Find the characters."""
    return TokenPlaces(list(range(len(text))), list(range(1, len(text) + 1)))


CUTS: dict[str, Cut] = {"word": words, "char": characters, "byte": characters}
"""What needs no vocabulary; bytes of one character stay together."""


def cut_of(tokenizer: Tokenizer) -> Cut:
    """Return what finds a tokenizer's tokens; those that are parts of one character count as one.

    The cut raises DataError for a text that its tokens do not spell byte for byte.
    """
    spelling = token_bytes_of(tokenizer, TextFormat("line", 0, None))

    def cut(text: str) -> TokenPlaces:
        data = text.encode()
        ids: list[int] = tokenizer.encode(data).tolist()
        ends, behind, joint = [], 0, Context.START
        for token in ids:
            behind += len(spelling.at_one(token, joint))
            joint = spelling.after(token)
            ends.append(behind)
        if behind != len(data) or tokenizer.decode(ids) != data:
            raise DataError("its tokens do not spell the text byte for byte", hint="--tokens word, or char")
        return _in_characters(data, ends)

    return cut


def _in_characters(data: bytes, ends: list[int]) -> TokenPlaces:
    """Places of tokens by their ends in bytes; one that ends inside a character goes with the next."""
    found, before, at = [0], 0, 0
    for end in ends:
        if end < len(data) and data[end] & 0xC0 == 0x80:
            continue
        at += len(data[before:end].decode())
        before = end
        if at > found[-1]:
            found.append(at)
    return TokenPlaces(found[:-1], found[1:])
