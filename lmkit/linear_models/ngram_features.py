r"""N-grams of words and characters of texts, as hashes. Knows no weights and no labels.

A word is a longest run of letters, digits, marks and underscores. Character n-grams are taken of the whole text with
a space before and after it and runs of white space as one space. An n-gram x_1 ... x_n is hashed by
sum_i h(x_i) B^(i-1) mod 2^64 and the finaliser of splitmix64 (Steele et al. 2014), of which the upper bits count.

T texts, C characters, M words.
"""

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from lmkit.protocols import I64, U8, U32, U64, Bool

BITS = 31
BLOCK = 1 << 20  # characters that are worked on together
CHARACTERS = np.uint32(1 << BITS)
"""The bit of a key that is set for n-grams of characters."""
_BASE = 0x9E3779B97F4A7C15
_SPACE = 32


@dataclass(frozen=True)
class NgramSettings:
    """Which n-grams of a text count: orders from the first to the last number, of characters 0 to 0 for none."""

    words: tuple[int, int] = (1, 2)
    characters: tuple[int, int] = (0, 0)
    bits: int = BITS
    """Bits of a hash."""

    def to_json(self) -> dict[str, Any]:
        """The settings as a JSON object."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}


class Counts(NamedTuple):
    """How often each text has each key, sorted by text and key."""

    texts: I64
    keys: U32
    counts: I64


Texts = Sequence[tuple[str, ...]]
"""Items of one text each, or of two."""


def count_ngrams(items: Texts, settings: NgramSettings) -> Iterator[tuple[int, Counts]]:
    """Yield counts of blocks of items, and how many items are done; texts are numbered from the first item.

    Of a pair the n-grams of both texts have keys of their own, and so has each n-gram that both texts share.
    """
    before, held, size = 0, list[tuple[str, ...]](), 0
    for item in items:
        held.append(item)
        size += sum(map(len, item))
        if size >= BLOCK:
            yield before + len(held), _shifted(_count_block(held, settings), before)
            before, held, size = before + len(held), [], 0
    if held:
        yield before + len(held), _shifted(_count_block(held, settings), before)


def _shifted(found: Counts, before: int) -> Counts:
    return found._replace(texts=found.texts + before)


def _count_block(items: Texts, settings: NgramSettings) -> Counts:
    firsts = _packed([item[0] for item in items], settings)
    if all(len(item) == 1 for item in items):
        return _counted(_keys(firsts, settings, 0))
    seconds = _packed([item[1] if len(item) > 1 else "" for item in items], settings)
    shared = np.intersect1d(firsts, seconds)
    sides = (firsts, seconds, shared)
    return _counted(np.concatenate([_keys(side, settings, salt) for salt, side in enumerate(sides)]))


def _packed(texts: Sequence[str], settings: NgramSettings) -> U64:
    """The n-grams of texts: the text above 32 bits of hash, of which the highest tells characters from words."""
    joined = "".join(["\n", *(f" {text} \n" for text in texts)])
    points = np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), dtype="<u4")
    lengths = np.fromiter(map(len, texts), np.int64, len(texts))
    owners = np.repeat(np.arange(-1, len(texts)), np.concatenate(([1], lengths + 3)))
    owners[np.cumsum(lengths + 3)] = -1  # the line feeds behind texts
    kinds = _kinds(points)
    found = []
    if settings.words[1]:
        found += _word_ngrams(points, kinds == _WORD, owners, settings.words)
    if settings.characters[1]:
        found += _character_ngrams(points, kinds == _BLANK, owners, settings.characters)
    return np.concatenate(found) if found else np.zeros(0, dtype=np.uint64)


def word_keys(texts: Sequence[str], settings: NgramSettings, salt: int) -> tuple[U32, I64]:
    """The keys of texts that have exactly one word, and which texts these are.

    `salt` is 0 for single texts and the first ones of pairs, 1 for second ones, 2 for words of both.
    """
    packed = _packed(texts, replace(settings, words=(1, 1), characters=(0, 0)))
    owners, firsts, counts = np.unique(packed >> np.uint64(32), return_index=True, return_counts=True)
    kept = counts == 1
    keys = _keys(packed[firsts[kept]], settings, salt) & np.uint64(0xFFFFFFFF)
    return keys.astype(np.uint32), owners[kept].astype(np.int64)


_WORD, _BLANK, _OTHER, _UNKNOWN = range(4)
_KINDS: U8 = np.full(0x110000, _UNKNOWN, dtype=np.uint8)  # filled as characters are met


def _kinds(points: U32) -> U8:
    """The kind of each character, (C,)."""
    kinds = _KINDS[points]
    if (kinds == _UNKNOWN).any():
        for point in np.unique(points[kinds == _UNKNOWN]).tolist():
            _KINDS[point] = _kind(chr(point))
        kinds = _KINDS[points]
    return kinds


def _kind(character: str) -> int:
    if character.isalnum() or character == "_" or unicodedata.category(character)[0] == "M":
        return _WORD
    return _BLANK if character.isspace() else _OTHER


class _Sums:
    """Hashes of any stretches of a sequence of numbers, (C,), by sums of number times power from its beginning."""

    def __init__(self, values: U64) -> None:
        self._inverse = _powers(pow(_BASE, -1, 1 << 64), len(values))
        self._sums = np.concatenate((np.zeros(1, np.uint64), np.cumsum(values * _powers(_BASE, len(values)))))

    def hashes(self, begins: I64, ends: I64) -> U64:
        """The hash of each stretch."""
        hashes: U64 = (self._sums[ends] - self._sums[begins]) * self._inverse[begins]
        return hashes


def _powers(base: int, count: int) -> U64:
    powers = np.full(count, base, dtype=np.uint64)
    powers[:1] = 1
    found: U64 = np.cumprod(powers)
    return found


def _word_ngrams(points: U32, inside: Bool, owners: I64, orders: tuple[int, int]) -> list[U64]:
    edges = np.flatnonzero(inside[1:] != inside[:-1]) + 1  # a line feed is at both ends
    begins, ends = edges[::2], edges[1::2]
    words = _mixed(_Sums(points.astype(np.uint64) + np.uint64(1)).hashes(begins, ends))
    return _windows(words, owners[begins], orders, 0)


def _character_ngrams(points: U32, blank: Bool, owners: I64, orders: tuple[int, int]) -> list[U64]:
    plain = np.where(blank, np.uint32(_SPACE), points)
    ours = owners >= 0
    kept = ours.copy()
    kept[1:] &= ~(blank[1:] & blank[:-1] & ours[:-1])
    return _windows(plain[kept].astype(np.uint64) + np.uint64(1), owners[kept], orders, 1)


def _windows(values: U64, owners: I64, orders: tuple[int, int], kind: int) -> list[U64]:
    """Every stretch of `orders` values that lies in one text, packed."""
    sums, found = _Sums(values), list[U64]()
    for order in range(orders[0], orders[1] + 1):
        begins = np.flatnonzero(owners[: len(owners) - order + 1] == owners[order - 1 :])
        hashes = _mixed(sums.hashes(begins, begins + order) + np.uint64(order)) >> np.uint64(64 - BITS)
        found.append((owners[begins].astype(np.uint64) << np.uint64(32)) | np.uint64(kind << BITS) | hashes)
    return found


def _mixed(values: U64) -> U64:
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def _keys(packed: U64, settings: NgramSettings, salt: int) -> U64:
    """The same with hashes of fewer bits, others for each salt."""
    hashes = packed & np.uint64(CHARACTERS - 1)
    if salt:
        hashes = _mixed(hashes + np.uint64(salt << BITS)) >> np.uint64(64 - BITS)
    return (packed & ~np.uint64(CHARACTERS - 1)) | (hashes >> np.uint64(BITS - settings.bits))


def _counted(packed: U64) -> Counts:
    packed = np.sort(packed)
    starts = np.flatnonzero(np.concatenate(([True], packed[1:] != packed[:-1]))) if len(packed) else np.zeros(0, int)
    counts = np.diff(np.append(starts, len(packed)))
    distinct = packed[starts]
    keys = (distinct & np.uint64(0xFFFFFFFF)).astype(np.uint32)
    return Counts((distinct >> np.uint64(32)).astype(np.int64), keys, counts)
