"""Words and their vectors in the order of a file, and how that order lives on in a space whose ids begin with `<unk>`.

Shapes: V words, D numbers in a vector.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lmkit.protocols import F32, I32
from lmkit.tokenization.vocabulary import NAMES, Vocabulary
from lmkit.word_vectors.vector_space import VectorSpace

PLACES = "special_places"
"""The setting that says which words, from 0, a file's `<unk>`, `<s>` and `</s>` were; they have ids of their own."""


class WordOrder:
    """Words gathered in order; of a word met twice the first vector is kept.

    words       how many were kept
    duplicates  how many were not
    duplicate   the first of these, or none
    replaced    how many invalid bytes of words were replaced, for a reader to count
    """

    def __init__(self, width: int) -> None:
        self._seen: set[bytes] = set()
        self._pieces: list[bytes] = list(NAMES)
        self._rows: F32 = np.zeros((len(NAMES), width), dtype=np.float32)
        self._places: dict[str, int] = {}
        self.words = self.duplicates = self.replaced = 0
        self.duplicate: bytes | None = None

    def add(self, words: Sequence[bytes], vectors: F32) -> None:
        """The next words and their vectors, (N, D)."""
        fresh = set(words)
        if len(fresh) < len(words) or not fresh.isdisjoint(self._seen) or not fresh.isdisjoint(NAMES):
            kept = [index for index, word in enumerate(words) if self._keeps(word, vectors[index])]
            words, vectors = [words[index] for index in kept], vectors[kept]
        else:
            self._seen |= fresh
            self.words += len(fresh)
        self._pieces += words
        before = len(self._rows)
        self._rows.resize((before + len(words), self._rows.shape[1]), refcheck=False)  # in place, where memory allows
        self._rows[before:] = vectors

    def _keeps(self, word: bytes, vector: F32) -> bool:
        """Whether a word gets a row after the others: no duplicate does, and no special word, which has one."""
        if word in self._seen:
            self.duplicates += 1
            self.duplicate = word if self.duplicate is None else self.duplicate
            return False
        self._seen.add(word)
        self.words += 1
        if word not in NAMES:
            return True
        self._places[word.decode()] = self.words - 1
        self._rows[NAMES.index(word)] = vector
        return False

    def space(self) -> VectorSpace:
        """All that was gathered; nothing can be added after."""
        config: Mapping[str, Any] = {PLACES: self._places} if self._places else {}
        return VectorSpace(Vocabulary.of(self._pieces), self._rows, config=config)


def listed(space: VectorSpace) -> I32:
    """Ids of a space's words in the order of the file it was read from, (V,).

    Where it was read from none: special words that have vectors, then all others by id.
    """
    others = np.arange(len(NAMES), space.tokenizer.size, dtype=np.int32)
    places = space.config.get(PLACES)
    if not isinstance(places, Mapping):
        places = {name.decode(): 0 for name in reversed(NAMES) if space.norms[NAMES.index(name)] > 0}
    for name, place in sorted(places.items(), key=lambda item: item[1]):
        others = np.insert(others, min(place, len(others)), NAMES.index(name.encode()))
    return others
