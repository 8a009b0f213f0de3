"""Power laws of optima."""

import numpy as np
import pytest
from sweeps import EXPONENT, loss, optimum

from lmkit.errors import DataError
from lmkit.scaling import frontier, power_law
from lmkit.scaling.runs import Runs

HOW = {"resamples": 500, "level": 0.95, "seed": 0}


def optima(noise=0.0):
    flops = np.logspace(18, 22, 7)
    sizes = optimum(flops) * np.exp(noise * np.random.default_rng(0).standard_normal(7))
    tokens = flops / 6 / sizes
    return Runs(flops, sizes, tokens, loss(sizes, tokens))


def test_row_k3():
    found = frontier.through_optima(optima(), **HOW)
    assert found.size.exponent == pytest.approx(EXPONENT)
    assert found.size.exponent + found.data.exponent == pytest.approx(1)
    assert found.size(1e21) == pytest.approx(optimum(1e21))


def test_intervals_hold_the_truth():
    found = frontier.through_optima(optima(noise=0.05), **HOW)
    low, high = found.intervals["a"]
    assert low < EXPONENT < high < low + 0.05
    slope, intercept = np.polyfit(np.log(optima().flops), np.log(optima(noise=0.05).parameters), 1)
    assert (found.size.exponent, found.size.log_factor) == pytest.approx((slope, intercept))


def test_too_few_budgets():
    with pytest.raises(DataError, match="1 budget cannot tell an exponent"):
        frontier.through_optima(optima().of(np.arange(1)), **HOW)
    assert frontier.through_optima(optima().of(np.arange(2)), **HOW).intervals["a"] is None


def test_a_power_law():
    law = power_law.fitted(np.array([1.0, 10.0, 100.0]), np.array([2.0, 20.0, 200.0]))
    assert law.exponent == pytest.approx(1)
    assert law(5.0) == pytest.approx(10)
