"""Shares of a corpus: which one each record belongs to, by a seeded hash of what it is known by. Knows no files.

A record's share depends on its key and the seed alone, so records with one key are never separated, and a record
keeps its share when others are added.

Shapes: N records, K shares.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xxhash

from lmkit.protocols import F64, I64, U64


def keys_of(contents: Sequence[bytes], seed: int) -> U64:
    """Return a 64-bit hash of each content, (N,): XXH3 with the seed."""
    return np.array([xxhash.xxh3_64_intdigest(content, seed) for content in contents], dtype=np.uint64)


def shares_of(keys: U64, proportions: Sequence[float]) -> I64:
    """Return the number of each key's share, (N,): the one whose part of the range of hashes the key is in."""
    places: F64 = keys.astype(np.float64) * 2.0**-64
    borders = np.cumsum(proportions)[:-1]
    found: I64 = np.searchsorted(borders, places, side="right")
    return found


@dataclass(frozen=True)
class Stratum:
    """A value of the field by which a corpus is stratified: how many records of it each share has, (K,)."""

    value: str
    counts: I64


def stratified_shares(keys: U64, strata: I64, proportions: Sequence[float]) -> I64:
    """Return the number of each record's share, (N,), such that shares have the proportions within each stratum.

    `strata` (N,) are numbers of strata. Within one, keys are sorted and cut where the number of records before them
    reaches each proportion, so a share misses its own by less than the records of one key. Records with one key get
    one share, that of the lowest stratum which has the key.
    """
    if not len(keys):
        return np.zeros(0, np.int64)
    order = np.lexsort((strata, keys))
    first = np.concatenate(([True], keys[order][1:] != keys[order][:-1]))
    begins = np.flatnonzero(first)
    sizes = np.diff(begins, append=len(keys))
    own = strata[order[begins]]  # the lowest, as strata ascend within a key
    by_stratum = np.argsort(own, kind="stable")  # keys ascend within a stratum
    sizes_there = sizes[by_stratum]
    total = np.cumsum(sizes_there)
    begun = np.concatenate(([True], own[by_stratum][1:] != own[by_stratum][:-1]))
    stratum_begins = np.flatnonzero(begun)
    number = np.cumsum(begun) - 1
    before = (total - sizes_there)[stratum_begins]
    stratum_sizes = np.add.reduceat(sizes_there, stratum_begins)
    middle = (total - sizes_there / 2 - before[number]) / stratum_sizes[number]
    share_of_group = np.empty(len(begins), dtype=np.int64)
    share_of_group[by_stratum] = np.searchsorted(np.cumsum(proportions)[:-1], middle, side="right")
    shares = np.empty(len(keys), dtype=np.int64)
    shares[order] = np.repeat(share_of_group, sizes)
    return shares
