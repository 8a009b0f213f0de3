"""Vectors of texts, by any model that has vectors, or by counting. Knows no files.

Shapes: N tokens, V vocabulary, D numbers of a vector.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from lmkit.data.sequences import encode_prompt
from lmkit.errors import CheckpointError
from lmkit.evaluation.sentence_vectors import TRUNCATE, SentencePooling, sentence_vectors
from lmkit.protocols import F32, F64, I32, I64, Encoder, Floats, HasEmbeddings, SequenceFormat, is_encoder
from lmkit.tokenization.words import split

POOLS = ("mean", "last")


def token_vectors(model: HasEmbeddings, ids: I32, *, static: bool) -> F32:
    """The vector of each token in context, or, `static`, its row of the embedding matrix, (N,) to (N, D).

    Raises CheckpointError where weights give no numbers.
    """
    found = model.table()[ids] if static else model.vectors(ids)
    if not np.isfinite(found).all():
        raise CheckpointError("damaged checkpoint: its weights give no vectors")
    return found


class LineVectors(NamedTuple):
    """The N tokens of a line and their vectors, (N, D)."""

    ids: I32
    vectors: F32
    spelled: Mapping[int, bytes]
    """Words that the model has no id for, by their places."""


class TokenVectors:
    """The vectors of the tokens of lines, as `token_vectors` has them; unknown words may have some by their n-grams."""

    def __init__(self, model: HasEmbeddings, *, static: bool) -> None:
        self._model, self._static = model, static
        self._made = getattr(model, "made", None)
        self.made: dict[bytes, None] = {}
        """The unknown words that were met, in order."""

    def of_line(self, line: bytes) -> LineVectors:
        """Return the tokens of a line. Raises CheckpointError as `token_vectors` does."""
        ids = self._model.tokenizer.encode(line)
        vectors = token_vectors(self._model, ids, static=self._static)
        made = self._made(line) if self._made is not None else {}
        for place, (word, vector) in made.items():
            vectors[place] = vector
            self.made[word] = None
        return LineVectors(ids, vectors, {place: word for place, (word, _) in made.items()})


def pooled(vectors: Floats, pool: str) -> F64 | None:
    """One vector for several, their `mean` or the `last`, (N, D) to (D,); None where there are none.

    Rows of zeros, which words have that a space of word vectors lacks, are none.
    """
    vectors = vectors[vectors.any(axis=1)]
    if not len(vectors):
        return None
    single: F64 = vectors[-1].astype(np.float64) if pool == "last" else vectors.mean(axis=0, dtype=np.float64)
    return single


def bag(ids: I32, size: int) -> I64:
    """How often each token of a vocabulary occurs, (N,) to (V,)."""
    return np.bincount(ids, minlength=size)


def bags_of_words(lines: Sequence[bytes]) -> Iterator[I64]:
    """How often each distinct word of some lines, in order of their bytes, occurs in each line."""
    words = sorted({word for line in lines for word in split(line)})
    places = {word: place for place, word in enumerate(words)}
    for line in lines:
        yield bag(np.array([places[word] for word in split(line)], dtype=np.int32), len(words))


def cosine(one: Floats, other: Floats) -> float:
    """u v / (|u| |v|) of two vectors, (D,); 0 where one of them is 0, of which no angle is known."""
    one, other = one.astype(np.float64), other.astype(np.float64)
    lengths = math.sqrt(float(one @ one) * float(other @ other))
    return min(1.0, max(-1.0, float(one @ other) / lengths)) if lengths else 0.0


def text_vector(model: HasEmbeddings | Encoder, text: str) -> F64 | None:
    """The mean of the vectors of a text's tokens where they stand, (D,); None for a text of none.

    Line ends are read as the model reads them, and as spaces where it reads single lines. An encoder pools as its
    makers say, the beginning of a text that is too long.
    """
    if is_encoder(model):
        ids = model.tokenizer.encode(text.replace("\n", " ").encode())
        how = SentencePooling(*model.sentence_pooling, long=TRUNCATE)
        (vector,) = sentence_vectors(model, ids, np.array([len(ids)]), how)
        return None if vector is None else vector.astype(np.float64)
    form: SequenceFormat | None = getattr(model, "form", None)
    if form is None or not form.multiline:
        ids = model.tokenizer.encode(text.replace("\n", " ").encode())
    else:
        ids = encode_prompt(model.tokenizer, form, text.encode())
    return pooled(token_vectors(model, ids, static=False), "mean") if len(ids) else None
