"""Drawing from a fixed distribution with one random number: an alias table (Walker 1977), made without a loop."""

import numpy as np

from lmkit.protocols import F64, I64, U64


def alias_table(probabilities: F64) -> tuple[F64, I64]:
    """For each of V equally likely places, the chance of the place itself, (V,), and whom the rest is for, (V,).

    Those below 1 / V are the small ones. What small ones lack and large ones have too much of is laid along
    a line: a small one is filled by the large one at the beginning of its stretch, and a large one that has
    given away too much is filled by the next large one (the sweep of Hübschle-Schneider and Sanders 2022).
    """
    shares = probabilities * len(probabilities)
    large, small = np.flatnonzero(shares >= 1), np.flatnonzero(shares < 1)
    own, alias = np.minimum(shares, 1.0), np.arange(len(shares))
    if not len(large):
        return own, alias
    given, lacked = np.cumsum(shares[large] - 1), np.concatenate(([0.0], np.cumsum(1 - shares[small])))
    taker = np.searchsorted(given, lacked[:-1], side="right")
    alias[small] = large[np.minimum(taker, len(large) - 1)]
    taken = np.searchsorted(lacked[:-1], given[:-1], side="left")
    own[large[:-1]] = np.clip(1 + given[:-1] - lacked[taken], 0, 1)
    alias[large[:-1]] = large[1:]
    return own, alias


def packed(own: F64, alias: I64) -> U64:
    """An alias table in one array, (V,): the chance in the upper half of 64 bits, the other in the lower."""
    chances = np.minimum(own * 2.0**32, 2.0**32 - 1).astype(np.uint64)
    joined: U64 = (chances << np.uint64(32)) | alias.astype(np.uint64)
    return joined
