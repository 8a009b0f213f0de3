"""`linear_models.ridge_regression`: scikit-learn's Ridge."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.linear_model import Ridge

from lmkit.linear_models import ridge_regression
from lmkit.linear_models.sparse_matrix import SparseMatrix


@pytest.mark.parametrize("l2", [1.0, 1e-3])
def test_values_are_scikit_learns(l2):
    rng = np.random.default_rng(0)
    dense = np.where(rng.random((100, 30)) < 0.2, rng.random((100, 30)), 0.0)
    values = dense @ rng.normal(size=30) + 5 + rng.normal(size=100) / 10
    found = csr_matrix(dense)
    x = SparseMatrix(found.indptr.astype(np.int64), found.indices.astype(np.int64), found.data, 30)
    fitted = ridge_regression.fit(x, values, l2)
    assert fitted(x)[0] == pytest.approx(Ridge(alpha=l2).fit(dense, values).predict(dense), abs=1e-4)
