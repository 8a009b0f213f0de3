"""Word vectors from Python: neighbours and analogies."""

import os
from collections.abc import Sequence
from typing import Any, Self

from lmkit.commands.w2v import query_words
from lmkit.errors import DataError, UsageError
from lmkit.interface.arguments import Name, bytes_of, checked
from lmkit.interface.opened import Opened
from lmkit.interface.results import Neighbour
from lmkit.interface.session import session
from lmkit.protocols import F64
from lmkit.word_vectors.vector_space import VectorQuery, VectorSpace, cosine


class WordVectors(Opened):
    """Vectors of words; neighbours are exact, as those of `lmkit w2v similar`."""

    def __init__(self, name: str, space: VectorSpace) -> None:
        super().__init__(name, space.kind)
        self._space = space

    @classmethod
    def load(cls, name: Name) -> Self:
        """Return the word vectors of a checkpoint. Raises LmkitError where there are none."""
        path = os.fspath(name)
        with session():
            return cls(path, query_words.open_space(path))

    def __len__(self) -> int:
        """Number of words that have a vector."""
        return len(self._space.words())

    def __contains__(self, word: str) -> bool:
        """Whether a word has a vector, its own or one of its character n-grams."""
        with session():
            return self._space.vector_of(bytes_of(word)) is not None

    def vector(self, word: str) -> F64:
        """Return the vector of a word, (D,). Raises DataError where it has none."""
        with session():
            vector: F64 = self._ask([word]).vectors[0]
            return vector

    def similarity(self, first: str, second: str) -> float:
        """Return the cosine of two words' vectors. Raises DataError for a word without one."""
        with session():
            found = cosine(*self._ask([first, second]).vectors)
            if found is None:
                raise DataError(f"a vector of zeros: {first!r} or {second!r}")
            return found

    def similar(self, word: str, *, top: int = 10, limit: int | None = None) -> list[Neighbour]:
        """Return the nearest neighbours of a word, by cosine. Raises DataError for a word without a vector.

        `limit` restricts answers to the first words of the vocabulary.
        """
        checked("top", top, query_words.Top)
        checked("limit", limit, query_words.Limit)
        with session():
            asked = self._ask([word])
            (found,) = self._space.similar(asked.ids, top, limit=limit, vectors=asked.vectors)
            return self._neighbours(found)

    def analogy(
        self, a: str | None = None, b: str | None = None, c: str | None = None, *,
        positive: Sequence[str] = (), negative: Sequence[str] = (), method: str = "cosadd", top: int = 10,
        limit: int | None = None,
    ) -> list[Neighbour]:  # fmt: skip
        """Return the words D for which A is to B as C is to D, or nearest to `positive` without `negative` words.

        `method`: `cosadd` (3CosAdd) or `cosmul` (3CosMul). Raises DataError for a word without a vector, UsageError
        for half a query.
        """
        checked("method", method, query_words.Method)
        checked("top", top, query_words.Top)
        checked("limit", limit, query_words.Limit)
        words = [word for word in (a, b, c) if word is not None]
        if (len(words) == 3) == bool(positive or negative) or len(words) in (1, 2):
            raise UsageError("an analogy takes three words, or positive and negative ones")
        if words:
            positive, negative = words[1:], words[:1]
        with session():
            asked = self._ask([*positive, *negative])
            count = len(positive)
            found = self._space.analogy(
                asked.ids[:count], asked.ids[count:], top, multiply=method == "cosmul", limit=limit,
                vectors=asked.vectors,
            )  # fmt: skip
            return self._neighbours(found)

    def _ask(self, words: Sequence[str]) -> VectorQuery:
        return self._space.ask([bytes_of(word) for word in words])

    def _neighbours(self, found: Sequence[Any]) -> list[Neighbour]:
        piece = self._space.tokenizer.piece
        return [Neighbour(piece(each.token).decode(errors="replace"), each.score) for each in found]
