"""Losses of word vectors against numbers by hand, and gradients against finite differences."""

import numpy as np
import pytest

from lmkit.word_vectors.losses import negative_sampling, softmax
from lmkit.word_vectors.numpy_kernels import Batch, NumpyKernel
from lmkit.word_vectors.training_plan import Corpus, TrainingConfig

STEP = 1e-6


def test_negative_sampling_by_hand():
    inputs, outputs = np.array([[[1.0, 0]]]), np.array([[[2.0, 0], [1, 1], [-1, 0]]])
    loss, inward, _ = negative_sampling(inputs, outputs, np.array([1.0, 0, 0]), np.ones((1, 1, 3)))
    assert loss == pytest.approx(1.7534514, abs=1e-7)
    s = 1 / (1 + np.exp([-2.0, -1.0, 1.0])) - [1, 0, 0]
    np.testing.assert_allclose(inward[0, 0], s @ outputs[0])


def test_softmax_by_hand_for_two_words():
    loss, _, _ = softmax(np.array([[1.0, 2]]), np.array([[0.5, 0], [0, 1.0]]), np.array([0]))
    assert loss == pytest.approx(np.log(1 + np.exp(2 - 0.5)))


def test_saturated_products_are_finite():
    loss, inward, outward = negative_sampling(
        np.full((1, 1, 2), 1e3), np.array([[[-1e3, 0], [1e3, 0]]]), np.array([1.0, 0]), np.ones((1, 1, 2))
    )
    assert loss == pytest.approx(2e6)
    assert np.isfinite(inward).all()
    assert np.isfinite(outward).all()


def kernel_and_batch(**settings):
    plan = TrainingConfig(dim=5, window=2, negatives=3, **settings)
    kernel = NumpyKernel(Corpus(np.zeros(0, np.int32), np.array([0, 0, 0, 5, 4, 3, 2, 1])), plan)
    words = np.array([3, 4, 6], dtype=np.int32)
    neighbours = np.array([[4, 5, 4, 3], [3, 7, 6, 5], [5, 5, 5, 5]], dtype=np.int32)
    there = np.array([[True, True, True, False], [True, True, True, True], [False, False, True, True]])
    drawn = np.array([[4, 4, 5], [4, 3, 7], [3, 5, 7]], dtype=np.int32)  # twice the same, and the word itself
    return kernel, Batch(words, neighbours, there, drawn)


def differences(kernel, batch, vectors):
    """Gradients by finite differences."""
    gradients = np.zeros_like(vectors)
    for place in np.ndindex(vectors.shape):
        moved = [vectors.copy(), vectors.copy()]
        moved[0][place] += STEP
        moved[1][place] -= STEP
        above, below = (kernel.gradients(batch, one)[0] for one in moved)
        gradients[place] = (above - below) / (2 * STEP)
    return gradients


def summed(kernel, batch, vectors):
    found = np.zeros_like(vectors)
    for matrix, (rows, gradient) in zip(found, kernel.gradients(batch, vectors)[2:], strict=True):
        np.add.at(matrix, rows, gradient)
    return found


@pytest.mark.parametrize("loss", ["negative-sampling", "softmax"])
@pytest.mark.parametrize("architecture", ["skipgram", "cbow"])
def test_gradients_are_those_of_the_loss(architecture, loss):
    kernel, batch = kernel_and_batch(architecture=architecture, combine="sum", loss=loss)
    vectors = np.random.default_rng(3).normal(size=(2, 8, 5))
    np.testing.assert_allclose(summed(kernel, batch, vectors), differences(kernel, batch, vectors), atol=1e-6)


@pytest.mark.parametrize("loss", ["negative-sampling", "softmax"])
def test_each_word_of_a_mean_gets_the_whole_error_as_in_word2vec(loss):
    kernel, batch = kernel_and_batch(architecture="cbow", combine="mean", loss=loss)
    window = Batch(*(part[1:2] for part in batch))
    vectors = np.random.default_rng(4).normal(size=(2, 8, 5))
    found, expected = summed(kernel, window, vectors), differences(kernel, window, vectors)
    np.testing.assert_allclose(found[0], 4 * expected[0], atol=4e-6)
    np.testing.assert_allclose(found[1], expected[1], atol=1e-6)
