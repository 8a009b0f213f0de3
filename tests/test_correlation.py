"""Correlations as the textbook has them, with ties."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmkit import correlation

NUMBERS = st.lists(st.integers(-4, 4), min_size=1, max_size=12)


def rank_by_counting(values):
    """A rank is one more than how many are smaller, and half of how many others are equal."""
    return [1 + sum(x < v for x in values) + (sum(x == v for x in values) - 1) / 2 for v in values]


@given(NUMBERS)
def test_ranks_are_counted(values):
    assert correlation.ranks(np.array(values, dtype=float)).tolist() == rank_by_counting(values)


@given(st.lists(st.tuples(st.integers(-4, 4), st.integers(-4, 4)), min_size=1, max_size=12))
def test_correlation_is_covariance_over_deviations(pairs):
    x, y = (np.array(side, dtype=float) for side in zip(*pairs, strict=True))
    found = correlation.pearson(x, y)
    if len(set(x)) == 1 or len(set(y)) == 1:
        assert found is None
    else:
        assert found == pytest.approx(np.mean((x - x.mean()) * (y - y.mean())) / x.std() / y.std(), abs=1e-12)
        assert found == pytest.approx(correlation.pearson(x * 1e300, y * 1e-300 + 0), abs=1e-12)


def test_rank_correlation_of_a_textbook():
    """IQ and hours of television, as in the article on Spearman's coefficient: rho = -29/165."""
    iq = np.array([106, 100, 86, 101, 99, 103, 97, 113, 112, 110], dtype=float)
    hours = np.array([7, 27, 2, 50, 28, 29, 20, 12, 6, 17], dtype=float)
    assert correlation.spearman(iq, hours) == pytest.approx(-29 / 165)
    assert correlation.spearman(iq, np.exp(iq)) == 1
    assert correlation.spearman(iq, -iq) == pytest.approx(-1)
    assert correlation.spearman(iq, np.ones(10)) is None
    assert correlation.spearman(np.zeros(0), np.zeros(0)) is None
