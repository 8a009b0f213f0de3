"""A random order of records: a key for each by its number and a seed, to be sorted by. Knows no files."""

import numpy as np

from lmkit.data.keyed_random import mixed, stream_of
from lmkit.protocols import U64

_STEP = np.uint64(0x9E3779B97F4A7C15)


def keys(seed: int, first: int, count: int) -> U64:
    """Return the keys of `count` records from the number `first` on: SplitMix64, (N,)."""
    numbers = np.arange(first, first + count, dtype=np.uint64)
    return mixed(np.uint64(stream_of(seed, "shuffle", 0)) + (numbers + np.uint64(1)) * _STEP)
