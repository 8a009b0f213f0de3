"""Comparisons are made of the bootstrap's intervals and differences, which have their own tests."""

import numpy as np
import pytest

from lmkit.metrics import bootstrap
from lmkit.metrics.comparison import Sample, of_means, of_samples

SAMPLING = bootstrap.Sampling(seed=5, resamples=200, level=0.9)
HOW = (5, 200, 0.9)
FIRST = np.array([1.0, 0.0, 1.0, 0.5, 1.0, 0.25])
SECOND = np.array([0.0, 0.0, 1.0, 1.0, 0.5, 0.0])
ONES = np.ones(6, dtype=np.int64)


def sample(scores, **more):
    """Means of scores, measured on counts of items."""
    return Sample({"mean": float(scores.mean())}, lambda counts: {"mean": counts @ scores / len(scores)}, ONES, **more)


def test_means_of_one_system():
    found = of_means([{"a": FIRST, "b": SECOND}], SAMPLING)
    assert found.intervals == {"a": bootstrap.interval(FIRST, *HOW), "b": bootstrap.interval(SECOND, *HOW)}
    assert found.values == {"a": FIRST.mean(), "b": SECOND.mean()}
    assert found.against is None
    assert found.differences is None


def test_means_of_two_systems():
    found = of_means([{"a": FIRST}, {"a": SECOND}], SAMPLING)
    assert found.against == {"a": SECOND.mean()}
    assert found.differences == {"a": bootstrap.paired_difference(FIRST, SECOND, *HOW)}
    with pytest.raises(ValueError, match="expected a list of at least one number"):
        of_means([{"a": []}], SAMPLING)


def test_samples_are_drawn_alike():
    drawn = [
        np.concatenate([counts @ scores / 6 for counts in bootstrap.draws(ONES, 5, 200)]) for scores in (FIRST, SECOND)
    ]
    found = of_samples([sample(FIRST), sample(SECOND)], SAMPLING, {"mean": 0.25})
    assert found.intervals == {"mean": bootstrap.around(FIRST.mean(), drawn[0], 0.9)}
    assert found.against == {"mean": SECOND.mean()}
    apart = bootstrap.compared(FIRST.mean() - SECOND.mean(), drawn[0] - drawn[1], 0.9, 0.25)
    assert found.differences == {"mean": apart}
    assert of_samples([sample(FIRST)], SAMPLING).intervals == found.intervals


def test_a_system_may_be_drawn_alone_for_its_intervals():
    alone = Sample({"mean": 0.625}, lambda counts: {"mean": counts[:, 0] / 6}, np.array([4, 2]))
    found = of_samples([sample(FIRST), sample(SECOND)], SAMPLING, None, alone)
    assert found.intervals == of_samples([alone], SAMPLING).intervals
    assert found.differences == of_samples([sample(FIRST), sample(SECOND)], SAMPLING).differences


def test_a_measure_that_is_not_defined_is_none():
    none = Sample({"r": None}, lambda counts: {"r": np.full(len(counts), np.nan)}, ONES)
    some = Sample({"r": 0.5}, lambda counts: {"r": counts[:, 0] / 6}, ONES)
    found = of_samples([some, none], SAMPLING)
    assert found.against == {"r": None}
    assert found.differences == {"r": None}
    assert of_samples([none], SAMPLING).values == {"r": None}


def test_no_resamples_no_intervals():
    none = bootstrap.Sampling(resamples=0)
    assert of_samples([sample(FIRST)], none).intervals == {"mean": (0.625, None, None)}
    assert of_means([{"a": FIRST}], none).intervals == {"a": (0.625, None, None)}
