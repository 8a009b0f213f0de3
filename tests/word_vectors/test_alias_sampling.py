"""Alias tables give back the distribution that they were made of."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lmkit.word_vectors.alias_sampling import alias_table, packed


@given(st.lists(st.one_of(st.just(0.0), st.floats(1e-6, 1e6)), min_size=1, max_size=40).filter(any))
def test_a_table_is_its_distribution(weights):
    probabilities = np.array(weights) / sum(weights)
    own, alias = alias_table(probabilities)
    assert ((own >= 0) & (own <= 1)).all()
    given_back = own / len(own)
    np.add.at(given_back, alias, (1 - own) / len(own))
    np.testing.assert_allclose(given_back, probabilities, atol=1e-12)
    chances = (packed(own, alias) >> np.uint64(32)).astype(np.float64) / 2**32
    np.testing.assert_allclose(chances, own, atol=1e-9)
