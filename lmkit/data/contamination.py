"""Overlap between a corpus and test items: word n-grams that both have, found by hashes. Knows no files.

Words and their normalisation are those of `lmkit.data.word_hashes`. Brown et al. 2020 (GPT-3, appendix C) use n = 13.

Shapes: I items, G n-grams of items, W words of all items.
"""

from collections.abc import Iterator, Sequence
from copy import copy
from dataclasses import dataclass

import numpy as np

from lmkit.data.character_offsets import CharacterOffsets
from lmkit.data.key_set import KeySet
from lmkit.data.word_hashes import HashedWords, grams, hash_words, normalized
from lmkit.protocols import I64, U64

Spans = list[list[int]]


@dataclass(frozen=True)
class Match:
    """N-grams that a text shares with an item."""

    text: int
    """The number of the text among those that were looked at together."""
    item: int
    spans: Spans
    """Where they are in the text, in characters: beginning and end of each stretch."""
    item_spans: Spans
    """Where they are in the item."""
    overlap: float
    """The share of the item's words in them."""


class ItemIndex:
    """The n-grams of test items."""

    def __init__(self, texts: Sequence[str], n: int, least: int, most_items: int) -> None:
        """`least`: items of fewer than n words, but so many, are looked for as wholes.

        `most_items`: n-grams in more items are boilerplate, which is no overlap.
        """
        self.n, self._texts = n, list(texts)
        words = hash_words(texts)
        self.sizes = np.diff(words.bounds)
        self._words = words
        found = grams(words, n, short=True)
        looked_for = self.sizes[found.owners] >= min(least, n)
        keys = found.keys[looked_for]
        order = np.argsort(keys, kind="stable")
        self._keys: U64 = keys[order]
        self._owners: I64 = found.owners[looked_for][order]
        self._places: I64 = found.words[looked_for][order]
        self.short = int(np.count_nonzero(self.sizes < min(least, n)))
        """The number of items that are too short to be looked for."""
        self._lengths = sorted({*self.sizes[(self.sizes >= least) & (self.sizes < n)].tolist(), n} - {0})
        self._drop_boilerplate(most_items)
        self._set = KeySet()
        self._set.add(self._keys)
        self.covered = np.zeros(len(words.hashes), dtype=np.bool_)
        """Which words of items, (W,), were found in any text."""

    def unused(self) -> "ItemIndex":
        """The same items, none of which was found yet."""
        index = copy(self)
        index.covered = np.zeros_like(self.covered)
        return index

    def _drop_boilerplate(self, most_items: int) -> None:
        """Leave out n-grams of many items; keep where each is, for a report."""
        new = np.concatenate(([True], self._keys[1:] != self._keys[:-1]))[: len(self._keys)]
        first, inverse = np.flatnonzero(new), np.cumsum(new) - 1
        new[1:] |= self._owners[1:] != self._owners[:-1]  # owners of equal keys are in order
        items = np.bincount(inverse[new], minlength=len(first))
        many = items > most_items
        self.boilerplate = [
            (self._text_of(int(self._owners[at]), int(self._places[at])), int(items[gram]))
            for gram, at in zip(np.flatnonzero(many).tolist(), first[many].tolist(), strict=True)
        ]
        """The texts of n-grams that occur in many items, and in how many."""
        kept = ~many[inverse]
        self._keys, self._owners, self._places = self._keys[kept], self._owners[kept], self._places[kept]

    def _text_of(self, item: int, first: int) -> str:
        last = min(first + self.n, int(self._words.bounds[item + 1])) - 1
        own = normalized(self._texts[item])
        offset = int(self._words.offsets[item])
        return own[int(self._words.starts[first]) - offset : int(self._words.ends[last]) - offset]

    def matches(self, texts: Sequence[str]) -> Iterator[Match]:
        """Yield the overlaps of texts with items, text by text, and remember what was found of each item."""
        words = hash_words(texts)
        hits: dict[tuple[int, int], list[tuple[int, int, int]]] = {}
        for length in self._lengths:
            found = grams(words, length, short=False)
            there = np.flatnonzero(self._set.contains(found.keys))
            begins = np.searchsorted(self._keys, found.keys[there])
            ends = np.searchsorted(self._keys, found.keys[there], side="right")
            for at, begin, end in zip(there.tolist(), begins.tolist(), ends.tolist(), strict=True):
                text, word = int(found.owners[at]), int(found.words[at])
                for row in range(begin, end):
                    pair = (text, int(self._owners[row]))
                    hits.setdefault(pair, []).append((word, int(self._places[row]), length))
        maps: dict[int, CharacterOffsets] = {}
        for (text, item), own in sorted(hits.items()):
            for _, place, length in own:
                self.covered[place : place + length] = True
            if text not in maps:
                maps = {text: CharacterOffsets(texts[text])}  # texts come in order
            spans = _spans(words, [(word, word + length) for word, _, length in own], text, maps[text])
            ranges = _merged([(place, place + length) for _, place, length in own])
            item_spans = _spans(self._words, ranges, item, CharacterOffsets(self._texts[item]))
            covered = sum(end - begin for begin, end in ranges)
            yield Match(text, item, spans, item_spans, covered / int(self.sizes[item]))

    def overlaps(self) -> list[float]:
        """Return the share of the words of each item that were found in all texts together, (I,)."""
        counts = np.concatenate(([0], np.cumsum(self.covered)))[self._words.bounds]
        found: list[float] = (np.diff(counts) / np.maximum(1, self.sizes)).tolist()
        return found


def _merged(ranges: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return ranges in order, those that overlap or touch made one."""
    found: list[tuple[int, int]] = []
    for begin, end in sorted(ranges):
        if found and begin <= found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((begin, end))
    return found


def _spans(words: HashedWords, ranges: Sequence[tuple[int, int]], text: int, offsets: CharacterOffsets) -> Spans:
    """Return ranges of words as spans of characters of the text as it was given."""
    first = int(words.offsets[text])
    return [
        offsets.span(int(words.starts[begin]) - first, int(words.ends[end - 1]) - first)
        for begin, end in _merged(ranges)
    ]
