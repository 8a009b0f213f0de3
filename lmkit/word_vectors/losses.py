"""The losses of word vectors and their gradients, in nats. Knows no words.

Shapes: B windows, I inputs of each, O outputs of each, P pairs, V words, D numbers in a vector.
"""

import numpy as np

from lmkit.protocols import Floats, Ints


def sigmoid(x: Floats) -> Floats:
    """1 / (1 + exp -x), without overflow."""
    result: Floats = np.exp(-np.logaddexp(0, -x))
    return result


def negative_sampling(inputs: Floats, outputs: Floats, labels: Floats, weights: Floats) -> tuple[float, Floats, Floats]:
    """-sum log sigma(u_o v_c) - sum log sigma(-u_n v_c), over pairs of each window's inputs and outputs.

    inputs   (B, I, D) vectors v
    outputs  (B, O, D) vectors u
    labels   (O,) 1 for the word itself, 0 for negatives
    weights  (B, I, O) how often a pair counts; 0 where there is none

    Returns the loss and its gradients by inputs and outputs. Mikolov et al. (2013), equation 4.
    """
    products = inputs @ outputs.swapaxes(1, 2)
    signs = 2 * labels - 1
    loss = float((weights * np.logaddexp(0, -signs * products)).sum(dtype=np.float64))
    errors = weights * (sigmoid(products) - labels)
    return loss, errors @ outputs, errors.swapaxes(1, 2) @ inputs


def softmax(inputs: Floats, outputs: Floats, targets: Ints) -> tuple[float, Floats, Floats]:
    """-sum log P(a | b), where P(a | b) = exp(u_a v_b) / sum_w exp(u_w v_b).

    inputs   (P, D) vectors v_b
    outputs  (V, D) vectors u of all words
    targets  (P,) which output is a

    Returns the loss and its gradients by inputs and outputs. Mikolov et al. (2013), equations 1 and 2.
    """
    products = inputs @ outputs.T
    products -= products.max(axis=1, keepdims=True)
    rows = np.arange(len(targets))
    hit = products[rows, targets]
    np.exp(products, out=products)
    totals = products.sum(axis=1, keepdims=True)
    loss = float((np.log(totals[:, 0]) - hit).sum(dtype=np.float64))
    products /= totals
    products[rows, targets] -= 1
    return loss, products @ outputs, products.T @ inputs
