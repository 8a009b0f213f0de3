"""`linear_models.softmax_regression`: scikit-learn's LogisticRegression at convergence."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression

from lmkit.linear_models import softmax_regression
from lmkit.linear_models.sparse_matrix import SparseMatrix


@pytest.fixture(params=[2, 3])
def problem(request):
    """Sparse rows of length 1, one of them empty, and labels that depend on them."""
    rng = np.random.default_rng(request.param)
    dense = np.where(rng.random((200, 30)) < 0.2, rng.random((200, 30)), 0.0)
    dense[7] = 0.0
    dense /= np.maximum(np.linalg.norm(dense, axis=1, keepdims=True), 1e-9)
    labels = (dense @ rng.normal(size=(30, request.param)) + rng.gumbel(size=(200, request.param)) / 3).argmax(axis=1)
    found = csr_matrix(dense)
    x = SparseMatrix(found.indptr.astype(np.int64), found.indices.astype(np.int64), found.data, 30)
    return x, dense, labels.astype(np.int64)


@pytest.mark.parametrize("l2", [1.0, 0.01])
@pytest.mark.parametrize("weighted", [False, True])
def test_probabilities_are_scikit_learns(problem, l2, weighted):
    x, dense, labels = problem
    costs = np.linspace(0.5, 2.0, len(labels)) if weighted else None
    fitted = softmax_regression.fit(x, labels, labels.max() + 1, l2, costs=costs)
    peer = LogisticRegression(C=1 / l2, tol=1e-10, max_iter=10_000).fit(dense, labels, costs)
    found = np.exp(softmax_regression.log_probabilities(fitted(x))).T
    assert found == pytest.approx(peer.predict_proba(dense), abs=1e-4)


def test_a_start_does_not_change_the_optimum(problem):
    x, _, labels = problem
    strong = softmax_regression.fit(x, labels, labels.max() + 1, 3.0)
    steps = []
    one = softmax_regression.fit(x, labels, labels.max() + 1, 0.1, start=strong, done=steps.append)
    other = softmax_regression.fit(x, labels, labels.max() + 1, 0.1)
    assert one(x) == pytest.approx(other(x), abs=0.01)
    assert 1 < len(steps) < 20


def test_columns_and_rows_of_a_matrix(problem):
    x, dense, _ = problem
    rng = np.random.default_rng(0)
    assert x.dot(rng.random((3, 30))) == pytest.approx(np.random.default_rng(0).random((3, 30)) @ dense.T)
    vectors = rng.random((2, 200))
    assert x.transposed_dot(vectors) == pytest.approx(vectors @ dense)
    chosen = rng.random(200) < 0.5
    assert pytest.approx(dense[chosen]) == x.take(chosen).dot(np.eye(30)).T
