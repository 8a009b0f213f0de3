"""The continuations of a step that a search may keep: of all tokens the few that can be among the best of a row.

Where the K best continuations of several rows are wanted, none of a row counts that is below the K-th of the row's own:
that row alone has K better ones. So a search looks at the tokens that any of its rows has among its first K, and at all
tokens only where it finds that it needs more.

Shapes: R rows, V vocabulary, C tokens looked at.
"""

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
