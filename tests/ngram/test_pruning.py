"""Relative-entropy pruning against its definition: the divergence that dropping one n-gram really causes."""

import math

import numpy as np
import oracle
import pytest
import small_models as small
from hypothesis import given, settings
from hypothesis import strategies as st

from lmkit.ngram.backoff_model import NGram
from lmkit.ngram.ngram_lookup import evaluate
from lmkit.ngram.pruning import normalised, prune

quick = settings(deadline=None, max_examples=30)
METHODS = ("modified-kneser-ney", "witten-bell", "absolute", "mle")


def pruned(model, threshold, orders=None):
    tables = prune(model.tables, threshold, orders)
    return NGram(tables, model.tokenizer, {"order": len(tables)})


def distributions(model, longest):
    words = small.pieces(model)
    return small.probabilities(model, list(small.histories(words, longest)), words)


def divergence(grams, words, history, word, p_history):
    """p(h) D(p(.|h) || p'(.|h)) where p' lacks (h, w); `grams` gives p of listed n-grams, b(h) follows from them."""

    def lower(word):
        return conditional(grams, words, history[1:], word)

    listed = {gram[-1]: p for gram, p in grams.items() if gram[:-1] == history}
    left = {w: p for w, p in listed.items() if w != word}
    rest = [w for w in words if w not in left]
    weight = (1 - math.fsum(left.values())) / math.fsum(lower(w) for w in rest)
    total = 0.0
    for w in words:
        old = conditional(grams, words, history, w)
        new = left[w] if w in left else weight * lower(w)
        if old > 0:
            total += old * math.log(old / new)
    return p_history * total


def conditional(grams, words, history, word):
    """p(w | h) from listed probabilities alone, the rest of the mass in proportion to the shorter history's."""
    listed = {gram[-1]: p for gram, p in grams.items() if gram[:-1] == history}
    if word in listed or not history:
        return listed.get(word, 0.0)
    shorter = {w: conditional(grams, words, history[1:], w) for w in words}
    if not listed:
        return shorter[word]
    rest = math.fsum(p for w, p in shorter.items() if w not in listed)
    return (1 - math.fsum(listed.values())) * shorter[word] / rest if rest > 1e-12 else 0.0


def history_probability(grams, history):
    """The product of its words' probabilities; p(<s>) is taken as p(</s>)."""
    p = 1.0
    for length in range(1, len(history) + 1):
        gram = history[:length]
        p *= grams[("</s>",)] if gram == ("<s>",) else grams[gram]
    return p


def losses(model, order):
    """exp(D) - 1 of every n-gram of an order."""
    grams = {gram: 10.0**value for gram, value in small.grams_of(model).items() if gram[-1] != "<s>"}
    words = [word for word in small.pieces(model) if word != "<s>"]
    return {
        gram: math.expm1(divergence(grams, words, gram[:-1], gram[-1], history_probability(grams, gram[:-1])))
        for gram in grams
        if len(gram) == order
    }


@pytest.mark.parametrize("order", [2, 3])
@quick
@given(sentences=small.corpora("abc", most=6, more=("<unk>",)), method=st.sampled_from(METHODS[:3]), data=st.data())
def test_what_goes_is_what_changes_the_model_least(order, sentences, method, data):
    model = small.model(sentences, order, method)
    loss = losses(model, order)
    assert all(value > -1e-9 for value in loss.values()), "a divergence is never negative"
    values = sorted({0.0, *loss.values()})
    gaps = [(a, b) for a, b in zip(values, [*values[1:], values[-1] + 1], strict=True) if b - a > 1e-9]
    low, high = data.draw(st.sampled_from(gaps))
    threshold = (low + high) / 2
    left = pruned(model, threshold, [order])
    assert {gram for gram in small.grams_of(left) if len(gram) == order} == {
        gram for gram, value in loss.items() if value >= threshold
    }
    lower = {gram: value for gram, value in small.grams_of(model).items() if len(gram) < order}
    assert lower.items() <= small.grams_of(left).items()


@quick
@given(small.corpora("abc", more=("<unk>",)), st.sampled_from(METHODS), st.integers(2, 4), st.floats(1e-6, 0.5))
def test_what_is_left_is_a_distribution_and_keeps_its_probabilities(sentences, method, order, threshold):
    model = small.model(sentences, order, method)
    left = pruned(model, threshold)
    np.testing.assert_allclose(distributions(left, order - 1).sum(axis=1), 1.0, rtol=0, atol=1e-9)
    before, after = small.grams_of(model), small.grams_of(left)
    assert after.items() <= before.items()
    assert all(gram[:-1] in after for gram in after if len(gram) > 1)
    assert {gram for gram in before if len(gram) == 1} <= set(after)


@quick
@given(small.corpora("abc"), st.sampled_from(METHODS), st.integers(1, 4), st.floats(1e-6, 0.5))
def test_higher_thresholds_leave_less(sentences, method, order, threshold):
    model = small.model(sentences, order, method)
    more, less = set(small.grams_of(pruned(model, threshold))), set(small.grams_of(pruned(model, 2 * threshold)))
    assert less <= more


@quick
@given(small.corpora("abc", more=("<unk>",)), st.sampled_from(METHODS), st.integers(1, 4))
def test_threshold_zero_drops_nothing_that_matters(sentences, method, order):
    model = small.model(sentences, order, method)
    left = pruned(model, 0.0)
    np.testing.assert_allclose(distributions(left, order - 1), distributions(model, order - 1), rtol=0, atol=1e-6)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("order", [1, 2, 5])
def test_a_huge_threshold_leaves_unigrams(method, order):
    model = small.model(small.zipf(1, sentences=80), order, method)
    left = pruned(model, 1e300)
    assert len(left.tables) == 1
    assert left.tables[0].backoff.size == 0
    np.testing.assert_array_equal(left.tables[0].log10, model.tables[0].log10)


def test_chunks_do_not_show(monkeypatch):
    from lmkit.ngram import pruning

    model = small.model(small.zipf(1, sentences=80), 3)
    whole = prune(model.tables, 1e-5)
    assert 0 < len(whole[1].key) < len(model.tables[1].key)
    monkeypatch.setattr(pruning, "CHUNK", 5)
    for one, other in zip(prune(model.tables, 1e-5), whole, strict=True):
        np.testing.assert_array_equal(one.key, other.key)
        np.testing.assert_allclose(one.log10, other.log10, rtol=1e-12)
        np.testing.assert_allclose(one.backoff, other.backoff, rtol=0, atol=1e-12)


@pytest.mark.few(3)
@pytest.mark.parametrize("method", [*METHODS, "katz", "jelinek-mercer", "kneser-ney"])
@pytest.mark.parametrize("order", [2, 3, 4])
def test_normalising_a_normalised_model_changes_nothing(method, order):
    options = {"weights": [[0.5] * 24] * order} if method == "jelinek-mercer" else {}
    sentences = small.zipf(2, sentences=60, types=60)
    model = small.model(sentences, order, method, **options)
    again = NGram(normalised(model.tables), model.tokenizer, {})
    reference = oracle.Model(sentences, order, method, **options)
    contexts = [(), *[gram for level in reference.raw[:-1] for gram in level][:300]]
    words = reference.words[:40]
    found, expected = small.probabilities(again, contexts, words), small.probabilities(model, contexts, words)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9)


def test_of_two_bigrams_the_redundant_one_goes():
    """After b nothing is surprising, after a everything is; figures by hand."""
    half, quarter = math.log10(0.5), math.log10(0.25)
    model = small.model([["a", "b"]], 2, "mle", open_vocabulary=False)
    names = small.number(model)
    first, second = model.tables
    first = first._replace(log10=first.log10.copy(), backoff=first.backoff.copy())
    second = second._replace(log10=second.log10.copy())
    first.log10[[names["a"], names["b"], names["</s>"]]] = [quarter, quarter, half]
    first.backoff[:] = 0
    first.backoff[names["a"]] = math.log10((1 - 0.9) / (1 - 0.25))  # p(b | a) = 0.9 instead of 0.25
    first.backoff[names["b"]] = math.log10((1 - 0.5) / (1 - 0.5))  # p(</s> | b) = 0.5 as without
    first.backoff[1] = math.log10((1 - 0.3) / (1 - 0.25))  # p(a | <s>) = 0.3 instead of 0.25
    second.log10[:] = [math.log10({1: 0.3, names["a"]: 0.9, names["b"]: 0.5}[key >> 32]) for key in second.key.tolist()]
    model = NGram([first, second], model.tokenizer, {})
    lost = {
        ("<s>", "a"): math.expm1(0.5 * (0.3 * math.log(0.3 / 0.25) + 0.7 * math.log(0.7 / 0.75))),
        ("a", "b"): math.expm1(0.25 * (0.9 * math.log(0.9 / 0.25) + 0.1 * math.log(0.1 / 0.75))),
        ("b", "</s>"): 0.0,
    }
    assert losses(model, 2) == pytest.approx(lost)
    for gram in (("<s>", "a"), ("a", "b")):
        for factor in (0.999, 1.001):
            left = {g for g in small.grams_of(pruned(model, lost[gram] * factor)) if len(g) == 2}
            assert left == {g for g in lost if lost[g] >= lost[gram] * factor}
    only = pruned(model, 0.01)
    a, b = np.array([[names["a"], names["b"]]], dtype=np.int32), np.array([[names["a"], names["a"]]], dtype=np.int32)
    assert 10 ** evaluate(only.tables, a)[0] == pytest.approx(0.9)
    assert 10 ** evaluate(only.tables, b)[0] == pytest.approx(0.1 / 3)
