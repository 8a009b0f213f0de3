"""Substring duplicates: stretches of at least n words that occurred before in a corpus (Lee et al. 2022).

An n-gram of words is a repeat where the same n words stand in an earlier text, or before it in its own without
overlap. The words of all repeats are cut, so the first occurrence of each n-gram stays as far as it is no repeat
itself. Rolling hashes of all n-grams, sorted part by part, propose repeats; each is verified by its words, so nothing
is cut that did not occur. Words are those of `lmkit.data.word_hashes`. Knows no files.

Shapes: D texts, W words, G n-grams, R repeats.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from lmkit.array_storage import Storage, Writer
from lmkit.data.character_offsets import CharacterOffsets
from lmkit.data.key_set import KeySet
from lmkit.data.word_hashes import HashedWords, grams, hash_words, normalized
from lmkit.protocols import I64, U8, U64

PARTS = 64
"""Parts in which n-grams are sorted, by their keys, and repeats are read, by their places."""
BATCH = 1 << 22
"""Bytes of texts whose repeats are verified together."""
Span = tuple[int, int]


class Repeat(NamedTuple):
    """A stretch of words that occurred before; spans are characters of the texts as they were given."""

    text: int
    span: Span
    cut: Span
    """The span with the punctuation attached to it and the white space behind it."""
    first: int
    """The text that has the first occurrence."""
    first_span: Span
    words: int


class SubstringIndex:
    """The n-grams of all texts by their keys, then their repeats by their places."""

    def __init__(self, n: int, storage: Storage) -> None:
        self._n, self._storage = n, storage
        self._by_key = [storage.writer(np.uint64) for _ in range(PARTS)]
        self._text_writer, self._end_writer = storage.writer(np.uint8), storage.writer(np.int64)
        self._size_writer = storage.writer(np.int64)
        self._bytes = self._words = 0

    def add(self, texts: Sequence[bytes]) -> None:
        """Take more texts in UTF-8, with their n-grams."""
        self.add_texts(texts)
        self.add_grams(*grams_of(texts, self._n))

    def add_texts(self, texts: Sequence[bytes]) -> None:
        """Take more texts, whose n-grams `add_grams` gets."""
        self._text_writer.append(np.frombuffer(b"".join(texts), dtype=np.uint8))
        self._end_writer.append(self._bytes + np.cumsum([len(text) for text in texts], dtype=np.int64))
        self._bytes += sum(map(len, texts))

    def add_grams(self, sizes: I64, keys: U64, places: I64) -> None:
        """Take the number of words of texts, (D,), and the key and first word of each n-gram, (G,)."""
        both = np.stack((keys, (places + self._words).astype(np.uint64)), axis=1)
        _append(self._by_key, both, (keys >> np.uint64(58)).astype(np.uint8))
        self._size_writer.append(sizes)
        self._words += int(sizes.sum())

    def finish(self) -> None:
        """Find what may be repeats, once all texts are there."""
        self._texts: U8 = self._text_writer.finish()
        self._ends: I64 = self._end_writer.finish()
        self._bounds: I64 = np.concatenate(([0], np.cumsum(self._size_writer.finish())))
        self._width = max(1, -(-self._words // PARTS))
        by_place = [self._storage.writer(np.uint64) for _ in range(PARTS)]
        while self._by_key:
            found = self._by_key.pop().finish().reshape(-1, 2)
            if not len(found):
                continue
            found = self._proposed(found)
            _append(by_place, found, (found[:, 0] // np.uint64(self._width)).astype(np.uint8))
            self._storage.release()
        self._by_place = [writer.finish().reshape(-1, 2) for writer in by_place]
        self._part: tuple[int, U64] = (-1, np.zeros((0, 2), np.uint64))

    def _proposed(self, both: U64) -> U64:
        """Return the place of each n-gram that may be a repeat and of the first with its key, (R, 2)."""
        keys = np.sort(both[:, 0])
        several = KeySet()
        several.add(np.unique(keys[1:][keys[1:] == keys[:-1]]))
        both = both[several.contains(np.ascontiguousarray(both[:, 0]))]
        both = both[np.lexsort((both[:, 1], both[:, 0]))]
        begins = np.flatnonzero(np.concatenate(([True], both[1:, 0] != both[:-1, 0]))[: len(both)])
        firsts = np.repeat(both[begins, 1], np.diff(begins, append=len(both)))
        texts = np.searchsorted(self._bounds, both[:, 1].astype(np.int64), side="right")
        own = texts == np.searchsorted(self._bounds, firsts.astype(np.int64), side="right")
        apart = ~own | (both[:, 1] - firsts >= np.uint64(self._n))
        return np.stack((both[apart, 1], firsts[apart]), axis=1)

    def repeats(self, first: int, last: int) -> Iterator[Repeat]:
        """Yield the repeats in some texts, in order; ranges of texts must be asked for in order."""
        found = self._between(int(self._bounds[first]), int(self._bounds[last]))
        if not len(found):
            return
        begins = np.flatnonzero(np.concatenate(([True], (found[1:] != found[:-1] + 1).any(axis=1))))
        runs = np.stack((found[begins, 0], found[begins, 1], np.diff(begins, append=len(found)) + self._n - 1), axis=1)
        texts = np.searchsorted(self._bounds, runs[:, :2], side="right") - 1
        held, size = list[int](), 0
        for at, pair in enumerate(texts.tolist()):
            held.append(at)
            size += sum(self._size(text) for text in pair)
            if size > BATCH:
                yield from self._verified(runs[held], texts[held])
                held, size = [], 0
        yield from self._verified(runs[held], texts[held])
        self._storage.release()

    def _between(self, begin: int, end: int) -> I64:
        """Return what may be repeats at words from one place to another, ascending, (R, 2)."""
        parts = [np.zeros((0, 2), np.uint64)]
        for number in range(begin // self._width, -(-end // self._width)):
            if self._part[0] != number:
                part = self._by_place[number]
                self._part = number, part[np.argsort(part[:, 0])]
            part = self._part[1]
            parts.append(part[slice(*np.searchsorted(part[:, 0], np.array([begin, end], np.uint64)))])
        return np.concatenate(parts).astype(np.int64)

    def _size(self, text: int) -> int:
        return int(self._ends[text]) - (int(self._ends[text - 1]) if text else 0)

    def _text(self, text: int) -> str:
        end = int(self._ends[text])
        return self._texts[end - self._size(text) : end].tobytes().decode()

    def _verified(self, runs: I64, texts: I64) -> Iterator[Repeat]:
        """Yield those of some runs whose words are equal: runs (R, 3) are place, first place and words."""
        numbers = np.unique(texts).tolist()
        given = [self._text(number) for number in numbers]
        words = hash_words(given)
        read = {number: _Text(text, words, at) for at, (number, text) in enumerate(zip(numbers, given, strict=True))}
        for (place, first_place, count), (text, first) in zip(runs.tolist(), texts.tolist(), strict=True):
            own, other = read[text], read[first]
            begin, first_begin = place - int(self._bounds[text]), first_place - int(self._bounds[first])
            if own.known and own.words(begin, count) == other.words(first_begin, count):
                span, first_span = own.span(begin, count), other.span(first_begin, count)
                yield Repeat(text, span, own.cut(begin, count), first, first_span, count)


class _Text:
    """A text whose words are known by numbers."""

    def __init__(self, text: str, words: HashedWords, at: int) -> None:
        own = slice(int(words.bounds[at]), int(words.bounds[at + 1]))
        self._text, self._normal = text, normalized(text)
        self._starts, self._ends = (place[own] - words.offsets[at] for place in (words.starts, words.ends))
        self._offsets = CharacterOffsets(text)
        self.known = self._offsets.known

    def words(self, begin: int, count: int) -> list[str]:
        """Return some words, normalised."""
        pairs = zip(
            self._starts[begin : begin + count].tolist(), self._ends[begin : begin + count].tolist(), strict=True
        )
        return [self._normal[start:end] for start, end in pairs]

    def span(self, begin: int, count: int) -> Span:
        """Return where some words are."""
        start, end = self._offsets.span(int(self._starts[begin]), int(self._ends[begin + count - 1]))
        return start, end

    def cut(self, begin: int, count: int) -> Span:
        """Return the same with what goes with them, without touching other words."""
        start, end = self.span(begin, count)
        least = self.span(begin - 1, 1)[1] if begin else 0
        most = self.span(begin + count, 1)[0] if begin + count < len(self._starts) else len(self._text)
        start, end = max(start, least), min(end, most)
        before, behind = start, end
        while before > least and not self._text[before - 1].isspace():
            before -= 1
        while behind < most and not self._text[behind].isspace():
            behind += 1
        start = before if not before or self._text[before - 1].isspace() else start
        end = behind if behind == len(self._text) or self._text[behind].isspace() else end
        while end < most and self._text[end].isspace():
            end += 1
        return start, end


def grams_of(texts: Sequence[bytes], n: int) -> tuple[I64, U64, I64]:
    """Return the number of words of each text, (D,), and the key and first word of each n-gram, (G,)."""
    words = hash_words([text.decode() for text in texts])
    found = grams(words, n, short=False)
    return np.diff(words.bounds), found.keys, found.words


def without(text: str, cuts: Sequence[Span]) -> str:
    """Return a text without some spans, which may overlap; a space stays where words would touch.

    Nothing is left of a text without words.
    """
    left, at = "", 0
    for begin, end in [*sorted(cuts), (len(text), len(text))]:
        part = text[at:begin]
        left += " " * (left[-1:].isalnum() and part[:1].isalnum()) + part
        at = max(at, end)
    if max(end for _, end in cuts) == len(text):
        left = left.rstrip()
    return left if any(map(str.isalnum, left)) else ""


def _append(writers: Sequence[Writer], rows: U64, numbers: U8) -> None:
    """Append each row of two to the writer of its number."""
    order = np.argsort(numbers, kind="stable")
    borders = np.searchsorted(numbers[order], np.arange(PARTS + 1))
    rows = rows[order]
    for number, writer in enumerate(writers):
        own = rows[borders[number] : borders[number + 1]]
        if len(own):
            writer.append(own.ravel())
