"""Text as a stream of symbols: bytes, characters, words, lines or tokens, each a number. Knows no files.

The text is taken as it is: line ends are bytes and characters like others. Words are those of
`tokenization/words` and lines are without their ends; a history of words or tokens continues over the end
of a line.
"""

from typing import Any, Protocol

import numpy as np

from lmkit.information.block_entropy import Symbols
from lmkit.protocols import I32, I64, U64, Tokenizer
from lmkit.tokenization.vocabulary import Interner
from lmkit.tokenization.words import distinct, find, hash_stretches, hash_words

_CODE_POINTS = 0x110000


class Unit(Protocol):
    """Turns pieces of a text into symbols; the pieces never cut a symbol."""

    @property
    def alphabet(self) -> int | None:
        """Number of symbols, where it is known beforehand."""

    def symbols(self, piece: bytes) -> Symbols:
        """The symbols of the next piece, (N,): the same number for the same symbol, as low as can be."""

    def passing(self, piece: bytes) -> Symbols:
        """The same, but remembering nothing: numbers may be of any size."""


class Bytes:
    """Each byte is a symbol."""

    alphabet = 256

    def symbols(self, piece: bytes) -> Symbols:
        """See `Unit.symbols`."""
        return np.frombuffer(piece, dtype=np.uint8)

    passing = symbols


class Characters:
    """Each Unicode character is a symbol, numbered in order of first appearance."""

    alphabet = None

    def __init__(self) -> None:
        self._numbers: I32 = np.full(_CODE_POINTS, -1, dtype=np.int32)
        self._size = 0

    def passing(self, piece: bytes) -> Symbols:
        """Code points."""
        if piece.isascii():
            return np.frombuffer(piece, dtype=np.uint8)
        return np.frombuffer(piece.decode().encode("utf-32-le"), dtype="<i4")

    def symbols(self, piece: bytes) -> Symbols:
        """See `Unit.symbols`."""
        points = self.passing(piece)
        numbers = self._numbers[points]
        fresh = np.unique(points[numbers < 0])
        if len(fresh):
            self._numbers[fresh] = np.arange(self._size, self._size + len(fresh), dtype=np.int32)
            self._size += len(fresh)
            numbers = self._numbers[points]
        return numbers


class WordSymbols:
    """Words, numbered in order of first appearance; distinguished by 64-bit hashes."""

    alphabet = None

    def __init__(self) -> None:
        self._interner = Interner()

    def passing(self, piece: bytes) -> Symbols:
        """Hashes of the words."""
        piece = _ended(piece)
        words = find(piece)
        return hash_words(piece, words.starts, words.ends)

    def symbols(self, piece: bytes) -> Symbols:
        """See `Unit.symbols`."""
        piece = _ended(piece)
        found = distinct(piece, find(piece))
        return self._interner.ids(piece, found.starts, found.ends, found.hashes)[found.inverse]


def _ended(piece: bytes) -> bytes:
    return piece if piece.endswith(b"\n") else piece + b"\n"


class Lines:
    """Lines without their ends, numbered in order of first appearance; distinguished by 64-bit hashes."""

    alphabet = None

    def __init__(self) -> None:
        self._interner = Interner()

    def passing(self, piece: bytes) -> Symbols:
        """Hashes of the lines."""
        return _hashed_lines(piece)[2]

    def symbols(self, piece: bytes) -> Symbols:
        """See `Unit.symbols`."""
        return self._interner.ids(piece, *_hashed_lines(piece))


def _hashed_lines(piece: bytes) -> tuple[I64, I64, U64]:
    """Where each line begins and ends, and its hash."""
    ends: I64 = np.flatnonzero(np.frombuffer(piece, dtype=np.uint8) == 10)
    starts = np.concatenate((np.zeros(1, dtype=np.int64), ends[:-1] + 1))[: len(ends)]
    return starts, ends, hash_stretches(piece, starts, ends)


class Tokens:
    """The tokens of a tokenizer, which takes whole lines and has no ends of lines."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self.alphabet = tokenizer.size

    def symbols(self, piece: bytes) -> Symbols:
        """See `Unit.symbols`."""
        return self._tokenizer.encode_block(piece)[0]

    passing = symbols


def unit_of(name: str, tokenizer: Any = None) -> Unit:
    """The unit `byte`, `char`, `word`, `line` or `token`, the last with its tokenizer."""
    if name == "token":
        return Tokens(tokenizer)
    if name == "byte":
        return Bytes()
    if name == "char":
        return Characters()
    return WordSymbols() if name == "word" else Lines()
