"""Words of normalised texts as 64-bit hashes, and n-grams of them, many texts at a time. Knows no files.

Texts are normalised by NFKC and case folding. A word is a run of letters, digits and combining marks (Unicode
categories L, N and M); each Han character or kana is a word of its own; everything else separates words. So case,
punctuation, spacing and the Unicode form of accents make no difference.

A word's hash is a polynomial of its characters modulo 2^64, mixed; that of an n-gram one of its words' hashes. Both
come from running sums, so that n costs nothing. Two different stretches have the same hash with a probability of 2^-64.

Shapes: D texts, W words, G n-grams.
"""

import unicodedata
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from lmkit.data.keyed_random import mixed
from lmkit.protocols import I64, U8, U32, U64, Bool

SEGMENT = 1 << 18
"""Characters that are worked on together, so that arrays stay in the processor's caches."""
_BASE, _GRAM_BASE = 0x9E3779B97F4A7C15, 0xD1342543DE82EF95
_LENGTH = np.uint64(0xD6E8FEB86659FD93)
_PAGE = 128
_SEPARATOR, _PART, _SINGLE, _UNKNOWN = range(4)
_SINGLES = (
    (0x3040, 0x30FF),
    (0x31F0, 0x31FF),
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0x20000, 0x3FFFF),
)
"""Ranges of characters that are words: hiragana and katakana, Han characters."""


class HashedWords(NamedTuple):
    """Words of several texts: the hash of each, where it begins and ends, and which are whose.

    Places (W,) are characters of the normalised texts, as if these were one behind another with a character between.
    """

    hashes: U64
    starts: I64
    ends: I64
    bounds: I64
    """The number of words before each text, and of all, (D + 1,)."""
    offsets: I64
    """Where each text begins, (D,)."""


class Grams(NamedTuple):
    """N-grams of several texts: the hash of each, the text it is in, and the number of its first word, all (G,)."""

    keys: U64
    owners: I64
    words: I64


def normalized(text: str) -> str:
    """Return a text in NFKC, case-folded."""
    if text.isascii():
        return text.lower()
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


class _Powers:
    """The powers of an odd number modulo 2^64 and those of its inverse, as many as were needed so far."""

    def __init__(self, base: int) -> None:
        self._base = base
        self.up = self.down = _powers(base, 1)

    def to(self, size: int) -> None:
        """Have the first `size` powers."""
        if len(self.up) < size:
            size = 1 << (size - 1).bit_length()
            self.up = _powers(self._base, size)
            self.down = _powers(pow(self._base, -1, 1 << 64), size)


def _powers(base: int, size: int) -> U64:
    factors = np.full(size, base, dtype=np.uint64)
    factors[0] = 1
    found: U64 = np.cumprod(factors, dtype=np.uint64)
    return found


_CHARACTERS, _WORDS = _Powers(_BASE), _Powers(_GRAM_BASE)


class _Classes:
    """What each character is to words, found out a page of characters at a time."""

    def __init__(self) -> None:
        self._table = np.full(0x110000, _UNKNOWN, dtype=np.uint8)

    def of(self, codes: U32 | U8) -> U8:
        """Return the class of each code point."""
        found: U8 = self._table[codes]
        unknown = found == _UNKNOWN
        if unknown.any():
            for page in np.unique(codes[unknown] // _PAGE).tolist():
                self._learn(page)
            found = self._table[codes]
        return found

    def _learn(self, page: int) -> None:
        for code in range(page * _PAGE, (page + 1) * _PAGE):
            single = any(first <= code <= last for first, last in _SINGLES)
            part = _SINGLE if single else _PART
            self._table[code] = part if unicodedata.category(chr(code))[0] in "LNM" else _SEPARATOR


_CLASSES = _Classes()


def hash_words(texts: Sequence[str]) -> HashedWords:
    """Return the words of several texts."""
    normal = [normalized(text) for text in texts]
    sizes = np.fromiter(map(len, normal), np.int64, len(normal)) + 1
    offsets = np.cumsum(sizes) - sizes
    joined = "\n".join(normal)
    parts = [(np.zeros(0, np.uint64), np.zeros(0, np.int64), np.zeros(0, np.int64))]
    begin = 0
    while begin < len(joined):
        end = _segment_end(joined, begin)
        hashes, starts, ends = _hash_segment(joined[begin:end])
        parts.append((hashes, starts + begin, ends + begin))
        begin = end
    hashes, starts, ends = (np.concatenate(column) for column in zip(*parts, strict=True))
    bounds = np.append(np.searchsorted(starts, offsets), len(starts))
    return HashedWords(hashes, starts, ends, bounds, offsets)


def _segment_end(text: str, begin: int) -> int:
    """Return where a segment may end: behind a space or a line end, or with the text."""
    end = begin + SEGMENT
    if end >= len(text):
        return len(text)
    cut = max(text.rfind(" ", begin, end), text.rfind("\n", begin, end))
    if cut < 0:
        following = [at for at in (text.find(" ", end), text.find("\n", end)) if at >= 0]
        cut = min(following, default=len(text) - 1)
    return cut + 1


def _hash_segment(text: str) -> tuple[U64, I64, I64]:
    codes: U32 | U8
    if text.isascii():
        codes = np.frombuffer(text.encode(), dtype=np.uint8)
    else:
        codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")
    classes = _CLASSES.of(codes)
    part, single = classes == _PART, classes == _SINGLE
    begins, closes = part.copy(), part.copy()
    begins[1:] &= ~part[:-1]
    closes[:-1] &= ~part[1:]
    starts, ends = np.flatnonzero(begins | single), np.flatnonzero(closes | single) + 1
    _CHARACTERS.to(len(codes) + 1)
    return _stretches(codes, starts, ends, _CHARACTERS), starts, ends


def _stretches(values: U64 | U32 | U8, starts: I64, ends: I64, powers: _Powers) -> U64:
    """Return the hash of each stretch of values: sum of (value + 1) base^(place - start), mixed with the length."""
    sums = np.zeros(len(values) + 1, dtype=np.uint64)
    terms = values.astype(np.uint64)
    terms += np.uint64(1)
    terms *= powers.up[: len(values)]
    np.cumsum(terms, out=sums[1:])
    found = (sums[ends] - sums[starts]) * powers.down[starts]
    return mixed(found ^ (ends - starts).astype(np.uint64) * _LENGTH)


def grams(words: HashedWords, n: int, *, short: bool) -> Grams:
    """Return the n-grams of each text, in order.

    `short`: a text with fewer than n words, but some, has one gram of all of them; it equals no n-gram.
    """
    sizes = np.diff(words.bounds)
    owners = np.repeat(np.arange(len(sizes)), sizes)
    places = np.arange(len(words.hashes))
    ends = words.bounds[1:][owners]
    inside: Bool = places + n <= ends
    if short:
        inside |= (places == words.bounds[:-1][owners]) & (sizes < n)[owners]
    starts = places[inside]
    _WORDS.to(len(words.hashes) + 1)
    keys = _stretches(words.hashes, starts, np.minimum(starts + n, ends[inside]), _WORDS)
    return Grams(keys, owners[inside], starts)
