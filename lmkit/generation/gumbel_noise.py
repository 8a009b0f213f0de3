"""Draws that depend on a seed, a text's id, the sample's number, the step and the token, and on nothing else.

A token is drawn by a race: token i arrives at time E_i / p_i, where the E_i are exponential; the first to
arrive is i with probability p_i / sum p (the Gumbel-max trick, as log p_i - log E_i has the same maximum).
Unlike a draw by cumulated mass it hardly changes when probabilities do, and not at all when tokens that
would not have won are dropped: a draft that runs the same race mostly names the same winner.

Shapes: B rows, K candidates.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from lmkit.data.keyed_random import uniforms
from lmkit.protocols import F64, I64, Floats

CHUNK = 1 << 16
"""Numbers that are made at once."""
SMALL = 1024
"""Vocabularies up to this size have their numbers made for several steps at once."""
_NOTHING = np.zeros((0, 0))
STREAMS = 64
"""Texts whose numbers are kept."""


def race(logs: Floats, numbers: F64, error: float = 0.0) -> tuple[I64, Any]:
    """The place of each row's winner, (B,), and whether it wins by more than what errors of the logs can change.

    logs (B, K) need no normalisation; of each row one at least is finite. numbers (B, K) are uniform.
    """
    highest = logs.max(axis=1, keepdims=True)
    with np.errstate(over="ignore", divide="ignore"):
        early = numbers * np.exp(highest - logs)  # E = -log(1 - u) is at least u, so no candidate arrives earlier
        first = early.argmin(axis=1)
        rows = np.arange(len(logs))
        latest = early[rows, first] * (-np.log1p(-numbers[rows, first]) / numbers[rows, first])
        row, place = divmod(np.flatnonzero(early <= (latest * np.exp(2 * error))[:, None]), logs.shape[1])
        times = logs[row, place] - np.log(-np.log1p(-numbers[row, place]))
    best = np.full(len(logs), -np.inf)
    np.maximum.at(best, row, times)
    winners = np.empty(len(logs), dtype=np.int64)
    winning = times == best[row]
    winners[row[winning][::-1]] = place[winning][::-1]  # of equal times the lowest place
    if error == 0:
        return winners, np.ones(len(logs), dtype=np.bool_)
    close = times >= best[row] - 2 * error
    return winners, np.bincount(row[close], minlength=len(logs)) == 1


def draw(
    logs: Floats, streams: Sequence[int], steps: Sequence[int], ids: Any = None, error: float = 0.0
) -> tuple[I64, Any]:
    """The place of each row's winner and whether it is sure, as `race` with the numbers of `uniforms`.

    ids (B, K) are those of logs (B, K); none: all of the vocabulary's. Few rows at once stay in the cache.
    """
    several = max(1, CHUNK // logs.shape[1])
    parts = []
    for begin in range(0, len(logs), several):
        some = slice(begin, begin + several)
        numbers = uniforms(streams[some], steps[some], logs.shape[1] if ids is None else ids[some])
        parts.append(race(logs[some], numbers, error))
    won, sure = zip(*parts, strict=True)
    return np.concatenate(won), np.concatenate(sure)


def late(streams: Sequence[int], steps: Sequence[int], size: int) -> F64:
    """log E of all tokens of a vocabulary at each row's step, (B, V): the race is won by the highest log p - log E."""
    numbers = uniforms(streams, steps, size)
    np.log1p(np.negative(numbers, out=numbers), out=numbers)
    return np.log(np.negative(numbers, out=numbers), out=numbers)


class NoisePrefetch:
    """`late` of small vocabularies; of a text alone for several coming steps at once."""

    def __init__(self) -> None:
        self._kept: dict[int, tuple[int, F64]] = {}

    def late(self, streams: Sequence[int], steps: Sequence[int], size: int) -> F64:
        """See `late`."""
        if len(streams) > 1:
            return late(streams, steps, size)
        stream, step = streams[0], steps[0]
        begin, kept = self._kept.get(stream, (0, _NOTHING))
        if not 0 <= step - begin < len(kept) or kept.shape[1] != size:
            if len(self._kept) >= STREAMS:
                self._kept.clear()
            several = max(1, SMALL // size)
            begin, kept = step, late([stream] * several, range(step, step + several), size)
            self._kept[stream] = begin, kept
        return kept[step - begin : step - begin + 1]
