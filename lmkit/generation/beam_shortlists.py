"""The continuations of a step that a search may keep: of all tokens the few that can be among the best of a row.

Where the K best continuations of several rows are wanted, none of a row counts that is below the K-th of the row's own:
that row alone has K better ones. So a search looks at the tokens that any of its rows has among its first K, and at all
tokens only where it finds that it needs more.

Shapes: R rows, V vocabulary, C tokens looked at.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from lmkit.protocols import F64, I64, Floats

BLOCK = 128
SLACK = 1e-3
"""Nats by which bounds may be off, as they are of float32."""


class Continuations(NamedTuple):
    """What may follow each row.

    tokens  (C,), rising
    logs    log-probabilities of these, (R, C)
    errors  how far they may be off, (R,)
    sure    how many of the best continuations of any rows are surely among them
    full    log-probabilities of all tokens, (R, V)
    """

    tokens: I64
    logs: F64
    errors: F64
    sure: int
    full: Floats

    @property
    def is_complete(self) -> bool:
        """Whether all tokens are looked at."""
        return len(self.tokens) == int(self.full.shape[1])

    def complete(self) -> "Continuations":
        """The same with all tokens."""
        return complete(self.full, self.errors)


def complete(logs: Floats, errors: F64) -> Continuations:
    """All tokens of rows, (R, V), given their errors, (R,)."""
    return Continuations(np.arange(logs.shape[1]), logs.astype(np.float64), errors, logs.size, logs)


def in_reach(logs: Floats, count: int, margins: F64) -> Any:
    """Which tokens may be among the first `count` of their rows, or within a margin, (R,), of these: (R, V).

    The count-th highest of the maxima of blocks is no higher than the count-th of all.
    """
    rows, size = logs.shape
    width = min(BLOCK, size // (4 * count))
    if width < 2:
        if count >= size:
            return np.ones(logs.shape, dtype=np.bool_)
        bounds = np.partition(logs, size - count, axis=1)[:, size - count]
    else:
        blocks = size // width
        maxima = logs[:, : blocks * width].reshape(rows, width, blocks).max(axis=1)
        bounds = np.partition(maxima, blocks - count, axis=1)[:, blocks - count]
    return logs >= (bounds - margins - SLACK).astype(logs.dtype)[:, None]


def shortlist(logs: Floats, reach: Any, errors: F64, sure: int) -> Continuations:
    """The tokens that are in reach of one of some rows, (R, V) of each."""
    tokens = np.flatnonzero(reach.any(axis=0))
    return Continuations(tokens, logs[:, tokens].astype(np.float64), errors, sure, logs)


class Leader(NamedTuple):
    """A continuation: its row, its token, and the nats of the text with it."""

    row: int
    token: int
    nats: float


class Ranking(NamedTuple):
    """Continuations of a search, best first, ties by row and token: of each its row, its token, and nats."""

    rows: list[int]
    tokens: list[int]
    nats: list[float]

    def best_of(self, row: int) -> tuple[Leader, float]:
        """The best of a row, and by how much it is better than the next one."""
        first = self.rows.index(row)
        second = self.rows.index(row, first + 1)
        return Leader(row, self.tokens[first], self.nats[first]), self.nats[first] - self.nats[second]

    def kept(self, rows: int, width: int, ends: Sequence[int], doubt: float) -> list[Leader] | None:
        """What a search of some width keeps of the continuations of its first `rows` rows, best first.

        Those that end among the best, and the best that do not. None where these are not plain: where two on both sides
        of a cut are nearer than `doubt`, or where more would have to be known.
        """
        kept: list[Leader] = []
        nats: list[float] = []
        going: list[float] = []
        for row, token, total in zip(*self, strict=True):
            if row >= rows:
                continue
            nats.append(total)
            if token in ends:
                if len(nats) <= width:
                    kept.append(Leader(row, token, total))
                continue
            going.append(total)
            if len(going) <= width:
                kept.append(Leader(row, token, total))
            elif len(nats) > 2 * width:
                break
        if len(going) <= width or not going[width - 1] - going[width] > doubt or nats[-1] == -np.inf:
            return None
        plain = len(going) == len(nats) or nats[width - 1] - nats[width] > doubt
        return kept if plain else None


class Leaders:
    """The continuations in reach of several searches."""

    def __init__(self, columns: Ranking, bounds: Sequence[int]) -> None:
        self._columns, self._bounds = columns, bounds

    @classmethod
    def of(cls, logs: Floats, reach: Any, nats: Sequence[Sequence[float]]) -> "Leaders":
        """Rank what is in reach, (R, V), of searches, given the nats of the rows of each."""
        counts = [len(own) for own in nats]
        searches = np.repeat(np.arange(len(nats)), counts)
        rows, tokens = np.divmod(np.flatnonzero(reach), logs.shape[1])  # faster than by two axes
        totals = logs[rows, tokens].astype(np.float64) + np.concatenate([np.array(own) for own in nats])[rows]
        order = np.lexsort((-totals, searches[rows]))
        firsts = np.cumsum(counts) - counts
        own = rows - firsts[searches[rows]]
        bounds = np.searchsorted(searches[rows], np.arange(len(nats) + 1)).tolist()
        return cls(Ranking(own[order].tolist(), tokens[order].tolist(), totals[order].tolist()), bounds)

    def own(self, number: int) -> Ranking:
        """Those of a search."""
        some = slice(self._bounds[number], self._bounds[number + 1])
        rows, tokens, nats = self._columns
        return Ranking(rows[some], tokens[some], nats[some])
