"""A space of word vectors: what a checkpoint holds of it, who is near whom, analogies. Knows no files.

Shapes: V words, D numbers in a vector, N queries.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import chain
from typing import Any, NamedTuple

import numpy as np

from lmkit.checkpoint import Array, Checkpoint
from lmkit.digests import CheckedArray
from lmkit.errors import CheckpointError, DataError
from lmkit.protocols import F32, F64, I32, I64, Floats
from lmkit.tokenization import tokenizers
from lmkit.tokenization.normalization import KEEP, UNCHANGED, Normalization
from lmkit.tokenization.tokenizers import WordTokenizer
from lmkit.tokenization.vocabulary import NAMES, Vocabulary
from lmkit.tokenization.words import hash_words, split
from lmkit.word_vectors.subwords import Ngrams

SMALLEST = 1e-6
"""What keeps 3CosMul from dividing by nothing."""


TOGETHER = 16
"""Queries answered by one product; each takes V numbers of memory."""
ROWS = 1 << 12
"""Vectors that are looked at again at once."""


class Neighbour(NamedTuple):
    """A word and how near it is: a cosine, or what 3CosMul gives."""

    token: int
    score: float


class VectorQuery(NamedTuple):
    """Words that are asked for, and how they are known.

    ids      of each, -1 for one that the space made a vector for of its characters
    vectors  (N, D)
    made     the words of which that is so
    """

    ids: list[int]
    vectors: F64
    made: list[bytes]

    @classmethod
    def joined(cls, several: Sequence["VectorQuery"]) -> "VectorQuery":
        """All words of several."""
        ids, vectors, made = zip(*several, strict=True) if several else ((), (np.zeros((0, 0)),), ())
        return cls([*chain(*ids)], np.concatenate(vectors), [*chain(*made)])


class VectorSpace:
    """A vector for each word, and where they were learned together with another one for words as contexts.

    Ids are those of the tokenizer; `<unk>`, `<s>` and `</s>` have rows too, of zeros unless the space
    was read from a file that has such words. A row of zeros is no vector: it is near nothing.

    centre   (V, D) float32
    context  (V, D) float32, or none
    counts   (V,) how often each word was met, or none
    ngrams   vectors of n-grams of characters, which make those of other words, or none

    Of arrays that are checked where they are read, rows are taken by themselves where few are asked for.
    """

    kind = "w2v"

    def __init__(
        self, vocabulary: Vocabulary, centre: F32 | CheckedArray, context: F32 | CheckedArray | None = None,
        counts: I64 | CheckedArray | None = None,
        config: Mapping[str, Any] | None = None, norms: F32 | None = None, digest: str = "",
        ngrams: Ngrams | None = None, normalization: Normalization = UNCHANGED,
    ) -> None:  # fmt: skip
        self.tokenizer = WordTokenizer(vocabulary, normalization)
        self.ngrams = ngrams
        self._centre, self._context, self._counts = _checked(centre), _checked(context), _checked(counts)
        self.config = dict(config or {})
        self.digest = digest
        if norms is not None:
            self.norms = norms

    @property
    def centre(self) -> F32:
        """All vectors, (V, D)."""
        centre: F32 = self._centre.whole()
        return centre

    @property
    def context(self) -> F32 | None:
        """Those of words as contexts, (V, D)."""
        return None if self._context is None else self._context.whole()

    @property
    def counts(self) -> I64 | None:
        """How often each word was met, (V,)."""
        return None if self._counts is None else self._counts.whole()

    @cached_property
    def norms(self) -> F32:
        """Length of each centre vector, (V,)."""
        norms: F32 = np.empty(len(self.centre), dtype=np.float32)
        for start in range(0, len(norms), ROWS):
            rows = self.centre[start : start + ROWS].astype(np.float64)
            with np.errstate(over="ignore"):  # lengths beyond float32 are infinite
                norms[start : start + ROWS] = np.sqrt(np.vecdot(rows, rows))
        return norms

    def to_checkpoint(self, origin: Mapping[str, Any]) -> Checkpoint:
        """As a file's content."""
        arrays: dict[str, Array] = {"centre": self.centre, "norms": self.norms}
        arrays |= {
            name: array for name, array in (("context", self.context), ("counts", self.counts)) if array is not None
        }
        described = tokenizers.describe(self.tokenizer)
        config = {**self.config, "dim": self.centre.shape[1], "words": len(self.words())}
        if self.ngrams is not None:
            arrays |= self.ngrams.tensors()
            config |= self.ngrams.describe()
        return Checkpoint(self.kind, config, {**tokenizers.tensors(self.tokenizer), **arrays}, described, origin)

    @classmethod
    def from_checkpoint(cls, checkpoint: Checkpoint) -> "VectorSpace":
        """The inverse; arrays stay where they are. Raises CheckpointError."""
        tokenizer = tokenizers.load(checkpoint)
        if not isinstance(tokenizer, WordTokenizer):
            raise CheckpointError(f"damaged checkpoint: vectors of {tokenizer.kind}s, not of words")
        size = tokenizer.size
        centre = checkpoint.checked("centre", "F32", (size, None))

        def optional(name: str, dtype: str, shape: tuple[int | None, ...]) -> Any:
            return checkpoint.checked(name, dtype, shape) if name in checkpoint.tensors else None

        if not size or centre.shape[1] == 0:
            raise CheckpointError("damaged checkpoint: no vectors")
        return cls(
            tokenizer.vocabulary, centre, optional("context", "F32", centre.shape),
            optional("counts", "I64", (size,)), checkpoint.config,
            checkpoint.array("norms", "F32", (size,)), checkpoint.digest,
            Ngrams.load(checkpoint, centre.shape[1]) if "ngrams" in checkpoint.tensors else None,
            tokenizer.normalization,
        )  # fmt: skip

    # As an Embedding.

    def table(self) -> F32:
        """See `HasEmbeddings.table`."""
        return self.centre

    def vectors(self, ids: I32) -> F32:
        """See `HasEmbeddings.vectors`: those of the words, in any context."""
        vectors: F32 = self._centre[ids]
        return vectors

    # Words.

    def find(self, words: Sequence[bytes]) -> I32:
        """Ids of words as they are, or else of their normal forms; -1 for those without a vector.

        Phrases, which have `_` in them, are found before punctuation is looked at.
        """
        ids, normalization = self._listed(words), self.tokenizer.normalization
        for way in (replace(normalization, punctuation=KEEP), normalization) if normalization else ():
            missing = np.flatnonzero(ids < 0)
            ids[missing] = self._listed(_normal_words([words[place] for place in missing.tolist()], way))
        return ids

    def normal(self, word: bytes) -> bytes | None:
        """Return a word in normal form; None where that is no word, or several."""
        normalization = self.tokenizer.normalization
        return _normal_words([word], normalization)[0] or None if normalization else word

    def _listed(self, words: Sequence[bytes]) -> I32:
        """Ids of words as they are, -1 for those without a vector."""
        vocabulary = self.tokenizer.vocabulary
        ends = np.cumsum([len(word) for word in words], dtype=np.int64)
        starts = np.concatenate((np.zeros(1, dtype=np.int64), ends[:-1]))[: len(ends)]
        ids = vocabulary.find(hash_words(b"".join(words), starts, ends))
        same = [vocabulary.piece(token) == word for token, word in zip(ids.tolist(), words, strict=True)]
        return np.where(np.array(same, dtype=np.bool_) & (self.norms[ids] > 0), ids, -1).astype(np.int32)

    def known(self, words: Sequence[bytes]) -> I32:
        """Ids of words. Raises DataError that names those without a vector."""
        ids = self.find(words)
        _refuse([word for word, token in zip(words, ids.tolist(), strict=True) if token < 0])
        return ids

    def ask(self, words: Sequence[bytes]) -> VectorQuery:
        """Vectors of words, of unknown ones made of their n-grams. Raises DataError that names those without."""
        ids = self.find(words)
        vectors, missing = self._centre[ids].astype(np.float64), []
        unknown = np.flatnonzero(ids < 0).tolist()
        for place in unknown:
            made = self.vector_of(words[place])
            if made is None:
                missing.append(words[place])
            else:
                vectors[place] = made
        _refuse(missing)
        return VectorQuery(ids.tolist(), vectors, [words[place] for place in unknown])

    def vector_of(self, word: bytes) -> F64 | None:
        """The vector of any word, (D,): its own, or else one of its n-grams; None where there is neither."""
        (token,) = self.find([word]).tolist()
        if token >= 0:
            own: F64 = self._centre[token].astype(np.float64)
            return own
        normal = self.normal(word)
        return self.ngrams.vector(normal) if self.ngrams is not None and normal is not None else None

    def made(self, line: bytes) -> dict[int, tuple[bytes, F64]]:
        """Unknown words of a line that have a vector by their n-grams: word and vector by place among its tokens."""
        if self.ngrams is None:
            return {}
        found = split(self.tokenizer.normalization.apply(line))
        words = [word for word in found if word not in NAMES[1:]]  # as the tokenizer has them
        vectors = {word: self.vector_of(word) for word in set(words)}
        unknown = np.flatnonzero(self.find(words) < 0).tolist()
        return {place: (words[place], made) for place in unknown if (made := vectors[words[place]]) is not None}

    def words(self) -> I32:
        """Ids of all words that have a vector, special ones among them if they do, (V',)."""
        return np.flatnonzero(self.norms > 0).astype(np.int32)

    # Nearness.

    def units(self, ids: I32) -> F64:
        """Vectors of length one, (N,) to (N, D)."""
        return units(self._centre[ids])

    def cosines(self, queries: F64) -> F32:
        """Cosine of the angle between each query and each word, (N, D) to (N, V); -inf for words without a vector."""
        asked = units(queries).astype(np.float32)
        products: F32 = (self.centre @ asked[0])[None] if len(asked) == 1 else asked @ self.centre.T
        with np.errstate(divide="ignore", invalid="ignore"):
            products /= self.norms
        products[:, self.norms == 0] = -np.inf
        return products

    def similar(
        self, ids: Sequence[int], most: int, *, limit: int | None = None, vectors: Floats | None = None
    ) -> list[list[Neighbour]]:
        """The `most` words nearest to each of some words, themselves left out; ties by id.

        Their `vectors`, (N, D), are those of the space where none are given; an id below 0 leaves nothing out.
        With `limit` only the first so many words are looked at, special ones not counted. Cosines
        are compared in float32 and those that may be among the highest again in float64: an
        answer does not depend on how many are asked for at once.
        """
        answers = []
        for start in range(0, len(ids), TOGETHER):
            some = ids[start : start + TOGETHER]
            own = self._centre[list(some)] if vectors is None else vectors[start : start + TOGETHER]
            asked = units(own)
            for token, unit, row in zip(some, asked, self.cosines(asked), strict=True):
                answers.append(self._nearest(unit, row, [token], most, limit))
        return answers

    def analogy(
        self, positive: Sequence[int], negative: Sequence[int], most: int, *, multiply: bool = False,
        limit: int | None = None, vectors: Floats | None = None,
    ) -> list[Neighbour]:  # fmt: skip
        """What is to `positive` as nothing is to `negative`: 3CosAdd, Mikolov et al. (2013), or 3CosMul.

        3CosAdd is the cosine with the sum of unit vectors, negative ones subtracted; 3CosMul, Levy and Goldberg
        (2014), is prod (1 + cos(w, p)) / 2 over prod (1 + cos(w, n)) / 2 + 1e-6. Query words are left out;
        ties, `limit` and `vectors`, those of `positive` first, as in `similar`.
        """
        asked = [*positive, *negative]
        vectors = units(self._centre[asked] if vectors is None else vectors)
        count = len(positive)
        if not multiply:
            total = vectors[:count].sum(axis=0) - vectors[count:].sum(axis=0)
            (unit,) = units(total[None])
            return self._nearest(unit, self.cosines(unit[None])[0], asked, most, limit)

        def ratio(above: Floats, below: Floats) -> F64:
            """3CosMul of cosines with `positive` and `negative`, (P, N) and (M, N)."""
            halves = [(1 + np.clip(each.astype(np.float64), -1, 1)) / 2 for each in (above, below)]
            score: F64 = halves[0].prod(axis=0) / (halves[1].prod(axis=0) + SMALLEST)
            return score

        def exact(ids: I32) -> F64:
            cosines = np.vecdot(self.units(ids)[None], vectors[:, None])
            return ratio(cosines[:count], cosines[count:])

        rows, error = self.cosines(vectors), self._error
        low = ratio(rows[:count] - error, rows[count:] + error) * (1 - 1e-12)
        high = ratio(rows[:count] + error, rows[count:] - error) * (1 + 1e-12)
        high[self.norms == 0] = low[self.norms == 0] = -np.inf
        return self._best(low, high, exact, asked, most, limit)

    @property
    def _error(self) -> float:
        """How far a cosine in float32 may be off: D products are added, and lengths are rounded."""
        rounding = float(np.finfo(np.float32).eps)
        return (int(self._centre.shape[1]) + 8) * rounding

    def _nearest(self, unit: F64, row: F32, asked: Sequence[int], most: int, limit: int | None) -> list[Neighbour]:
        """The words of the highest exact cosines with a unit vector, (D,), given those in float32, (V,)."""

        def exact(ids: I32) -> F64:
            cosines: F64 = np.vecdot(self.units(ids), unit)
            return np.clip(cosines, -1, 1)

        return self._best(row - self._error, row + self._error, exact, asked, most, limit)

    def _best(
        self, low: Floats, high: Floats, exact: Callable[[I32], F64], asked: Sequence[int], most: int,
        limit: int | None,
    ) -> list[Neighbour]:  # fmt: skip
        """The highest of scores that are known to lie between `low` and `high`, (V,); both are changed."""
        own = [token for token in asked if token >= 0]
        low[own] = high[own] = -np.inf
        if limit is not None:
            low[limit + len(NAMES) :] = high[limit + len(NAMES) :] = -np.inf
        most = min(most, len(low))
        least = np.partition(low, len(low) - most)[len(low) - most]
        ids = np.flatnonzero((high >= least) & (high > -np.inf)).astype(np.int32)
        scores = np.concatenate([exact(ids[at : at + ROWS]) for at in range(0, len(ids), ROWS)] or [np.zeros(0)])
        best = np.argsort(-scores, kind="stable")[:most]
        return [Neighbour(int(ids[place]), float(scores[place])) for place in best]


def _normal_words(words: Sequence[bytes], normalization: Normalization) -> list[bytes]:
    """Return words in normal form; an empty one where that is no word, or several."""
    block = b"".join(b"\n" if b"\n" in word else word + b"\n" for word in words)
    found = map(split, normalization.apply(block).split(b"\n")[:-1])
    return [one[0] if len(one) == 1 else b"" for one in found]


def _checked(values: Array | CheckedArray | None) -> Any:
    return values if values is None or isinstance(values, CheckedArray) else CheckedArray(values)


def _refuse(missing: Sequence[bytes]) -> None:
    """Raises DataError that names words, if there are any."""
    if missing:
        raise DataError(f"no vector for {', '.join(repr(word.decode(errors='replace')) for word in missing)}")


def units(vectors: Floats) -> F64:
    """Vectors of length one, (N, D); those of zeros stay."""
    found = vectors.astype(np.float64)
    lengths = np.sqrt(np.vecdot(found, found))[:, None]
    found /= np.where(lengths > 0, lengths, 1)
    return found


def distance(one: Floats, other: Floats) -> float:
    """The Euclidean distance of two vectors, (D,)."""
    difference = one.astype(np.float64) - other.astype(np.float64)
    return float(np.sqrt(difference @ difference))


def cosine(one: Floats, other: Floats) -> float | None:
    """The cosine of the angle between two vectors, (D,); None where one of them is zero."""
    lengths = float(np.sqrt(np.vecdot(one, one, dtype=np.float64) * np.vecdot(other, other, dtype=np.float64)))
    if not lengths:
        return None
    return min(1.0, max(-1.0, float(np.vecdot(one, other, dtype=np.float64)) / lengths))
