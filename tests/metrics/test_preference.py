"""`metrics.preference`: row H12."""

import math

import numpy as np
import pytest

from lmkit.metrics.preference import agreements, losses, margins


def test_worked_example():
    margin = margins(*map(np.array, ([-10.0, -3.0], [-12.0, -5.0], [-11.0, -3.0], [-11.0, -5.0], 0.1)))
    assert margin == pytest.approx([0.2, 0.0])
    assert losses(margin) == pytest.approx([0.5981388693815918, math.log(2)], abs=1e-12)
    assert agreements(np.array([-0.1, 0.0, 3.0])).tolist() == [0.0, 0.5, 1.0]
    assert losses(np.array([-1e4, 1e4])).tolist() == [1e4, 0.0]
