"""IsoFLOP analysis of sweeps whose law is known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sweeps import EXPONENT, optimum, sweep

from lmkit.errors import DataError
from lmkit.scaling import isoflop
from lmkit.scaling.runs import Runs

HOW = {"tolerance": 0.05, "resamples": 200, "level": 0.95, "seed": 0}


def test_row_k2_exactly():
    found = isoflop.fit(sweep(), **HOW)
    assert found.frontier.size.exponent == pytest.approx(EXPONENT, abs=1e-4)
    assert found.frontier.size.exponent + found.frontier.data.exponent == pytest.approx(1)
    assert found.frontier.size(1e21) == pytest.approx(optimum(1e21), rel=0.011)
    assert found.frontier.size(1e21) == pytest.approx(1.84e9, rel=0.002)
    assert found.frontier.intervals["a"].low <= EXPONENT <= found.frontier.intervals["a"].high
    assert all(valley.inside for valley in found.valleys)
    assert [valley.tokens * valley.parameters * 6 for valley in found.valleys] == pytest.approx(np.logspace(18, 22, 7))


@pytest.mark.slow
@pytest.mark.parametrize("noise", [0.0005, 0.001, 0.003])
def test_intervals_cover_the_truth(noise):
    covered = 0
    for seed in range(100):
        found = isoflop.fit(sweep(noise=noise, seed=seed), **{**HOW, "resamples": 1000, "seed": seed})
        covered += found.frontier.intervals["a"].low <= EXPONENT <= found.frontier.intervals["a"].high
    assert covered >= 90


def test_the_order_of_runs_does_not_matter():
    runs = sweep(noise=0.001)
    order = np.random.default_rng(0).permutation(len(runs))
    assert isoflop.fit(runs.of(order), **HOW).frontier.size.exponent == pytest.approx(
        isoflop.fit(runs, **HOW).frontier.size.exponent
    )


@settings(max_examples=20)
@given(st.floats(0.2, 0.8), st.floats(1e3, 1e6), st.floats(0.01, 1.0))
def test_valleys_that_are_parabolas_are_found_exactly(exponent, factor, curvature):
    flops, offset = map(np.ravel, np.meshgrid([1e15, 1e17, 3e18], [-1.0, -0.5, 0.7], indexing="ij"))
    parameters = factor * (flops / 1e15) ** exponent * np.exp(offset)
    found = isoflop.fit(Runs(flops, parameters, flops / 6 / parameters, 2 + curvature * offset**2), **HOW)
    assert found.frontier.size.exponent == pytest.approx(exponent, abs=1e-9)
    assert [valley.loss for valley in found.valleys] == pytest.approx([2.0] * 3)
    assert [valley.curvature for valley in found.valleys] == pytest.approx([curvature] * 3)
    assert found.frontier.intervals["a"] is None  # three sizes leave no residuals


def test_an_optimum_outside_the_swept_sizes():
    assert not any(valley.inside for valley in isoflop.fit(sweep(shift=0.7), **HOW).valleys)


def test_budgets_that_differ_a_little():
    runs = sweep()
    uneven = Runs(runs.flops * np.linspace(1, 1.02, len(runs)), runs.parameters, runs.tokens, runs.loss)
    assert len(isoflop.fit(uneven, **HOW).valleys) == 7
    with pytest.raises(DataError, match="has 1 size: a valley needs at least 3"):
        isoflop.fit(uneven, **{**HOW, "tolerance": 1e-9})


@pytest.mark.parametrize("decades", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("sizes", [5, 9])
def test_outliers(decades, sizes):
    runs = sweep(decades=decades, sizes=sizes, noise=0.002)
    assert isoflop.outliers(runs, 0.05) == []
    odd = 2 * sizes + 1
    expected = runs.loss[odd]
    runs.loss[odd] *= 2
    ((place, about),) = isoflop.outliers(runs, 0.05)
    assert place == odd
    assert about == pytest.approx(expected, rel=0.06)


def test_what_runs_cannot_say():
    runs = sweep()
    with pytest.raises(DataError, match="all runs are of one budget, 1e\\+18 FLOPs"):
        isoflop.fit(runs.of(np.arange(9)), **HOW)
    with pytest.raises(DataError, match="no lowest point"):
        isoflop.fit(Runs(runs.flops, runs.parameters, runs.tokens, 5 - runs.loss), **HOW)
    with pytest.raises(DataError, match="far beyond the swept sizes"):
        isoflop.fit(Runs(runs.flops, runs.parameters, runs.tokens, runs.parameters**-0.001), **HOW)
