"""Chains of labels against all labellings of short sentences."""

from itertools import product

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lmkit.label_chain import LabelChain, Packing, expectations


@given(st.integers(0, 10**6), st.lists(st.integers(1, 4), min_size=1, max_size=4), st.integers(1, 3))
def test_sums_and_best_are_those_of_all_labellings(seed, lengths, labels):
    rng = np.random.default_rng(seed)
    chain = LabelChain(rng.normal(size=(labels, labels)), rng.normal(size=labels), rng.normal(size=labels))
    emissions = rng.normal(size=(sum(lengths), labels)) * 3
    found = expectations(chain, emissions, Packing.of(np.array(lengths)))
    total, chances, pairs = 0.0, np.zeros_like(emissions), np.zeros((labels, labels))
    begin = 0
    for length in lengths:
        own = emissions[begin : begin + length]
        ways = [np.array(way) for way in product(range(labels), repeat=length)]
        scores = np.array([chain.score(own, way) for way in ways])
        log_partition = np.logaddexp.reduce(scores)
        total += log_partition
        for way, score in zip(ways, scores, strict=True):
            chance = np.exp(score - log_partition)
            chances[np.arange(begin, begin + length), way] += chance
            np.add.at(pairs, (way[:-1], way[1:]), chance)
        assert chain.best(own).tolist() == ways[int(scores.argmax())].tolist()
        begin += length
    np.testing.assert_allclose(found.log_partition, total, atol=1e-9)
    np.testing.assert_allclose(found.labels, chances, atol=1e-9)
    np.testing.assert_allclose(found.pairs, pairs, atol=1e-9)
    begins = np.cumsum(lengths) - lengths
    np.testing.assert_allclose(found.starts, chances[begins].sum(axis=0), atol=1e-9)
    np.testing.assert_allclose(found.ends, chances[np.cumsum(lengths) - 1].sum(axis=0), atol=1e-9)


def test_no_tokens():
    chain = LabelChain(np.zeros((2, 2)), np.zeros(2), np.zeros(2))
    assert chain.best(np.zeros((0, 2))).tolist() == []
