"""Diversity of texts, against the definitions spelled out, figures by hand, and sacrebleu."""

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lmkit.metrics.diversity import LINE_END, Texts, drawn, encode, measure, n_grams
from lmkit.metrics.self_bleu import closest
from lmkit.tokenization import tokenizers

WORDS = st.lists(st.sampled_from("abcd"), max_size=9)
CORPORA = st.lists(WORDS, min_size=1, max_size=7)


def collected(texts, kind="word"):
    found, learner = Texts(), tokenizers.learner(kind)
    data = [text.encode() for text in texts]
    found.add(data, *encode(learner, data, words=kind == "word"))
    return found


def measured(texts, order=4, **options):
    return measure(collected([" ".join(text) for text in texts]), order, **options)


def grams(text, n):
    return [tuple(text[i : i + n]) for i in range(len(text) - n + 1)]


def bleu(text, others, order):
    """Papineni et al. 2002, with each reference counted for itself."""
    logs = []
    for n in range(1, min(order, len(text)) + 1):
        own = Counter(grams(text, n))
        matches = sum(min(count, max(grams(other, n).count(gram) for other in others)) for gram, count in own.items())
        if n == 1 and not matches:
            return 0.0
        logs.append(math.log((matches or 0.1) / own.total()))
    reference = min((abs(len(other) - len(text)), len(other)) for other in others)[1]
    return math.exp(min(0.0, 1 - reference / len(text)) + sum(logs) / len(logs))


def mean(numbers):
    numbers = list(numbers)
    return pytest.approx(math.fsum(numbers) / len(numbers), rel=1e-12, abs=1e-15) if numbers else None


@given(CORPORA, st.integers(1, 5))
@example([[]], 2)
@example([["a"]], 3)
def test_figures_are_those_of_the_definitions(texts, order):
    got = measured(texts, order)
    tokens = [token for text in texts for token in text]
    assert (got.texts, got.tokens, got.vocabulary) == (len(texts), len(tokens), len(set(tokens)))
    assert got.empty == texts.count([])
    assert got.duplicates == pytest.approx(sum(text in texts[:i] for i, text in enumerate(texts)) / len(texts))
    for n in range(1, order + 1):
        every = [grams(text, n) for text in texts if len(text) >= n]
        flat = [gram for some in every for gram in some]
        assert got.distinct[n - 1] == (len(set(flat)) / len(flat) if flat else None)
        assert got.repetition[n - 1] == mean(1 - len(set(some)) / len(some) for some in every)
    assert got.type_token_ratio == got.distinct[0]


@given(CORPORA, st.integers(1, 5))
def test_self_bleu_is_the_mean_bleu_against_all_others(texts, order):
    full = [text for text in texts if text]
    others = [full[:i] + full[i + 1 :] for i in range(len(full))]
    scores = [bleu(text, rest, order) for text, rest in zip(full, others, strict=True)] if len(full) > 1 else []
    assert measured(texts, order).self_bleu == mean(scores)


@given(st.lists(st.lists(st.sampled_from("abcde"), min_size=1, max_size=12), min_size=2, max_size=8), st.integers(1, 5))
def test_self_bleu_is_that_of_sacrebleu(texts, order):
    real = pytest.importorskip("sacrebleu.metrics")
    judge = real.BLEU(
        smooth_method="floor", smooth_value=0.1, effective_order=True, tokenize="none", max_ngram_order=order
    )
    lines = [" ".join(text) for text in texts]
    scores = [judge.sentence_score(line, lines[:i] + lines[i + 1 :]).score / 100 for i, line in enumerate(lines)]
    assert measured(texts, order).self_bleu == mean(scores)


def test_by_hand():
    got = measured([["a", "b", "a", "b", "a"], ["a", "b", "c"], ["a", "b", "c"], []], 3)
    assert (got.texts, got.empty, got.tokens, got.mean_length, got.vocabulary) == (4, 1, 11, 2.75, 3)
    assert got.duplicates == 0.25
    assert got.distinct == [3 / 11, 3 / 8, 3 / 5]  # ab ba bc; aba bab abc
    assert got.repetition == [
        pytest.approx((3 / 5 + 0 + 0) / 3),
        pytest.approx((2 / 4 + 0 + 0) / 3),
        pytest.approx((1 / 3) / 3),
    ]


def test_clipping_and_brevity_by_hand():
    """Of `a a a a b` two a's and the b are in `a a b`, and of this all in the other, which is longer."""
    got = measured([["a", "a", "a", "a", "b"], ["a", "a", "b"]], 1)
    assert got.self_bleu == pytest.approx((3 / 5 + math.exp(1 - 5 / 3)) / 2)
    assert closest(np.array([5, 3, 7, 5, 9])).tolist() == [5, 5, 5, 5, 7]
    assert closest(np.array([2, 2, 9])).tolist() == [2, 2, 2]
    assert closest(np.array([4, 1, 7])).tolist() == [1, 4, 4]


def test_the_same_text_again_and_again_and_texts_that_share_nothing():
    same = measured([["a", "b", "c", "d", "e"]] * 3)
    assert same.self_bleu == 1
    assert same.duplicates == pytest.approx(2 / 3)
    assert measured([["a", "b"], ["c", "d"]]).self_bleu == 0
    assert measured([["a", "b"]]).self_bleu is None
    assert measured([["a", "b"], []]).self_bleu is None


def test_texts_of_a_loop_repeat():
    assert measured([["a", "b"] * 50], 4).repetition == [98 / 100, 97 / 99, 96 / 98, 95 / 97]


def test_no_text_at_all_has_no_figures():
    got = measure(Texts(), 2)
    assert (got.texts, got.tokens, got.duplicates, got.mean_length) == (0, 0, None, None)
    assert (got.distinct, got.repetition, got.self_bleu) == ([None, None], [None, None], None)


@given(CORPORA, CORPORA)
def test_joined_texts_are_measured_as_one(first, second):
    learner = tokenizers.learner("word")
    parts = []
    for texts in first, second:
        data = [" ".join(text).encode() for text in texts]
        parts.append(Texts())
        parts[-1].add(data, *encode(learner, data, words=True))
    parts[0].join(parts[1])
    assert measure(parts[0], 3) == measured(first + second, 3)


# Lines within texts.


@pytest.mark.parametrize(
    ("kind", "text", "lengths"),
    [("word", "a b\nc", 3), ("char", "a b\nc", 5), ("byte", "é\n\n", 4), ("word", "\n", 0), ("char", "\n", 1)],
)
def test_line_ends_within_a_text(kind, text, lengths):
    data = [b"x", text.encode(), b"", b"yz"]
    ids, found = encode(tokenizers.learner(kind), data, words=kind == "word")
    assert found.tolist() == [1, lengths, 0, 1 if kind == "word" else 2]
    assert len(ids) == found.sum()
    assert (ids == LINE_END).sum() == (0 if kind == "word" else text.count("\n"))


def test_n_grams_do_not_reach_over_line_ends_unseen():
    char = collected(["a\nb", "ab"], "char")
    assert measure(char, 2).distinct == [3 / 5, 1.0]


# Drawing.


def test_self_bleu_among_some():
    texts = [["a", "b", str(i), str(i * i % 7), "c"] for i in range(40)]
    chosen = drawn(np.ones(40, dtype=bool), 7, 3)
    assert len(set(chosen.tolist())) == 7
    assert chosen.tolist() == sorted(chosen.tolist())
    assert measured(texts, most=7, seed=3).self_bleu == measured([texts[i] for i in chosen.tolist()]).self_bleu
    assert chosen.tolist() != drawn(np.ones(40, dtype=bool), 7, 4).tolist()
    assert measured(texts, most=40, seed=3) == measured(texts)


def test_every_text_is_drawn_as_often():
    counts = sum(np.bincount(drawn(np.ones(6, dtype=bool), 2, seed), minlength=6) for seed in range(600))
    assert abs(counts - 200).max() < 5 * math.sqrt(600 * (1 / 3) * (2 / 3))


def test_numbers_of_n_grams_do_not_depend_on_how_they_are_found():
    """A few kinds of n-grams are told apart by a table, many by sorting."""
    generator = np.random.default_rng(0)
    for kinds in 3, 5000:
        ids = generator.integers(0, kinds, 400).astype(np.int32)
        counted = list(n_grams(ids, np.array([150, 0, 250]), 3))
        for n, one in enumerate(counted, 1):
            text = ids.tolist()
            expected = set(grams(text[:150], n)) | set(grams(text[150:], n))
            assert one.distinct == len(expected)
            assert one.counts.sum() == 400 - 2 * (n - 1)
