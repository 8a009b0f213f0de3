"""Measures of predicted numbers: equal to scipy's and scikit-learn's."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics as learned

from lmkit.metrics import bootstrap, regression

FLOATS = st.floats(-1e3, 1e3, allow_subnormal=False).map(lambda x: round(x, 3))
PAIRS = st.lists(st.tuples(FLOATS, FLOATS) | st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=2, max_size=30)


def sides(pairs):
    return [np.array(side, dtype=float) for side in zip(*pairs, strict=True)]


@settings(max_examples=50)
@given(PAIRS)
def test_measures_are_those_of_scipy_and_scikit_learn(pairs):
    gold, predicted = sides(pairs)
    found = regression.measured(gold, predicted)
    assert found["mse"] == pytest.approx(learned.mean_squared_error(gold, predicted), rel=1e-12, abs=1e-12)
    assert found["mae"] == pytest.approx(learned.mean_absolute_error(gold, predicted), rel=1e-12, abs=1e-12)
    if len(set(gold)) == 1 or len(set(predicted)) == 1:
        assert found["pearson"] is found["spearman"] is None
    else:
        assert found["pearson"] == pytest.approx(stats.pearsonr(gold, predicted).statistic, abs=1e-12)
        assert found["spearman"] == pytest.approx(stats.spearmanr(gold, predicted).statistic, abs=1e-12)


@settings(max_examples=50)
@given(PAIRS, st.integers(0, 9))
def test_counts_of_items_stand_for_items(pairs, seed):
    """A sample given as counts of items has the measures of its items written out."""
    gold, predicted = sides(pairs)
    counts = np.concatenate(list(bootstrap.draws(np.ones(len(gold), dtype=np.int64), seed, 3)))
    found = regression.Sampled(gold, predicted)(counts)
    for place, row in enumerate(counts):
        written = regression.measured(np.repeat(gold, row), np.repeat(predicted, row))
        for name, value in written.items():
            if value is None:
                assert np.isnan(found[name][place])
            else:
                assert found[name][place] == pytest.approx(value, rel=1e-9, abs=1e-9)


@settings(max_examples=50)
@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(0, 3)), min_size=3, max_size=12).filter(
        lambda rows: any(row[2] for row in rows)
    )
)
def test_ranks_of_counts_are_those_of_items_written_out(rows):
    """Whole numbers with many ties, any counts: the correlation of ranks is scipy's, of items written out."""
    gold, predicted, counts = np.array(rows).T
    found = regression.Sampled(gold.astype(float), predicted.astype(float))(counts[None])["spearman"][0]
    x, y = np.repeat(gold, counts), np.repeat(predicted, counts)
    if len(set(x)) < 2 or len(set(y)) < 2:
        assert np.isnan(found)
    else:
        assert found == pytest.approx(stats.spearmanr(x, y).statistic, abs=1e-12)
