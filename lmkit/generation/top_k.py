"""The few places of a long row that may matter, found without sorting it, and their ranking.

Shapes: B rows, K places kept, V numbers of a row.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from lmkit.protocols import F64, I64, Floats

LONG = 2048
"""Rows longer than this are cut to a shortlist before they are ranked: a sort of all takes longer."""
FIRST_REACH, WIDER = 3.0, 1.3


def at_least(row: Floats, bound: float) -> I64:
    """Where numbers (V,) reach a bound, or all but reach it, rising."""
    return np.flatnonzero(row >= bound - 1e-4 - 1e-6 * abs(bound))  # float32 rounds the bound


def highest(row: Floats, k: int, margin: float) -> I64:
    """Places that include the k highest of (V,), and all within `margin` of these; rising.

    The k-th highest of the maxima of blocks is no higher than the k-th of all.
    """
    width = min(128, len(row) // (4 * k))
    if width < 2:
        bound = np.partition(row, len(row) - k)[len(row) - k]
    else:
        count = len(row) // width
        maxima = row[: count * width].reshape(width, count).max(axis=0)
        bound = np.partition(maxima, count - k)[count - k]
    return at_least(row, float(bound) - margin)


def reaching(scores: Floats, masses: Floats, needed: float, margin: float) -> I64:
    """Places that include the highest of scores (V,) whose masses (V,) sum to `needed`, and all within `margin`."""
    best, reach = float(scores.max()), FIRST_REACH
    while True:
        places = np.flatnonzero(scores >= best - reach)
        if float(masses[places].sum(dtype=np.float64)) >= needed * (1 + 1e-6):
            return at_least(scores, best - reach - margin) if margin else places
        if len(places) == len(scores) or reach > 1e6:
            return np.arange(len(scores))
        reach *= WIDER


def ranked(logs: Floats, shortlists: Sequence[I64] | None = None) -> tuple[Any, F64]:
    """Places and numbers of rows (B, V), or of a shortlist of each, highest first, ties by place: both (B, K).

    Rows with fewer are filled up with -inf.
    """
    if shortlists is None:
        if len(logs) == 1:
            order = np.argsort(-logs[0], kind="stable")
            return order[None], logs[0][order][None].astype(np.float64)
        order = np.argsort(-logs, axis=1, kind="stable")
        return order, taken(logs, order).astype(np.float64)
    most = max(map(len, shortlists))
    ids = np.zeros((len(logs), most), dtype=np.int64)
    found = np.full((len(logs), most), -np.inf)
    for row, places in enumerate(shortlists):
        some = logs[row][places]
        order = _falling(some)
        ids[row, : len(places)] = places[order]
        found[row, : len(places)] = some[order]
    return ids, found


def _falling(numbers: Floats) -> I64:
    """The places of numbers from the highest to the lowest, ties by place."""
    if numbers.dtype != np.float32 or len(numbers) < 64:
        return np.argsort(-numbers, kind="stable")
    bits = (0.0 - numbers).view(np.uint32)  # no -0, so that equal numbers have equal bits
    keys = np.where(bits >> np.uint32(31), ~bits, bits | np.uint32(1 << 31)).astype(np.uint64) << np.uint64(32)
    keys |= np.arange(len(numbers), dtype=np.uint64)
    keys.sort()  # much faster than a stable sort
    return (keys & np.uint64(0xFFFFFFFF)).astype(np.int64)


def taken(values: Any, order: Any) -> Any:
    """Each row's values (B, V) at its places (B, K)."""
    return values[0][order[0]][None] if len(values) == 1 else values[np.arange(len(values))[:, None], order]
