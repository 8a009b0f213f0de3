"""Exact search among the vectors of texts by the cosine of angles. Knows no files.

S texts, Q queries, D numbers of a vector.
"""

from typing import NamedTuple

import numpy as np

from lmkit.protocols import F32, F64, Floats

TOGETHER = 1 << 22  # scores that are made at once


class Found(NamedTuple):
    """A text by its place, from 0, and its score."""

    place: int
    score: float


def unit_rows(vectors: Floats) -> F32:
    """Rows divided by their lengths, (S, D); rows of zeros stay."""
    lengths = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    made: F32 = (vectors / np.where(lengths > 0, lengths, 1)).astype(np.float32)
    return made


def nearest(units: F32, queries: F64, top: int) -> list[list[Found]]:
    """The `top` rows of `units`, (S, D), nearest to each query, (Q, D), best first, of equals the first.

    Rows of zeros, which are texts without a vector, are never found.
    """
    there = units.any(axis=1)
    lengths = np.linalg.norm(queries, axis=1, keepdims=True)
    asked = (queries / np.where(lengths > 0, lengths, 1)).astype(np.float32)
    step = max(1, TOGETHER // max(1, len(units)))
    found: list[list[Found]] = []
    for begin in range(0, len(asked), step):
        for scores in asked[begin : begin + step] @ units.T:
            scores = np.where(there, scores, -np.inf)
            most = min(top, int(there.sum()))
            least = np.partition(scores, len(scores) - most)[len(scores) - most] if most else np.inf
            places = np.flatnonzero(scores >= least)
            places = places[np.argsort(-scores[places], kind="stable")][:most]
            found.append([Found(int(place), float(min(1.0, scores[place]))) for place in places])
    return found
