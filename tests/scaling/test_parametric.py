"""The parametric law, recovered from runs that it made."""

import time
from dataclasses import astuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sweeps import ALPHA, BETA, EXPONENT, A, B, E, optimum, sweep

from lmkit import lbfgs
from lmkit.errors import DataError
from lmkit.scaling import parametric
from lmkit.scaling.parametric import PUBLISHED, Law
from lmkit.scaling.runs import Runs

HOW = {"resamples": 0, "level": 0.95, "seed": 0}


def test_row_k4_exactly():
    begin = time.perf_counter()
    found = parametric.fit(sweep(), **{**HOW, "resamples": 100})
    assert time.perf_counter() - begin < 20
    for name, value in {"E": E, "A": A, "B": B, "alpha": ALPHA, "beta": BETA}.items():
        assert getattr(found.law, name) == pytest.approx(value, rel=1e-6)
    assert found.law.a + found.law.b == pytest.approx(1)
    assert found.deviation < 1e-9


@settings(max_examples=4)
@given(st.floats(1.0, 2.5), st.floats(0.2, 0.6), st.floats(0.2, 0.6))
def test_other_laws(floor, alpha, beta):
    runs = sweep(decades=1.0, sizes=5)
    law = Law(floor, 3e6**alpha, 5e7**beta, alpha, beta)
    loss = [law.loss(*run) for run in zip(runs.parameters, runs.tokens, strict=True)]
    found = parametric.fit(Runs(runs.flops, runs.parameters, runs.tokens, np.array(loss)), **HOW).law
    assert (found.E, found.alpha, found.beta) == pytest.approx((floor, alpha, beta), rel=1e-4)
    assert astuple(found) == pytest.approx(astuple(law), rel=0.02)


def test_noise_and_an_outlier():
    runs = sweep(noise=0.001)
    runs.loss[7] *= 1.5  # Huber's loss does not follow it
    found = parametric.fit(runs, **{**HOW, "resamples": 200})
    assert found.law.a == pytest.approx(EXPONENT, abs=0.01)
    low, high = found.intervals["alpha"]
    assert low < ALPHA < high < low + 0.03


def test_published_constants():
    assert PUBLISHED["hoffmann"].optimum(5.88e23)[0] == pytest.approx(3.2e10, rel=0.02)
    assert PUBLISHED["besiroglu"].optimum(5.88e23)[0] == pytest.approx(70e9, rel=0.05)
    assert PUBLISHED["hoffmann"].optimum(1e21)[0] == pytest.approx(optimum(1e21))


def test_the_optimum_is_the_lowest_loss_of_its_budget():
    law = PUBLISHED["besiroglu"]
    size, tokens = law.optimum(1e22)
    assert 6 * size * tokens == pytest.approx(1e22)
    assert all(law.loss(size * scale, tokens / scale) > law.loss(size, tokens) for scale in (0.9, 0.99, 1.01, 1.1))


def test_what_runs_cannot_say():
    runs = sweep()
    one_budget, one_ratio = runs.of(np.arange(9)), runs.of(np.arange(4, 63, 9))
    with pytest.raises(DataError, match="vary together \\(one budget\\)"):
        parametric.fit(one_budget, **HOW)
    steady = Runs(one_ratio.flops, one_ratio.parameters, 20 * one_ratio.parameters, one_ratio.loss)
    with pytest.raises(DataError, match="one number of tokens per parameter"):
        parametric.fit(steady, **HOW)
    with pytest.raises(DataError, match="5 runs cannot tell 5 constants: expected at least 6"):
        parametric.fit(runs.of(np.arange(5)), **HOW)
    with pytest.raises(DataError, match="1 different sizes"):
        parametric.fit(Runs(runs.flops, np.full(63, 1e9), runs.tokens, runs.loss), **HOW)


def test_gradients_are_those_of_differences():
    problem = parametric._Problem(sweep(noise=0.01))
    objective = problem.objective(np.ones((1, 63)))
    point = np.array([[-1.0, -1.2, 0.4, 0.3, 0.35]])
    rows = np.arange(1)
    _, gradient = objective(point, rows)
    for number in range(5):
        step = np.zeros((1, 5))
        step[0, number] = 1e-6
        difference = (objective(point + step, rows)[0] - objective(point - step, rows)[0]) / 2e-6
        assert gradient[0, number] == pytest.approx(difference[0], rel=1e-4)


def test_minima_of_rosenbrock():
    """Several problems at once find what scipy finds."""
    from scipy.optimize import rosen, rosen_der

    starts = np.array([[-1.2, 1.0, 2.0], [3.0, -2.0, 0.5], [1.0, 1.0, 1.0]])
    found = lbfgs.minimise(lambda x, _: (rosen(x.T), rosen_der(x.T).T), starts)
    assert found.points == pytest.approx(np.ones((3, 3)), abs=1e-6)
    assert found.values == pytest.approx(np.zeros(3), abs=1e-12)
