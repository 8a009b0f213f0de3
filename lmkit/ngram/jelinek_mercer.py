"""Jelinek-Mercer weights by EM, on held-out text or by leaving one out of the counts.

p_k(w | h) = l c / C + (1 - l) p_{k-1}(w | h'), where l depends on the order and on the class of
C (see `smoothing.bucket`). EM: the weight of a class becomes the share of its tokens, weighted
by how likely the chain came down to that order, that its own count would have explained.
Jelinek and Mercer (1980); leaving one out: Ney, Essen and Kneser (1994).

Shapes: N token occurrences (or distinct n-grams with weights), K orders, B classes.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from lmkit.ngram.counting import mark
from lmkit.ngram.smoothing import BUCKETS, bucket
from lmkit.ngram.tables import SHIFT, Counts, beginning_with, find_keys
from lmkit.protocols import F64, I32, I64
from lmkit.tokenization.vocabulary import BOS

ROUNDS = 100
TOLERANCE = 1e-7  # nats a token


class Evidence(NamedTuple):
    """What each order says of each token: c / C, (N,), and the class of C, (N,), -1 where h was never seen."""

    ratio: F64
    kind: I64


def _totals(counts: Counts, order: int) -> I64:
    """C of each context of an order: the sum of counts after it, indexed by the context's id."""
    if order == 1:
        first = counts.levels[0].count.astype(np.int64)
        return np.array([first.sum() - first[BOS]])
    level = counts.levels[order - 1]
    totals = np.bincount(level.key >> SHIFT, weights=level.count, minlength=len(counts.levels[order - 2]))
    return totals.astype(np.int64)


def on_heldout(counts: Counts, size: int, lines: Sequence[tuple[I32, I64]]) -> list[list[float]]:
    """Weights, (K, B), that EM finds on encoded lines of held-out text."""
    text = np.concatenate([mark(ids, ends) for ids, ends in lines]) if lines else np.zeros(0, dtype=np.int32)
    real = text != BOS
    if not real.any():
        return [[0.5] * BUCKETS for _ in counts.levels]
    evidence = []
    grams = np.where(real, 0, 0)
    for order, level in enumerate(counts.levels, 1):
        totals = _totals(counts, order)
        if order == 1:
            contexts, found = np.zeros(len(text), dtype=np.int64), text.astype(np.int64)
        else:
            contexts = np.concatenate(([-1], grams[:-1]))
            contexts[~real] = -1
            found = np.full(len(text), -1, dtype=np.int64)
            alive = contexts >= 0
            found[alive] = find_keys(level.key, (contexts[alive] << SHIFT) | text[alive])
        count = np.where(found >= 0, level.count[np.maximum(found, 0)] if len(level) else 0, 0)
        total = np.where(contexts >= 0, totals[np.maximum(contexts, 0)], 0)
        evidence.append(Evidence((count / np.maximum(total, 1))[real], np.where(total > 0, bucket(total), -1)[real]))
        grams = found
    return _expectation_maximisation(evidence, np.ones(int(real.sum())), 1.0 / (size - 1))


def leaving_one_out(counts: Counts, size: int) -> list[list[float]]:
    """Weights, (K, B), from the counts alone: each occurrence is predicted by all the others."""
    rows: list[list[Evidence]] = [[] for _ in counts.levels]
    weights = []
    starts = beginning_with(counts.levels, BOS)
    totals = [_totals(counts, order) for order in range(1, counts.order + 1)]
    for highest in range(counts.order, 0, -1):
        level = counts.levels[highest - 1]
        low, high = (0, len(level)) if highest == counts.order else starts[highest - 1]
        if highest == 1 < counts.order:
            continue  # `<s>` itself is not predicted
        grams = np.arange(low, high)
        weight = level.count[low:high].astype(np.float64)
        if highest == 1:
            weight[BOS] = 0
        weights.append(weight)
        for order in range(counts.order, 0, -1):
            if order > highest:
                rows[order - 1].append(Evidence(np.zeros(high - low), np.full(high - low, -1)))
                continue
            at = counts.levels[order - 1]
            contexts = at.key[grams] >> SHIFT if order > 1 else np.zeros(len(grams), dtype=np.int64)
            count, total = at.count[grams].astype(np.int64) - 1, totals[order - 1][contexts] - 1
            rows[order - 1].append(Evidence(count / np.maximum(total, 1), np.where(total > 0, bucket(total), -1)))
            if order > 1:
                grams = at.suffix[grams].astype(np.int64) if order > 2 else at.key[grams] & ((1 << SHIFT) - 1)
    evidence = [Evidence(*(np.concatenate(column) for column in zip(*row, strict=True))) for row in rows]
    return _expectation_maximisation(evidence, np.concatenate(weights), 1.0 / (size - 1))


def _expectation_maximisation(evidence: Sequence[Evidence], weight: F64, uniform: float) -> list[list[float]]:
    """Weights that maximise the likelihood of the evidence, from one half each."""
    weights = np.full((len(evidence), BUCKETS), 0.5)
    before = -np.inf
    for _ in range(ROUNDS):
        own, below, chain = [], [], np.full(len(weight), uniform)
        for order, (ratio, kind) in enumerate(evidence):
            share = np.where(kind >= 0, weights[order][kind], 0.0)
            own.append(share * ratio)
            below.append((1.0 - share) * chain)
            chain = own[-1] + below[-1]
        with np.errstate(divide="ignore", invalid="ignore"):
            likelihood = float((weight * np.where(weight > 0, np.log(chain), 0.0)).sum() / max(1.0, weight.sum()))
        reach = weight.copy()  # how likely the chain came down to this order, times the weight
        for order in range(len(evidence) - 1, -1, -1):
            kind = evidence[order].kind
            whole = own[order] + below[order]
            share = np.divide(own[order], whole, out=np.zeros_like(whole), where=whole > 0)
            seen = kind >= 0
            taken = np.bincount(kind[seen], (reach * share)[seen], BUCKETS)
            came = np.bincount(kind[seen], reach[seen], BUCKETS)
            weights[order] = np.where(came > 0, taken / np.maximum(came, 1e-300), weights[order])
            reach = reach * (1.0 - share)
        if likelihood - before < TOLERANCE:
            break
        before = likelihood
    return [[float(value) for value in row] for row in np.clip(weights, 0.0, 1.0 - 1e-9)]
