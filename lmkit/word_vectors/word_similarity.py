"""Pairs of words that people found more or less alike, against the cosines of a space. Knows no files.

Shapes: P pairs.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from lmkit.correlation import pearson, spearman
from lmkit.protocols import F64
from lmkit.tokenization.words import split
from lmkit.word_vectors.vector_space import VectorSpace, units
from lmkit.word_vectors.word_lookup import spellings


class Pair(NamedTuple):
    """Two words, and how alike they are to people."""

    word: bytes
    other: bytes
    score: float


class Judgement(NamedTuple):
    """How well cosines follow people's scores, over the pairs of known words; how many others there were.

    `made` are words that are known only by their n-grams of characters.
    """

    spearman: float | None
    pearson: float | None
    pairs: int
    unknown: int
    made: Sequence[bytes] = ()


def fields(line: bytes) -> list[bytes]:
    """What a line has between tabs, or if there is none between commas, or else between spaces."""
    for separator in (b"\t", b","):
        if separator in line:
            return [field.strip() for field in line.split(separator)]
    return split(line)


def parse(line: bytes) -> Pair | None:
    """Two words and the first number behind them; None for an empty line or a `#` comment.

    Raises ValueError for anything else, such as a header.
    """
    words = fields(line)
    if not any(words) or line.startswith(b"#"):
        return None
    if len(words) > 2 and all(words[:2]):
        for field in words[2:]:
            score = number(field)
            if score is not None:
                return Pair(words[0], words[1], score)
    raise ValueError("expected two words and a number")


def number(field: bytes) -> float | None:
    """A finite number, if it is one."""
    try:
        value = math.nan if b"_" in field else float(field)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def judge(space: VectorSpace, pairs: Sequence[Pair], *, limit: int | None = None, fold: bool = True) -> Judgement:
    """Correlations of people's scores with cosines, over pairs whose words are among the first `limit`.

    Words that the space lacks have vectors by their n-grams where it has these. For `fold` see `spellings`.
    """
    words = list(dict.fromkeys(word for pair in pairs for word in pair[:2]))
    known = spellings(space, words, limit, fold=fold)
    vectors = {word: space.centre[ids[0]].astype(np.float64) for word, ids in known.items()}
    made = _made(space, [word for word in words if word not in known], limit, fold=fold)
    vectors |= made
    asked = [pair for pair in pairs if pair.word in vectors and pair.other in vectors]
    shape = (len(asked), space.centre.shape[1])
    sides = [pair.word for pair in asked], [pair.other for pair in asked]
    ones, others = (units(np.array([vectors[word] for word in side]).reshape(shape)) for side in sides)
    scores, cosines = np.array([pair.score for pair in asked]), np.vecdot(ones, others)
    found, left = len(asked), len(pairs) - len(asked)
    return Judgement(spearman(scores, cosines), pearson(scores, cosines), found, left, tuple(made))


def _made(space: VectorSpace, words: Sequence[bytes], limit: int | None, *, fold: bool) -> dict[bytes, F64]:
    """Vectors of those words that the whole space lacks, made of n-grams where it has any."""
    if space.ngrams is None:
        return {}
    beyond = spellings(space, words, None, fold=fold) if limit is not None else {}
    found = {word: space.vector_of(word) for word in words if word not in beyond}
    return {word: vector for word, vector in found.items() if vector is not None}
