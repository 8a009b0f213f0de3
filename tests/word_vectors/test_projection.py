"""Planes: components against the covariance matrix, t-SNE against its definition and on groups that lie apart."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lmkit.word_vectors import projection


@given(arrays(np.float64, (7, 4), elements=st.integers(-9, 9)))
def test_components_are_those_of_the_covariance(points):
    plane = projection.principal(points)
    values = np.linalg.eigvalsh(np.cov(points.T, bias=True))[::-1]
    assert plane.var(axis=0) == pytest.approx(values[:2], abs=1e-8)
    assert plane.mean(axis=0) == pytest.approx([0, 0], abs=1e-8)
    assert plane[:, 0] @ plane[:, 1] == pytest.approx(0, abs=1e-6)
    assert (np.abs(plane).max(axis=0) == np.maximum(plane.max(axis=0), 0)).all()


@pytest.mark.parametrize("points", [[[1.0, 2]], [[1.0], [3], [2]], [[1.0, 1], [1, 1]], [[0.0, 0], [1, 2], [2, 4]]])
def test_points_that_fill_no_plane_lie_on_a_line(points):
    plane = projection.principal(np.array(points))
    assert plane.shape == (len(points), 2)
    assert (plane[:, 1] == 0).all()


def test_each_point_has_the_perplexity_asked_for():
    """Of points so far apart by turns that p_j|i and p_i|j can be told from their sum, by bisection once more."""
    points = np.random.default_rng(1).normal(size=(30, 3))
    near = projection.joint(points, 5)
    assert near.sum() == pytest.approx(1, abs=1e-9)
    assert (near == near.T).all()
    given_ = np.zeros((30, 30))
    for i in range(30):
        squares = np.delete(((points - points[i]) ** 2).sum(axis=1), i)
        low, high = 1e-9, 1e9
        for _ in range(200):
            sharpness = (low * high) ** 0.5
            p = np.exp(-sharpness * (squares - squares.min()))
            p /= p.sum()
            low, high = (sharpness, high) if -(p * np.log(p + 1e-300)).sum() > np.log(5) else (low, sharpness)
        given_[i, np.arange(30) != i] = p
    assert near == pytest.approx((given_ + given_.T) / 60, abs=1e-9)


def test_the_gradient_is_the_slope_of_the_divergence():
    draw = np.random.default_rng(2)
    near, places = projection.joint(draw.normal(size=(6, 3)), 1.5), draw.normal(size=(6, 2))

    def divergence(y):
        weights = 1 / (1 + ((y[:, None] - y[None]) ** 2).sum(axis=2))
        np.fill_diagonal(weights, 0)
        far = weights / weights.sum()
        off = ~np.eye(6, dtype=bool)
        return (near[off] * np.log(near[off] / far[off])).sum()

    slopes = np.zeros((6, 2))
    for place in np.ndindex(6, 2):
        step = np.zeros((6, 2))
        step[place] = 1e-6
        slopes[place] = (divergence(places + step) - divergence(places - step)) / 2e-6
    assert projection.gradient(near, places) == pytest.approx(slopes, abs=1e-6)


def test_groups_that_lie_apart_stay_groups():
    draw = np.random.default_rng(3)
    centres = draw.normal(size=(5, 20)) * 8
    groups = np.repeat(np.arange(5), 20)
    points = centres[groups] + draw.normal(size=(100, 20))
    places = projection.tsne(points, perplexity=10, steps=400, draw=np.random.default_rng(0))
    distances = ((places[:, None] - places[None]) ** 2).sum(axis=2)
    np.fill_diagonal(distances, np.inf)
    assert (groups[distances.argsort(axis=1)[:, :5]] == groups[:, None]).all()
    again = projection.tsne(points, perplexity=10, steps=400, draw=np.random.default_rng(0))
    assert (again == places).all()


@pytest.mark.parametrize("count", [1, 2, 3, 4, 9])
def test_few_points_and_equal_points_have_places(count):
    for points in (np.ones((count, 3)), np.arange(count)[:, None].astype(float), np.eye(count) * 1e-20):
        places = projection.tsne(points, steps=60, draw=np.random.default_rng(0))
        assert places.shape == (count, 2)
        assert np.isfinite(places).all()
