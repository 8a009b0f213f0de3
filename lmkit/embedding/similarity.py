"""Pairs of words that people found more or less alike, against the cosines of a space. Knows no files.

Shapes: P pairs.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from lmkit.correlation import pearson, spearman
from lmkit.embedding.space import VectorSpace
from lmkit.embedding.spellings import spellings
from lmkit.text.words import split


class Pair(NamedTuple):
    """Two words, and how alike they are to people."""

    word: bytes
    other: bytes
    score: float


class Judgement(NamedTuple):
    """How well cosines follow people's scores, over the pairs of known words; how many others there were."""

    spearman: float | None
    pearson: float | None
    pairs: int
    unknown: int


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
    """Correlations of people's scores with cosines, over pairs whose words are among the first `limit`; see `fold`."""
    known = spellings(space, (word for pair in pairs for word in pair[:2]), limit, fold=fold)
    asked = [pair for pair in pairs if pair.word in known and pair.other in known]
    sides = [pair.word for pair in asked], [pair.other for pair in asked]
    ones, others = (space.units(np.array([known[word][0] for word in side], dtype=np.int32)) for side in sides)
    scores, cosines = np.array([pair.score for pair in asked]), np.vecdot(ones, others)
    return Judgement(spearman(scores, cosines), pearson(scores, cosines), len(asked), len(pairs) - len(asked))
