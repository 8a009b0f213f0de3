"""Uniform random numbers keyed by a stream, a step and an id, and by nothing else: the same in any order or batch.

SplitMix64 over the three. A stream is a hash of a seed, a key and a sample's number.

Shapes: B rows, K candidates, V vocabulary.
"""

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from lmkit.protocols import F64, U64

# SplitMix64: Steele, Lea and Flood (2014).
_STEP = 0x9E3779B97F4A7C15
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_SHIFTS = np.uint64(30), np.uint64(27), np.uint64(31)
_LOW = np.uint64(11)
_MASK = (1 << 64) - 1

FEW = 8
"""Streams up to which Python is faster than numpy."""


def stream_of(seed: int, key: str, sample: int) -> int:
    """The number, of 64 bits, that all draws of one text come from."""
    data = f"{seed}\0{key}\0{sample}".encode()
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little")


def mixed(numbers: U64) -> U64:
    """Each number scrambled, in place."""
    shifted = numbers >> _SHIFTS[0]
    numbers ^= shifted
    numbers *= _FIRST
    numbers ^= np.right_shift(numbers, _SHIFTS[1], out=shifted)
    numbers *= _SECOND
    numbers ^= np.right_shift(numbers, _SHIFTS[2], out=shifted)
    return numbers


def _begin(stream: int, step: int) -> int:
    """Where the numbers of a step begin: scrambled as `mixed` does."""
    number = (stream + (step + 1) * _STEP) & _MASK
    number = ((number ^ number >> 30) * 0xBF58476D1CE4E5B9) & _MASK
    number = ((number ^ number >> 27) * 0x94D049BB133111EB) & _MASK
    return number ^ number >> 31


def _begins(streams: Sequence[int], steps: Sequence[int]) -> U64:
    """The same of several texts."""
    if len(streams) <= FEW:
        return np.array([_begin(stream, step) for stream, step in zip(streams, steps, strict=True)], dtype=np.uint64)
    numbers = (np.array(steps, dtype=np.uint64) + np.uint64(1)) * np.uint64(_STEP)
    return mixed(numbers + np.array(streams, dtype=np.uint64))


@lru_cache(maxsize=4)
def _apart(size: int) -> U64:
    """How far the numbers of each token of a vocabulary begin from their step's, (V,)."""
    return np.arange(1, size + 1, dtype=np.uint64) * np.uint64(_STEP)


def uniforms(streams: Sequence[int], steps: Sequence[int], ids: Any) -> F64:
    """A number in (0, 1) for each row's step and each token, (B, K); ids are (B, K), (K,) or a vocabulary's size."""
    begins = _begins(streams, steps)
    apart = _apart(ids) if isinstance(ids, int) else (ids.astype(np.uint64) + np.uint64(1)) * np.uint64(_STEP)
    numbers = mixed(begins[:, None] + apart)
    numbers >>= _LOW
    found: F64 = numbers.astype(np.float64)
    found += 0.5
    found *= 2.0**-53
    return found
