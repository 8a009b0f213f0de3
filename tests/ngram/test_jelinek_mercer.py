"""Weights of Jelinek-Mercer smoothing: on held-out text, and by leaving one out."""

import itertools
import math

import numpy as np
import oracle
import pytest
import small_models as small
from hypothesis import given, settings
from hypothesis import strategies as st

from lmkit.ngram import jelinek_mercer
from lmkit.ngram.smoothing import BUCKETS, bucket

quick = settings(deadline=None, max_examples=25)


def tuned(sentences, order, held_out=None):
    done = small.counted(sentences, order)
    if held_out is None:
        return jelinek_mercer.leaving_one_out(done.counts, done.tokenizer.size)
    lines = [done.tokenizer.encode_block(small.text_of(part)) for part in held_out]
    return jelinek_mercer.on_heldout(done.counts, done.tokenizer.size, lines)


def chain(weights, evidence, uniform):
    """p of one token: from the uniform up, by (c, C) of each order whose context is known."""
    p = uniform
    for order, (count, total) in enumerate(evidence):
        if total > 0:
            own = weights[order][min(total.bit_length() - 1, BUCKETS - 1)]
            p = own * count / total + (1 - own) * p
    return p


def events(sentences, order):
    """Every token with the histories of 0, 1, ... words before it, shortest first."""
    for sentence in oracle.marked(sentences):
        for at in range(1, len(sentence)):
            yield [sentence[at - length : at + 1] for length in range(min(order, at + 1))]


def left_out(sentences, order):
    """(c, C) of each token at each order, the token itself not counted."""
    counts = oracle.count(sentences, order)
    totals = [{} for _ in range(order)]
    for place, level in enumerate(counts):
        for gram, number in level.items():
            if gram != ("<s>",):
                totals[place][gram[:-1]] = totals[place].get(gram[:-1], 0) + number
    for grams in events(sentences, order):
        yield [(counts[place][gram] - 1, totals[place][gram[:-1]] - 1) for place, gram in enumerate(grams)]


def mean_log(weights, rows, size):
    return math.fsum(math.log(max(chain(weights, row, 1 / size), 1e-300)) for row in rows) / len(rows)


def likelihood(sentences, order, weights, held_out):
    """Mean nats of the held-out text under the model as it is really estimated."""
    return small.nats(small.model(sentences, order, "jelinek-mercer", weights=weights), held_out).mean()


def shared(order, values):
    """All ways to give each order one weight."""
    for point in itertools.product(values, repeat=order):
        yield [[value] * BUCKETS for value in point]


@pytest.mark.few(1)
@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("seed", range(3))
def test_held_out_weights_are_no_worse_than_a_grid(order, seed):
    sentences, held_out = small.zipf(seed, 80, types=80), small.zipf(seed + 50, 20, types=100)
    weights = tuned(sentences, order, [held_out])
    found = likelihood(sentences, order, weights, held_out)
    values = [0, 0.2, 0.4, 0.6, 0.8, 0.95]
    assert found >= max(likelihood(sentences, order, point, held_out) for point in shared(order, values)) - 1e-5


@pytest.mark.few(3)
@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("seed", range(3))
def test_no_small_change_improves_held_out_weights(order, seed):
    sentences, held_out = small.zipf(seed, 80, types=80), small.zipf(seed + 50, 20, types=100)
    weights = tuned(sentences, order, [held_out])
    best = likelihood(sentences, order, weights, held_out)
    for place, kind, step in itertools.product(range(order), range(8), (-0.1, 0.1)):
        other = [list(row) for row in weights]
        other[place][kind] = min(max(other[place][kind] + step, 0), 0.999)
        assert likelihood(sentences, order, other, held_out) <= best + 1e-5


@quick
@given(small.corpora("abc"), st.integers(1, 3), small.corpora("abcz", most=4), st.integers(0, 4))
def test_blocks_of_held_out_text_do_not_show(sentences, order, held_out, cut):
    whole = tuned(sentences, order, [held_out])
    parts = tuned(sentences, order, [held_out[:cut], held_out[cut:]])
    np.testing.assert_allclose(whole, parts, rtol=0, atol=1e-9)


@pytest.mark.parametrize("order", [1, 2])
def test_without_held_out_text_the_weights_stay(order):
    weights = tuned([["a", "b"]], order, [])
    assert weights == [[0.5] * BUCKETS] * order


@pytest.mark.few(3)
@pytest.mark.parametrize("order", [1, 2, 3, 4])
@pytest.mark.parametrize("seed", range(3))
def test_no_change_improves_weights_left_one_out(order, seed):
    """The objective by brute force: each occurrence predicted from all the others."""
    sentences = small.zipf(seed, 60, types=60)
    size = len(oracle.vocabulary(sentences)) - 1
    rows = list(left_out(sentences, order))
    weights = tuned(sentences, order)
    best = mean_log(weights, rows, size)
    for place, kind, step in itertools.product(range(order), range(9), (-0.2, -0.05, 0.05, 0.2)):
        other = [list(row) for row in weights]
        other[place][kind] = min(max(other[place][kind] + step, 0), 1)
        assert mean_log(other, rows, size) <= best + 1e-5, (place, kind, step)
    values = [0, 0.25, 0.5, 0.75, 0.95]
    assert best >= max(mean_log(point, rows, size) for point in shared(order, values[: 7 - order])) - 1e-5


@quick
@given(small.corpora("abc", more=("<unk>",)), st.integers(1, 3))
def test_left_one_out_weights_of_tiny_texts(sentences, order):
    """Better than after one round of EM by hand, and another round would hardly help."""
    rows = list(left_out(sentences, order))
    size = len(oracle.vocabulary(sentences)) - 1
    weights = tuned(sentences, order)
    assert [len(row) for row in weights] == [BUCKETS] * order
    assert all(0 <= weight < 1 for row in weights for weight in row)
    halves = [[0.5] * BUCKETS] * order
    assert mean_log(weights, rows, size) >= mean_log(one_round(halves, rows, size), rows, size) - 1e-6
    again = one_round(weights, rows, size)
    assert mean_log(again, rows, size) <= mean_log(weights, rows, size) + 1e-3


def one_round(weights, rows, size):
    """Expectation and maximisation: the share of a class's tokens that its own count explains."""
    taken = [[0.0] * BUCKETS for _ in weights]
    came = [[0.0] * BUCKETS for _ in weights]
    for row in rows:
        whole = [chain(weights, row[:place], 1 / size) for place in range(len(row) + 1)]
        reach = 1.0
        for place in range(len(row) - 1, -1, -1):
            count, total = row[place]
            if total <= 0:
                continue
            kind = total.bit_length() - 1
            own = weights[place][kind] * count / total / whole[place + 1] if whole[place + 1] else 0.0
            taken[place][kind] += reach * own
            came[place][kind] += reach
            reach *= 1 - own
    return [
        [t / c if c else w for t, c, w in zip(*columns, strict=True)]
        for columns in zip(taken, came, weights, strict=True)
    ]


def test_the_first_round_is_that_of_em(monkeypatch):
    monkeypatch.setattr(jelinek_mercer, "ROUNDS", 1)
    for seed, order in itertools.product(range(3), (1, 2, 3)):
        sentences = small.zipf(seed, 40, types=30)
        rows = list(left_out(sentences, order))
        size = len(oracle.vocabulary(sentences)) - 1
        expected = one_round([[0.5] * BUCKETS] * order, rows, size)
        np.testing.assert_allclose(tuned(sentences, order), np.minimum(expected, 1 - 1e-9), rtol=0, atol=1e-9)


def test_classes_of_contexts():
    totals = np.array([1, 2, 3, 4, 7, 8, 1023, 1024, 1 << 23, 1 << 40])
    assert bucket(totals).tolist() == [0, 1, 1, 2, 2, 3, 9, 10, 23, 23]
