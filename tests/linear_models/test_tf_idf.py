"""`linear_models.tf_idf`: scikit-learn's TfidfVectorizer."""

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer

from lmkit.linear_models.ngram_features import NgramSettings
from lmkit.linear_models.tf_idf import TfIdf

TEXTS = ["the cat sat on the mat", "the dog sat", "a cat, a dog and a bird", "", "bird bird bird the"]


@pytest.mark.parametrize("minimum", [1, 2])
def test_vectors_are_scikit_learns(minimum):
    """Columns are in another order, so products of vectors are compared."""
    settings = {"token_pattern": r"\w+", "ngram_range": (1, 2), "min_df": minimum, "sublinear_tf": True}
    peer = TfidfVectorizer(**settings)
    expected = peer.fit_transform(TEXTS)
    features, x = TfIdf.fit([(text,) for text in TEXTS], NgramSettings((1, 2)), minimum)
    dense = x.dot(np.eye(x.width)).T
    assert dense.shape == expected.shape
    assert dense @ dense.T == pytest.approx((expected @ expected.T).toarray(), abs=1e-6)
    new = ["the unseen cat sat", "nothing of it"]
    others = features.vectors([(text,) for text in new]).dot(np.eye(x.width)).T
    assert others @ dense.T == pytest.approx((peer.transform(new) @ expected.T).toarray(), abs=1e-6)


def test_words_and_characters_are_normalised_apart():
    _, x = TfIdf.fit([(text,) for text in TEXTS], NgramSettings((1, 1), (2, 3)), 1)
    lengths = np.sqrt(x.squared().dot(np.ones((1, x.width)))[0])
    assert lengths == pytest.approx([2**0.5] * 3 + [0.0] + [2**0.5])
