"""What word vectors are trained to make small, on vectors that fit on a page, in float64. Knows no words.

Each word has two vectors: v as the centre of a window, u as one of its context.

Shapes: K negatives, V words, T tokens, D numbers in a vector.
"""

from typing import NamedTuple

import numpy as np

from lmkit.protocols import F64, I64


class Sampled(NamedTuple):
    """A loss in nats and its gradients by the centre, (D,), the context, (D,), and the negatives, (K, D)."""

    nats: float
    centre: F64
    context: F64
    negatives: F64


class Whole(NamedTuple):
    """A loss in nats a token and its gradients by all vectors of both kinds, (V, D)."""

    nats: float
    centres: F64
    contexts: F64


def negative_sampling(centre: F64, context: F64, negatives: F64) -> Sampled:
    """-log s(u_o v_c) - sum_k log s(-u_k v_c), where s(x) = 1 / (1 + exp(-x)).

    All products are with the centre's vector v_c. Mikolov et al. (2013), Distributed Representations of Words and
    Phrases and their Compositionality, equation 4.
    """
    vectors = np.concatenate((context[None], negatives))
    signs = np.array([1.0] + [-1.0] * len(negatives))
    products = signs * (vectors @ centre)
    slopes = -signs * np.exp(-np.logaddexp(0, products))  # s(-x), without overflow
    outer = slopes[:, None] * centre
    return Sampled(float(np.logaddexp(0, -products).sum()), slopes @ vectors, outer[0], outer[1:])


def log_probabilities(centres: F64, contexts: F64) -> F64:
    """log P(a | b) = u_a v_b - log sum_w exp(u_w v_b) in nats: a row for each centre b, a column for each word a."""
    logits = centres @ contexts.T
    logits -= logits.max(axis=1, keepdims=True)
    logs: F64 = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    return logs


def pair_counts(ids: I64, window: int, size: int) -> I64:
    """How often each word is within `window` words of each centre, (V, V), centres in rows."""
    counts = np.zeros((size, size), dtype=np.int64)
    for distance in range(1, min(window, len(ids) - 1) + 1):
        np.add.at(counts, (ids[distance:], ids[:-distance]), 1)
        np.add.at(counts, (ids[:-distance], ids[distance:]), 1)
    return counts


def softmax_loss(centres: F64, contexts: F64, ids: I64, window: int) -> Whole:
    """J = -1/T log L of a text of T ids, L = prod_t prod_j P(w_t+j | w_t), 0 < |j| <= `window`.

    Mikolov et al. (2013), equations 1 and 2. With C the counts of pairs, the gradient by the products
    u_a v_b is (P(a | b) sum_w C(b, w) - C(b, a)) / T.
    """
    counts = pair_counts(ids, window, len(centres))
    logs = log_probabilities(centres, contexts)
    errors = (np.exp(logs) * counts.sum(axis=1, keepdims=True) - counts) / len(ids)
    nats = -float(logs[counts > 0] @ counts[counts > 0]) / len(ids)
    return Whole(nats, errors @ contexts, errors.T @ centres)
