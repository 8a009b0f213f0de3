"""Shares of a corpus by hashes of keys."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lmkit.data.splitting import keys_of, shares_of, stratified_shares

PROPORTIONS = [0.5, 0.3, 0.2]


def test_shares_have_their_proportions():
    shares = shares_of(keys_of([b"%d" % number for number in range(20_000)], 3), PROPORTIONS)
    counts = np.bincount(shares, minlength=3)
    deviations = [(20_000 * p * (1 - p)) ** 0.5 for p in PROPORTIONS]
    assert all(abs(count - 20_000 * p) < 4 * sd for count, p, sd in zip(counts, PROPORTIONS, deviations, strict=True))


@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 2)), min_size=1, max_size=60), st.randoms())
def test_strata_are_cut_at_their_proportions(records, random):
    """Every key has one share, whatever the order; each stratum misses a proportion by less than its largest group."""
    keys = np.array([key * 0x9E3779B97F4A7C15 % 2**64 for key, _ in records], dtype=np.uint64)
    strata = np.array([stratum for _, stratum in records])
    shares = stratified_shares(keys, strata, PROPORTIONS)
    share_of = dict(zip(keys.tolist(), shares.tolist(), strict=True))
    assert [share_of[key] for key in keys.tolist()] == shares.tolist()
    order = list(range(len(records)))
    random.shuffle(order)
    assert stratified_shares(keys[order], strata[order], PROPORTIONS).tolist() == shares[order].tolist()
    lowest = {key: min(strata[keys == key].tolist()) for key in share_of}
    own = np.array([lowest[key] for key in keys.tolist()])
    for stratum in set(own.tolist()):
        members = own == stratum
        largest = max(int((keys[members] == key).sum()) for key in set(keys[members].tolist()))
        reached = np.cumsum(np.bincount(shares[members], minlength=3))
        assert (np.abs(reached - np.cumsum(PROPORTIONS) * members.sum()) <= largest).all()
