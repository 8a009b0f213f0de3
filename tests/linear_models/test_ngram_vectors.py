"""`linear_models.ngram_vectors` and `vector_training`: AdaGrad as written down, word for word; words with vectors."""

import numpy as np
import pytest

from lmkit.linear_models.bag_of_ngrams import BagOfNgrams, BagReader
from lmkit.linear_models.bag_training import Classification, HeldOut, Regression, label_merit
from lmkit.linear_models.ngram_features import NgramSettings
from lmkit.linear_models.ngram_vectors import FIRST, VectorPlan, epochs, random_vectors
from lmkit.linear_models.sparse_matrix import SparseMatrix
from lmkit.linear_models.vector_training import VectorTrainer, WordVectors
from lmkit.tokenization.normalization import Normalization

TEXTS = [("a fine film",), ("so fine",), ("a dull film",), ("dull and dull",), ("",), ("a dog",)]
LABELS = np.array([0, 0, 1, 1, 2, 2])
READER = BagReader(Normalization(("lowercase",)))


def trainer(size=4, words=None, reader=READER, **plan):
    return VectorTrainer(reader, NgramSettings((1, 2)), 1, size, VectorPlan(**plan), words)


def test_an_epoch_is_adagrad_over_dense_matrices():
    rng = np.random.default_rng(0)
    dense = np.where(rng.random((6, 9)) < 0.5, rng.random((6, 9)), 0)
    rows, columns = np.nonzero(dense)
    x = SparseMatrix(np.searchsorted(rows, np.arange(7)), columns, dense[rows, columns], 9)
    plan, start = VectorPlan(epochs=2, batch=4, rate=0.3, seed=5), random_vectors(9, 3, 1)
    found = list(epochs(x, Classification(LABELS, ("a", "b", "c")).slopes, 3, start.copy(), plan))[-1]
    v, w, order = start.astype(np.float64), np.zeros((3, 4)), np.random.default_rng([5, 1])
    v_squares, w_squares = np.full_like(v, FIRST), np.full_like(w, FIRST)
    for epoch in range(2):
        places = order.permutation(6)
        for number, chosen in enumerate((places[:4], places[4:])):
            hidden = np.c_[dense[chosen] @ v, np.ones(len(chosen))]
            odds = np.exp(hidden @ w.T)
            slope = odds / odds.sum(axis=1, keepdims=True) - np.eye(3)[LABELS[chosen]]
            v_change, w_change = dense[chosen].T @ (slope @ w[:, :-1]), slope.T @ hidden
            rate = 0.3 * (1 - (2 * epoch + number) / 4)
            v_squares, w_squares = v_squares + v_change**2, w_squares + w_change**2
            v, w = v - rate * v_change / np.sqrt(v_squares), w - rate * w_change / np.sqrt(w_squares)
    assert found.vectors == pytest.approx(v, abs=1e-5)
    assert np.c_[found.weights, found.biases] == pytest.approx(w, abs=1e-5)
    assert found(x) == pytest.approx(w @ np.c_[dense @ v, np.ones(6)].T, abs=1e-5)


@pytest.mark.parametrize("names", [("a", "b", "c"), ("a", "b")])
def test_a_checkpoint_holds_the_vectors(names):
    task = Classification(np.minimum(LABELS, len(names) - 1), names)
    model = trainer(epochs=30).train(TEXTS, task, None).model
    other = BagOfNgrams.from_checkpoint(model.to_checkpoint({}))
    chances = model.label_probabilities(TEXTS)
    assert other.label_probabilities(TEXTS) == pytest.approx(chances, abs=0)
    assert (chances.argmax(axis=1) == task.labels).all()
    assert trainer(epochs=30).train(TEXTS, task, None).model.to_checkpoint({}).tensors["vectors"] == pytest.approx(
        model.map.vectors, abs=0
    )


def test_numbers_are_learned_in_their_own_unit():
    values = np.array([100.0, 110, 300, 320, 200, 210])
    found = trainer(epochs=200, rate=0.2).train(TEXTS, Regression(values), None).model.predicted_values(TEXTS)
    assert found == pytest.approx(values, abs=15)


def test_the_epoch_of_the_highest_merit_is_kept():
    merits = iter((0.1, 0.2, 0.9, 0.9, 0.3))
    held = HeldOut(TEXTS, lambda _: next(merits))
    done = trainer(epochs=5).train(TEXTS, Classification(LABELS, ("a", "b", "c")), held)
    assert done.epoch == 3
    exact = HeldOut(TEXTS, label_merit("loss", LABELS))
    assert trainer(epochs=5).train(TEXTS, Classification(LABELS, ("a", "b", "c")), exact).epoch == 5


@pytest.mark.parametrize("sides", [1, 2])
def test_words_with_vectors_speak_for_words_that_no_text_had(sides):
    words = WordVectors(
        ["fine", "superb", "dull", "boring", "u.s", "fine"], np.eye(2, dtype=np.float32)[[0, 0, 1, 1, 0, 1]]
    )
    reader = BagReader(Normalization(("lowercase",)), sides)
    items = [text * sides for text in [("fine",), ("dull",)]]
    model = trainer(2, words, reader, epochs=20).train(items, Classification(np.array([0, 1]), ("a", "b")), None).model
    chances = model.label_probabilities([("superb",) * sides, ("boring",) * sides])
    assert chances.argmax(axis=1).tolist() == [0, 1]
