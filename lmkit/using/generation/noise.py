"""Draws that depend on a seed, a text's id, the sample's number, the step and the token, and on nothing else.

A token is drawn by a race: token i arrives at time E_i / p_i, where the E_i are exponential; the first to
arrive is i with probability p_i / sum p (the Gumbel-max trick, as log p_i - log E_i has the same maximum).
Unlike a draw by cumulated mass it hardly changes when probabilities do, and not at all when tokens that
would not have won are dropped: a draft that runs the same race mostly names the same winner.

Shapes: B rows, K candidates.
"""

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from lmkit.protocols import F64, I64, U64, Floats

# SplitMix64: Steele, Lea and Flood (2014).
_STEP = 0x9E3779B97F4A7C15
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_SHIFTS = np.uint64(30), np.uint64(27), np.uint64(31)
_LOW = np.uint64(11)
_MASK = (1 << 64) - 1

CHUNK = 1 << 16
"""Numbers that are made at once."""
SMALL = 1024
"""Vocabularies up to this size have their numbers made for several steps at once."""
STREAMS = 64
"""Texts whose numbers are kept."""


def stream_of(seed: int, key: str, sample: int) -> int:
    """The number, of 64 bits, that all draws of one text come from."""
    data = f"{seed}\0{key}\0{sample}".encode()
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little")


def _mixed(numbers: U64) -> U64:
    """Each number scrambled, in place."""
    numbers ^= numbers >> _SHIFTS[0]
    numbers *= _FIRST
    numbers ^= numbers >> _SHIFTS[1]
    numbers *= _SECOND
    numbers ^= numbers >> _SHIFTS[2]
    return numbers


def _begin(stream: int, step: int) -> int:
    """Where the numbers of a step begin: scrambled as `_mixed` does; for few numbers Python is the faster."""
    number = (stream + (step + 1) * _STEP) & _MASK
    number = ((number ^ number >> 30) * 0xBF58476D1CE4E5B9) & _MASK
    number = ((number ^ number >> 27) * 0x94D049BB133111EB) & _MASK
    return number ^ number >> 31


def uniforms(streams: Sequence[int], steps: Sequence[int], ids: Any) -> F64:
    """A number in (0, 1) for each row's step and each token of ids (B, K) or (K,), (B, K)."""
    begins = np.array([_begin(stream, step) for stream, step in zip(streams, steps, strict=True)], dtype=np.uint64)
    numbers = begins[:, None] + (ids.astype(np.uint64) + np.uint64(1)) * np.uint64(_STEP)
    found: F64 = (_mixed(numbers) >> _LOW).astype(np.float64)
    found += 0.5
    found *= 2.0**-53
    return found


def race(logs: Floats, numbers: F64, error: float = 0.0) -> tuple[I64, Any]:
    """The place of each row's winner, (B,), and whether it wins by more than what errors of the logs can change.

    logs (B, K) need no normalisation; of each row one at least is finite. numbers (B, K) are uniform.
    """
    highest = logs.max(axis=1, keepdims=True)
    with np.errstate(over="ignore", divide="ignore"):
        early = numbers * np.exp(highest - logs)  # E = -log(1 - u) is u at least, so nobody arrives before this
        first = early.argmin(axis=1)
        rows = np.arange(len(logs))
        latest = early[rows, first] * (-np.log1p(-numbers[rows, first]) / numbers[rows, first])
        row, place = np.nonzero(early <= (latest * np.exp(2 * error))[:, None])
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
    everything = np.arange(logs.shape[1]) if ids is None else None
    parts = []
    for begin in range(0, len(logs), several):
        some = slice(begin, begin + several)
        numbers = uniforms(streams[some], steps[some], everything if ids is None else ids[some])
        parts.append(race(logs[some], numbers, error))
    won, sure = zip(*parts, strict=True)
    return np.concatenate(won), np.concatenate(sure)


class Ahead:
    """What a race needs for several coming steps of a text, made at once; for small vocabularies."""

    def __init__(self) -> None:
        self._kept: dict[tuple[int, int], F64] = {}

    def late(self, stream: int, step: int, size: int) -> F64:
        """log E of all tokens of a vocabulary at a step, (V,): the race is won by the highest of log p - log E."""
        steps = max(1, SMALL // size)
        begin = step - step % steps
        kept = self._kept.get((stream, begin))
        if kept is None or kept.shape[1] != size:
            if len(self._kept) >= STREAMS:
                self._kept.clear()
            numbers = uniforms([stream] * steps, range(begin, begin + steps), np.arange(size))
            with np.errstate(divide="ignore"):
                kept = np.log(-np.log1p(-numbers))
            self._kept[stream, begin] = kept
        late: F64 = kept[step - begin]
        return late
