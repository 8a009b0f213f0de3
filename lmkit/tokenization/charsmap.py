"""The precompiled character map of SentencePiece: longest match, as its `Normalizer::NormalizePrefix` does.

A map is the size of a trie in 4 bytes, lowest first, the trie, and replacements that end in
NUL each. The trie is a double array of darts-clone: 32-bit units, each with a label (bits 0 to 7),
whether a value is there (bit 8), and an offset (bits 10 to 30, shifted by 8 where bit 9 is set);
the child of unit i by byte b is at i ^ offset ^ b. A unit with bit 31 set is a value, which is
where a replacement begins. Branches that are alike share their units, so that a quarter of a
million keys fit into 45,000: they are followed where a text needs them, and never listed.

The Precompiled normalizer of the tokenizers library reads the same map by grapheme: it replaces a
whole grapheme by what its shortest key says, and the rest of the grapheme, such as a second
accent, is lost.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property

import numpy as np

from lmkit.errors import CheckpointError
from lmkit.protocols import I64

_UNIT = 4
_VALUE = 1 << 31
_LABEL = _VALUE | 0xFF
_HAS_VALUE = 1 << 8
_MOST = 1 << 22  # places of a trie that are looked at when it is read: a damaged one may have no end
_PLACE = 31  # bits of the place of a unit, beside the 32 of a character's bytes
_LENGTHS = np.repeat([1, 0, 2, 3, 4, 0], [0x80, 0x42, 0x1E, 0x10, 5, 11])
"""Bytes of the character that a byte leads, (256,)."""


class Charsmap:
    """What characters, and sequences of them, are replaced by. Raises CheckpointError for a damaged map."""

    def __init__(self, data: bytes) -> None:
        try:
            size = int.from_bytes(data[:_UNIT], "little")
            if len(data) < _UNIT or size % _UNIT or not 0 < size <= len(data) - _UNIT:
                raise ValueError("the size of its trie does not fit")
            units = np.frombuffer(data, dtype="<u4", count=size // _UNIT, offset=_UNIT).astype(np.int64)
            self._units: list[int] = units.tolist()
            self._texts = data[_UNIT + size :]
            ends, self.inner = _characters(units)
            self._single: dict[int, str] = {}
            first = set()
            for point, place, branches in ends:
                value = self._value(place)
                if value is not None:
                    self._single[point] = value
                if branches:
                    first.add(chr(point))
            self._finder = _finder(first, self.inner)
            self._ascii = any(map(str.isascii, self.inner))
        except ValueError as error:
            raise CheckpointError(f"a damaged character map: {error}") from None

    @property
    def single(self) -> Mapping[int, str]:
        """What each single character is replaced by, by its code point."""
        return self._single

    @cached_property
    def spaced(self) -> bool:
        """Whether a replacement has two spaces side by side."""
        return b"  " in self._texts

    def longest(self, text: str, place: int) -> tuple[int, str]:
        """The length of the longest key at a place, and its replacement; 0 and nothing where there is none."""
        node, best = 0, (0, "")
        for end in range(place, len(text)):
            following = self._after(node, text[end])
            if following is None:
                break
            node = following
            value = self._value(node)
            if value is not None:
                best = end + 1 - place, value
        return best

    def apply(self, text: str) -> str:
        """The text with the longest key at each place replaced, from left to right."""
        parts = []
        done = place = 0
        while (place := self.find(text, place)) >= 0:
            length, replacement = self.longest(text, place)
            if length > 1:
                parts += [text[done:place].translate(self._single), replacement]
                done = place = place + length
            else:
                place += 1
        parts.append(text[done:].translate(self._single))
        return "".join(parts)

    def find(self, text: str, place: int) -> int:
        """The next place, from `place` on, where a key of several characters may begin; -1 where there is none."""
        if self._finder is None or (not self._ascii and text.isascii()):
            return -1
        found = self._finder(text, place + 1)
        return -1 if found is None else found.start(1)

    def _after(self, node: int, character: str) -> int | None:
        """The unit that a character leads to."""
        units = self._units
        for byte in character.encode(errors="surrogatepass"):
            unit = units[node]
            node ^= _offset(unit) ^ byte
            if node >= len(units) or units[node] & _LABEL != byte:
                return None
        return node

    def _value(self, node: int) -> str | None:
        """The replacement of the key that ends at a unit, if one does. Raises CheckpointError where it is damaged."""
        unit = self._units[node]
        if not unit & _HAS_VALUE:
            return None
        place = node ^ _offset(unit)
        value = self._units[place] if place < len(self._units) else 0
        begin = value & (_VALUE - 1)
        end = self._texts.find(b"\0", begin)
        try:
            if not value & _VALUE or end < 0:
                raise ValueError("a replacement is not there")
            return self._texts[begin:end].decode()
        except ValueError as error:
            raise CheckpointError(f"a damaged character map: {error}") from None


def _offset(unit: int) -> int:
    return (unit >> 10) << ((unit & (1 << 9)) >> 6)


def _finder(first: Iterable[str], inner: Iterable[str]) -> Callable[[str, int], re.Match[str] | None] | None:
    """Finds a place where a key of several characters may begin, as group 1; None where there are no such keys.

    Characters inside of keys are rare, those that begin keys are not: most places are passed as neither.
    """
    openers, others = "".join(map(re.escape, sorted(first))), "".join(map(re.escape, sorted(inner)))
    return re.compile(f"(?=[{others}])(?<=([{openers}]))").search if openers else None


def _characters(units: I64) -> tuple[list[tuple[int, int, bool]], frozenset[str]]:
    """The first characters of keys, each with its unit and whether longer keys begin so, and those behind them."""
    children = _Children(units)
    points, places = children.characters(np.zeros(1, dtype=np.int64))
    branches = children.counts(places) > 0
    firsts = list(zip(points.tolist(), places.tolist(), branches.tolist(), strict=True))
    inner: set[str] = set()
    seen = frontier = np.unique(places)
    while len(frontier):
        points, places = children.characters(frontier)
        inner.update(map(chr, np.unique(points).tolist()))
        frontier = np.setdiff1d(places, seen)
        seen = np.union1d(seen, frontier)
    return firsts, frozenset(inner)


class _Children:
    """The children of many units at once."""

    def __init__(self, units: I64) -> None:
        self._labels = units & _LABEL
        places = np.arange(len(units))
        self._bases = places ^ ((units >> 10) << ((units & (1 << 9)) >> 6))
        owners = np.where((self._labels <= 0xFF) & (places > 0), places ^ self._labels, -1)
        self._order = np.argsort(owners, kind="stable")
        self._owners = owners[self._order]
        self._looked_at = 0

    def _range(self, nodes: I64) -> tuple[I64, I64]:
        first, last = (np.searchsorted(self._owners, self._bases[nodes], side=side) for side in ("left", "right"))
        return first, last - first

    def counts(self, nodes: I64) -> I64:
        """How many children each unit has."""
        return self._range(nodes)[1]

    def characters(self, nodes: I64) -> tuple[I64, I64]:
        """The characters that follow the given units, and the units they lead to, both (N,), each pair once.

        Raises ValueError where the bytes are no UTF-8.
        """
        found = []
        spelled = np.zeros(len(nodes), dtype=np.int64)
        for length in range(1, 5):
            first, counts = self._range(nodes)
            within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
            children = self._order[np.repeat(first, counts) + within]
            pairs = np.unique((np.repeat(spelled, counts) << 8 | self._labels[children]) << _PLACE | children)
            self._looked_at += len(pairs)
            if self._looked_at > _MOST:
                raise ValueError("its keys have no end")
            spelled, nodes = pairs >> _PLACE, pairs & ((1 << _PLACE) - 1)
            done = _LENGTHS[spelled >> (8 * (length - 1))] == length
            found.append(np.stack([_points(spelled[done], length), nodes[done]]))
            spelled, nodes = spelled[~done], nodes[~done]
        if len(nodes):
            raise ValueError("a key is not UTF-8")
        points, places = np.concatenate(found, axis=1)
        return points, places


def _points(spelled: I64, length: int) -> I64:
    """Code points of characters given as the number that their UTF-8 bytes make. Raises ValueError for other bytes."""
    data = spelled.astype(">u8").tobytes()
    texts = [data[end - length : end].decode() for end in range(8, len(data) + 1, 8)]
    return np.array([ord(text) for text in texts], dtype=np.int64)
