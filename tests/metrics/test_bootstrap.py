"""The bootstrap: against exact distributions of resamples, and against scipy's tests."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from lmkit.metrics import bootstrap

MANY = 8_000


def test_draws_are_multinomial():
    """Of 3 items the 27 equally probable resamples give each vector of counts its probability."""
    for counts in [np.array([1, 1, 1]), np.array([2, 1]), np.array([3])]:
        cells = np.repeat(np.arange(len(counts)), counts)
        exact = {}
        for items in itertools.product(cells, repeat=3):
            key = tuple(np.bincount(items, minlength=len(counts)).tolist())
            exact[key] = exact.get(key, 0) + 1 / 27
        drawn = np.concatenate(list(bootstrap.draws(counts, 1, MANY)))
        assert len(drawn) == MANY
        for key, probability in exact.items():
            share = (drawn == key).all(1).mean()
            assert abs(share - probability) <= 4 * np.sqrt(probability * (1 - probability) / MANY) + 1e-12


def test_few_cells_of_many_items_are_drawn_alike():
    counts = np.array([700, 300])
    drawn = np.concatenate(list(bootstrap.draws(counts, 3, MANY)))
    assert drawn.sum(1).tolist() == [1000] * MANY
    assert drawn[:, 0].mean() == pytest.approx(700, abs=4 * np.sqrt(210 / MANY))
    assert drawn[:, 0].std() == pytest.approx(np.sqrt(210), rel=0.05)


def test_an_interval_of_right_and_wrong_is_that_of_the_binomial():
    found = bootstrap.interval([1] * 80 + [0] * 20, seed=5, resamples=MANY)
    low, high = stats.binom.ppf([0.025, 0.975], 100, 0.8) / 100
    assert found.value == 0.8
    assert (found.low, found.high) == (pytest.approx(low, abs=0.0101), pytest.approx(high, abs=0.0101))


def test_an_interval_of_any_statistic():
    values = np.arange(50.0)
    plain = bootstrap.interval(values, resamples=4000)
    given_ = bootstrap.interval(values, resamples=4000, statistic=lambda drawn: float(drawn.mean()))
    assert given_.value == plain.value == 24.5
    assert given_[1:] == pytest.approx(plain[1:], abs=0.5)
    assert plain.high - plain.low == pytest.approx(2 * 1.96 * values.std() / np.sqrt(50), rel=0.05)
    narrow = bootstrap.interval(values, resamples=4000, level=0.5)
    assert plain.low < narrow.low < 24.5 < narrow.high < plain.high


def test_the_seed_alone_decides():
    values = np.random.default_rng(1).normal(size=40)
    assert bootstrap.interval(values, seed=7) == bootstrap.interval(values.tolist(), seed=7)
    assert bootstrap.interval(values, seed=7) != bootstrap.interval(values, seed=8)


def test_no_resamples_no_interval():
    assert bootstrap.interval([1, 0], resamples=0) == (0.5, None, None)
    assert bootstrap.paired_difference([1, 0], [0, 0], resamples=0) == (0.5, None, None, None)


def test_a_paired_difference():
    one, other = np.array([1.0] * 60 + [0] * 40), np.array([1.0] * 40 + [0] * 60)
    found = bootstrap.paired_difference(one, other, resamples=MANY)
    assert found.value == pytest.approx(0.2)
    deviation = np.sqrt((0.2 - 0.04) / 100)  # of 0.2 items of difference 1, 0.8 of 0
    assert found.high - found.low == pytest.approx(2 * 1.96 * deviation, rel=0.05)
    assert found.p == pytest.approx(2 * stats.norm.sf(0.2 / deviation), abs=1e-3)
    turned = bootstrap.paired_difference(other, one, resamples=MANY)
    assert turned.value == pytest.approx(-0.2)
    assert turned.p == pytest.approx(found.p, abs=1e-3)


def test_what_does_not_differ_differs_by_chance():
    assert bootstrap.paired_difference([1, 0, 1], [1, 0, 1]) == (0, None, None, 1)
    noise = np.random.default_rng(0).normal(size=(2, 500))
    assert bootstrap.paired_difference(*noise).p > 0.05


def test_resamples_that_are_all_alike_say_nothing():
    assert bootstrap.interval([1, 1, 1]) == (1, None, None)
    assert bootstrap.interval([0.1] * 7) == (pytest.approx(0.1), None, None)
    assert bootstrap.paired_difference([1], [0]) == (1, None, None, 1)
    assert bootstrap.paired_difference([0.5], [0.75]) == (-0.25, None, None, 1)
    assert bootstrap.paired_difference([1, 1, 1], [0, 0, 0]) == (1, None, None, 0.25)


@settings(max_examples=60)
@given(st.lists(st.sampled_from([-1.0, -0.5, 0.0, 0.5, 1.0]), min_size=1, max_size=29))
def test_few_items_are_no_surer_than_the_sign_test(apart):
    found = bootstrap.paired_difference(apart, [0] * len(apart), resamples=200)
    more, less = sum(x > 0 for x in apart), sum(x < 0 for x in apart)
    exact = stats.binomtest(more, more + less).pvalue if more + less else 1
    assert found.p >= exact - 1e-12


def test_the_smallest_p_is_that_of_all_exchanges():
    """Of 4 items that differ, 2 of 16 exchanges are as far apart as what was seen."""
    apart = np.array([0.3, 0.2, 0.9, 0.1])
    exchanged = [np.dot(signs, apart) for signs in itertools.product([1, -1], repeat=4)]
    assert bootstrap.least_p(4) == np.mean(np.abs(exchanged) >= apart.sum() - 1e-12)
    assert bootstrap.least_p(0) == bootstrap.least_p(1) == 1
    assert bootstrap.compared(0.4, np.array([0.3, 0.5]), 0.95, bootstrap.least_p(3)).p == 1 / 3
    assert bootstrap.compared(0.4, np.array([0.3, 0.5]), 0.95, bootstrap.least_p(2)).p == 0.5


def test_bad_numbers():
    with pytest.raises(ValueError, match="at least one number"):
        bootstrap.interval([])
    with pytest.raises(ValueError, match="got 2 and 1"):
        bootstrap.paired_difference([1, 2], [1])


@settings(max_examples=50)
@given(st.integers(0, 300), st.integers(0, 300))
def test_the_sign_test_is_exact(first, second):
    expected = stats.binomtest(first, first + second).pvalue if first + second else 1
    assert bootstrap.sign_test(first, second) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(("first", "second"), [(1200, 1000), (5000, 5100), (499_000, 501_000), (0, 3000)])
def test_the_sign_test_of_many(first, second):
    assert bootstrap.sign_test(first, second) == pytest.approx(stats.binomtest(first, first + second).pvalue, rel=1e-6)


def test_the_interval_of_few_runs_is_students():
    for size in (2, 5, 30):
        values = np.random.default_rng(size).normal(size=size)
        mean, low, high = bootstrap.mean_interval(values.tolist())
        expected = stats.t.interval(0.95, size - 1, loc=values.mean(), scale=stats.sem(values))
        assert (low, high) == pytest.approx(expected, abs=2e-3 * (high - low))
        assert mean == pytest.approx(values.mean())
