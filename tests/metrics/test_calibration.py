"""`metrics.calibration`: beside scikit-learn's Brier score and a sum by hand."""

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss

from lmkit.metrics.calibration import bins, brier, expected_error


def test_expected_error_by_hand():
    found = bins(np.array([0.95, 0.9, 0.55, 0.5, 1.0]), np.array([True, False, True, False, True]), 10)
    assert [(one.low, one.high, one.items) for one in found] == [
        (0.4, 0.5, 1),
        (0.5, 0.6, 1),
        (0.8, 0.9, 1),
        (0.9, 1.0, 2),
    ]
    assert expected_error(found) == pytest.approx((0.5 + 0.45 + 0.9 + 2 * 0.025) / 5)


def test_brier_score_is_scikit_learns():
    rng = np.random.default_rng(0)
    chances = rng.dirichlet(np.ones(2), 50)
    right = rng.integers(2, size=50)
    wanted = np.eye(2, dtype=bool)[right]
    assert brier(chances, wanted) == pytest.approx(2 * brier_score_loss(right, chances[:, 1]))
