"""What word vectors are trained to make small, on vectors that fit on a page, in float64. Knows no words.

Each word has two vectors: v as the centre of a window, u as one of its context.

Shapes: K negatives, V words, T tokens, D numbers in a vector.
"""

from typing import NamedTuple

import numpy as np

from lmkit.protocols import F64, I64, Floats
from lmkit.word_vectors import losses


class Sampled(NamedTuple):
    """A loss in nats and its gradients by the centre, (D,), the context, (D,), and the negatives, (K, D)."""

    nats: float
    centre: Floats
    context: Floats
    negatives: Floats


class Whole(NamedTuple):
    """A loss in nats a token and its gradients by all vectors of both kinds, (V, D)."""

    nats: float
    centres: Floats
    contexts: Floats


def negative_sampling(centre: F64, context: F64, negatives: F64) -> Sampled:
    """-log s(u_o v_c) - sum_k log s(-u_k v_c), where s(x) = 1 / (1 + exp(-x)); see `losses`.

    All products are with the centre's vector v_c. Mikolov et al. (2013), Distributed Representations of Words and
    Phrases and their Compositionality, equation 4.
    """
    outputs = np.concatenate((context[None], negatives))
    labels = np.array([1.0] + [0.0] * len(negatives))
    ones = np.ones((1, 1, len(outputs)))
    nats, by_inputs, by_outputs = losses.negative_sampling(centre[None, None], outputs[None], labels, ones)
    by_outputs += 0.0  # no -0
    return Sampled(nats, by_inputs[0, 0], by_outputs[0, 0], by_outputs[0, 1:])


def log_probabilities(centres: F64, contexts: F64) -> F64:
    """log P(a | b) = u_a v_b - log sum_w exp(u_w v_b) in nats: a row for each centre b, a column for each word a."""
    logits = centres @ contexts.T
    logits -= logits.max(axis=1, keepdims=True)
    logs: F64 = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    return logs


def pairs(ids: I64, window: int) -> tuple[I64, I64]:
    """Centres of a text and the words within `window` words of each, (P,) and (P,)."""
    reach = range(1, min(window, len(ids) - 1) + 1)
    before = [(ids[distance:], ids[:-distance]) for distance in reach]
    after = [(other, centre) for centre, other in before]
    none = np.zeros(0, dtype=np.int64)
    centres, others = zip(*before, *after, (none, none), strict=True)
    return np.concatenate(centres), np.concatenate(others)


def softmax_loss(centres: F64, contexts: F64, ids: I64, window: int) -> Whole:
    """J = -1/T log L of a text of T ids, L = prod_t prod_j P(w_t+j | w_t), 0 < |j| <= `window`; see `losses`.

    Mikolov et al. (2013), equations 1 and 2.
    """
    inputs, targets = pairs(ids, window)
    nats, by_inputs, by_contexts = losses.softmax(centres[inputs], contexts, targets)
    by_centres = np.zeros_like(centres)
    np.add.at(by_centres, inputs, by_inputs)
    return Whole(nats / len(ids), by_centres / len(ids), by_contexts / len(ids))
