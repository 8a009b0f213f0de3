"""A space of word vectors: what a checkpoint holds of it, who is near whom, analogies. Knows no files.

Shapes: V words, D numbers in a vector, N queries.
"""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from lmkit.checkpoint import Array, Checkpoint
from lmkit.errors import CheckpointError, DataError
from lmkit.protocols import F32, F64, I32, I64
from lmkit.text import tokenizers
from lmkit.text.tokenizers import WordTokenizer
from lmkit.text.vocabulary import Vocabulary
from lmkit.text.words import hash_words

SMALLEST = 1e-6
"""What keeps 3CosMul from dividing by nothing."""


class Neighbour(NamedTuple):
    """A word and how near it is: a cosine, or what 3CosMul gives."""

    token: int
    score: float


class VectorSpace:
    """A vector for each word, and where they were learned together with another one for words as contexts.

    Ids are those of the tokenizer; `<unk>`, `<s>` and `</s>` have rows too, of zeros unless the space
    was read from a file that has such words. A row of zeros is no vector: it is near nothing.

    centre   (V, D) float32
    context  (V, D) float32, or none
    counts   (V,) how often each word was met, or none
    """

    kind = "w2v"

    def __init__(
        self, vocabulary: Vocabulary, centre: F32, context: F32 | None = None, counts: I64 | None = None,
        config: Mapping[str, Any] | None = None, norms: F32 | None = None, digest: str = "",
    ) -> None:  # fmt: skip
        self.tokenizer = WordTokenizer(vocabulary)
        self.centre, self.context, self.counts = centre, context, counts
        self.config = dict(config or {})
        self.digest = digest
        if norms is not None:
            self.norms = norms

    @cached_property
    def norms(self) -> F32:
        """Length of each centre vector, (V,)."""
        norms: F32 = np.sqrt(np.vecdot(self.centre, self.centre, dtype=np.float64)).astype(np.float32)
        return norms

    def to_checkpoint(self, origin: Mapping[str, Any]) -> Checkpoint:
        """As a file's content."""
        arrays: dict[str, Array] = {"centre": self.centre, "norms": self.norms}
        arrays |= {
            name: array for name, array in (("context", self.context), ("counts", self.counts)) if array is not None
        }
        described = tokenizers.describe(self.tokenizer)
        return Checkpoint(self.kind, self.config, {**tokenizers.tensors(self.tokenizer), **arrays}, described, origin)

    @classmethod
    def from_checkpoint(cls, checkpoint: Checkpoint) -> "VectorSpace":
        """The inverse; arrays stay where they are. Raises CheckpointError."""
        tokenizer = tokenizers.load(checkpoint)
        if not isinstance(tokenizer, WordTokenizer):
            raise CheckpointError(f"damaged checkpoint: vectors of {tokenizer.kind}s, not of words")
        size = tokenizer.size
        centre = checkpoint.array("centre", "F32", (size, None))

        def optional(name: str, dtype: str, shape: tuple[int | None, ...]) -> Any:
            return checkpoint.array(name, dtype, shape) if name in checkpoint.tensors else None

        return cls(
            tokenizer.vocabulary, centre, optional("context", "F32", centre.shape),
            optional("counts", "I64", (size,)), checkpoint.config,
            checkpoint.array("norms", "F32", (size,)), checkpoint.digest,
        )  # fmt: skip

    # As an Embedding.

    def table(self) -> F32:
        """See `Embedding.table`."""
        return self.centre

    def vectors(self, ids: I32) -> F32:
        """See `Embedding.vectors`: those of the words, whatever stands beside them."""
        return self.centre[ids]

    # Words.

    def find(self, words: Sequence[bytes]) -> I32:
        """Ids of words, -1 for those without a vector."""
        vocabulary = self.tokenizer.vocabulary
        ends = np.cumsum([len(word) for word in words], dtype=np.int64)
        starts = np.concatenate((np.zeros(1, dtype=np.int64), ends[:-1]))[: len(ends)]
        ids = vocabulary.find(hash_words(b"".join(words), starts, ends))
        same = [vocabulary.piece(token) == word for token, word in zip(ids.tolist(), words, strict=True)]
        return np.where(np.array(same, dtype=np.bool_) & (self.norms[ids] > 0), ids, -1).astype(np.int32)

    def known(self, words: Sequence[bytes]) -> I32:
        """Ids of words. Raises DataError that names those without a vector."""
        ids = self.find(words)
        missing = [word.decode(errors="replace") for word, token in zip(words, ids.tolist(), strict=True) if token < 0]
        if missing:
            raise DataError(f"no vector for {', '.join(map(repr, missing))}")
        return ids

    def words(self) -> I32:
        """Ids of all words that have a vector, special ones among them if they do, (V',)."""
        return np.flatnonzero(self.norms > 0).astype(np.int32)

    # Nearness.

    def units(self, ids: I32) -> F64:
        """Vectors of length one, (N,) to (N, D)."""
        vectors: F64 = self.centre[ids].astype(np.float64)
        vectors /= np.sqrt(np.vecdot(vectors, vectors))[..., None]
        return vectors

    def cosines(self, queries: F64) -> F32:
        """Cosine of the angle between each query and each word, (N, D) to (N, V); -inf for words without a vector."""
        lengths = np.sqrt(np.vecdot(queries, queries))[:, None]
        units = (queries / np.where(lengths > 0, lengths, 1)).astype(np.float32)
        products: F32 = (self.centre @ units[0])[None] if len(units) == 1 else units @ self.centre.T
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(self.norms > 0, products / self.norms, -np.inf)

    def similar(self, ids: Sequence[int], most: int, *, limit: int | None = None) -> list[list[Neighbour]]:
        """The `most` words nearest to each of some words, themselves left out; of the first `limit` words, if given."""
        scores = self.cosines(self.units(np.array(ids, dtype=np.int32)))
        return [nearest(row[:limit], [token], most) for row, token in zip(scores, ids, strict=True)]

    def analogy(
        self, positive: Sequence[int], negative: Sequence[int], most: int, *, multiply: bool = False,
        limit: int | None = None,
    ) -> list[Neighbour]:  # fmt: skip
        """What is to `positive` as nothing is to `negative`: 3CosAdd, Mikolov et al. (2013), or 3CosMul.

        3CosAdd is the cosine with the sum of unit vectors, negative ones subtracted; 3CosMul, Levy and Goldberg
        (2014), is prod (1 + cos(w, p)) / 2 over prod (1 + cos(w, n)) / 2 + 1e-6. Query words are left out.
        """
        asked = [*positive, *negative]
        units = self.units(np.array(asked, dtype=np.int32))
        if not multiply:
            signs = np.array([1.0] * len(positive) + [-1.0] * len(negative))
            return nearest(self.cosines((signs @ units)[None])[0, :limit], asked, most)
        halves = (1 + self.cosines(units).astype(np.float64)) / 2
        scores = halves[: len(positive)].prod(axis=0) / (halves[len(positive) :].prod(axis=0) + SMALLEST)
        scores[self.norms == 0] = -np.inf
        return nearest(scores[:limit], asked, most)


def nearest(scores: Any, excluded: Sequence[int], most: int) -> list[Neighbour]:
    """The highest scores, (V,), and whose they are, some words left out; ties by id."""
    scores = scores.copy()
    scores[[token for token in excluded if token < len(scores)]] = -np.inf
    most = min(most, len(scores))
    if not most:
        return []
    threshold = np.partition(scores, len(scores) - most)[len(scores) - most]
    best = np.flatnonzero(scores >= threshold)
    best = best[np.argsort(-scores[best], kind="stable")][:most]
    return [Neighbour(int(token), float(scores[token])) for token in best if scores[token] > -np.inf]
