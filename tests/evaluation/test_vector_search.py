"""Exact search among vectors."""

import numpy as np

from lmkit.evaluation.vector_search import nearest, unit_rows


def test_the_nearest_rows_are_those_of_the_largest_cosines():
    rng = np.random.default_rng(0)
    rows, queries = rng.normal(size=(50, 7)).astype(np.float32), rng.normal(size=(9, 7))
    rows[[3, 20]] = 0
    rows[11] = 2 * rows[10]
    units = unit_rows(rows)
    for query, found in zip(queries, nearest(units, queries, 5), strict=True):
        scores = rows @ query / (np.linalg.norm(query) * np.where(rows.any(axis=1), np.linalg.norm(rows, axis=1), 1))
        scores[[3, 20]] = -np.inf
        order = np.argsort(-scores, kind="stable")[:5]
        assert np.allclose([one.score for one in found], scores[order], atol=1e-6)
        assert {one.place for one in found} | {10, 11} == set(order.tolist()) | {10, 11}
    assert [one.place for one in nearest(units, rows[10:11].astype(float), 2)[0]] == [10, 11]
    assert len(nearest(units, queries, 99)[0]) == 48
