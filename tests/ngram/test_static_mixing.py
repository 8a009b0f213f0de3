"""Mixtures against their definitions, word by word."""

import itertools
import math

import numpy as np
import pytest
import small_models as small
from hypothesis import given, note, settings
from hypothesis import strategies as st

from lmkit.array_storage import Memory
from lmkit.errors import CheckpointError, DataError
from lmkit.ngram import static_mixing
from lmkit.ngram.backoff_estimation import Settings, estimate
from lmkit.ngram.backoff_model import NGram
from lmkit.ngram.corpus import count_corpus
from lmkit.ngram.pruning import prune
from lmkit.tokenization.tokenizers import learner

quick = settings(deadline=None, max_examples=30)
OPEN = st.sampled_from(["modified-kneser-ney", "kneser-ney", "absolute", "witten-bell", "katz"])
ANY = st.sampled_from(["modified-kneser-ney", "witten-bell", "katz", "mle", "add-k"])


@st.composite
def models(draw, methods=OPEN, alphabets=("abc", "bcd", "xa"), more=(), orders=(1, 2, 3), *, complete=False):
    """Two or three models; each its own words, order and smoothing. `complete`: every word of the alphabet occurs."""
    made = []
    for alphabet in draw(st.lists(st.sampled_from(alphabets), min_size=2, max_size=3)):
        sentences = draw(small.corpora(alphabet, most=5, length=5, more=more))
        sentences += [[*alphabet]] * complete
        order, method = draw(st.sampled_from(orders)), draw(methods)
        note(f"model({sentences}, {order}, {method!r})")
        made.append(small.model(sentences, order, method))
    return made


def shares(draw, count):
    values = [draw(st.floats(0.05, 1)) for _ in range(count)]
    return [value / sum(values) for value in values]


def mixed(models, weights, *, log_linear=False):
    parts = static_mixing.unite(models, unknown=log_linear)
    tables = (static_mixing.log_linear if log_linear else static_mixing.linear)(parts, weights)
    return NGram(tables, parts.tokenizer, {"order": len(tables)})


def own(model, histories, words, *, unknown):
    """A component's p(w | h), (H, W): words that it lacks are its <unk> as history; as words too, or impossible."""
    known = set(small.pieces(model))
    histories = [tuple(word if word in known else "<unk>" for word in history) for history in histories]
    found = small.probabilities(model, histories, [word if word in known else "<unk>" for word in words])
    return np.where(unknown | np.array([word in known for word in words]), found, 0.0)


def union_of(models):
    return list(dict.fromkeys(word for model in models for word in small.pieces(model)))


def words_and_histories(models, most=2):
    words = union_of(models)
    longest = max(len(model.tables) for model in models) - 1
    return [word for word in words if word != "<s>"], list(small.histories(words, min(longest, most)))


def check_linear(components, weights):
    model = mixed(components, weights)
    assert small.pieces(model) == union_of(components)
    found = small.grams_of(model)
    listed = {gram for one in components for gram in small.grams_of(one)}
    assert set(found) == listed | {(word,) for word in small.pieces(model)}
    for gram, log10 in found.items():
        if gram[-1] == "<s>":
            continue
        parts = [own(one, [gram[:-1]], [gram[-1]], unknown=False)[0, 0] for one in components]
        assert 10**log10 == pytest.approx(math.fsum(w * p for w, p in zip(weights, parts, strict=True)), abs=1e-9), gram
    words, histories = words_and_histories(components)
    sums = small.probabilities(model, histories, words).sum(axis=1)
    np.testing.assert_allclose(sums, 1.0, rtol=0, atol=1e-9)


@quick
@given(st.one_of(models(methods=ANY), models(ANY, ("abc", "cba"), ("<unk>",), complete=True)), st.data())
def test_linear_mixtures_of_listed_ngrams(components, data):
    check_linear(components, shares(data.draw, len(components)))


@quick
@given(models(), st.data())
def test_log_linear_mixtures_of_every_word_after_every_history(components, data):
    weights = [data.draw(st.sampled_from([0.0, 0.3, 1.0, 1.7]) | st.floats(0.1, 2)) for _ in components]
    words, histories = words_and_histories(components)
    logs = [np.log(own(one, histories, words, unknown=True)) for one in components]
    products = np.exp(sum(w * p for w, p in zip(weights, logs, strict=True)))
    expected = products / products.sum(axis=1, keepdims=True)
    found = small.probabilities(mixed(components, weights, log_linear=True), histories, words)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-8)


@quick
@given(models(more=("<unk>",)), st.data())
def test_log_linear_mixtures_are_distributions(components, data):
    weights = [data.draw(st.floats(0, 2)) for _ in components]
    words, histories = words_and_histories(components)
    found = small.probabilities(mixed(components, weights, log_linear=True), histories, words)
    np.testing.assert_allclose(found.sum(axis=1), 1.0, rtol=0, atol=1e-8)


@quick
@given(models(methods=st.just("mle"), alphabets=("ab",)), st.data())
def test_log_linear_mixtures_of_models_with_zeros(components, data):
    """Where no word is possible under all models it is some distribution; elsewhere it is the product."""
    weights = [data.draw(st.floats(0.5, 2)) for _ in components]
    words, histories = words_and_histories(components)
    products = np.prod(
        [own(one, histories, words, unknown=True) ** w for w, one in zip(weights, components, strict=True)], axis=0
    )
    total = products.sum(axis=1, keepdims=True)
    possible = total[:, 0] > 0
    try:
        found = small.probabilities(mixed(components, weights, log_linear=True), histories, words)
    except DataError:
        assert not possible.all()
        return
    np.testing.assert_allclose(found.sum(axis=1), 1.0, rtol=0, atol=1e-8)
    np.testing.assert_allclose(found[possible], (products / np.where(total, total, 1))[possible], rtol=0, atol=1e-8)


@quick
@given(small.corpora("abc"), st.integers(1, 4), ANY | OPEN, st.integers(2, 3), st.booleans(), st.data())
def test_a_model_mixed_with_itself_stays_the_same(sentences, order, method, copies, log_linear, data):
    model = small.model(sentences, order, method)
    weights = shares(data.draw, copies)
    same = mixed([model] * copies, weights, log_linear=log_linear)
    words, histories = words_and_histories([model], most=3)
    expected = small.probabilities(model, histories, words)
    np.testing.assert_allclose(small.probabilities(same, histories, words), expected, rtol=0, atol=1e-9)
    assert set(small.grams_of(same)) == set(small.grams_of(model))


@pytest.mark.parametrize("log_linear", [False, True])
def test_a_weight_of_one_is_that_model(log_linear):
    one, other = small.model([["a", "b"], ["b"]], 2), small.model([["b", "c"], ["a"]], 2)
    alone = mixed([one, other], [1.0, 0.0], log_linear=log_linear)
    words, histories = words_and_histories([one], most=1)
    expected = small.probabilities(one, histories, words)
    found = small.probabilities(alone, histories, words)
    if log_linear:  # c takes the share of the unknown word once more
        expected /= 1 + expected[:, [words.index("<unk>")]]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9)


def test_larger_models_mix_linearly():
    texts = small.zipf(1, sentences=80), small.zipf(2, sentences=80), small.zipf(3, sentences=40)
    components = [small.model(text, order) for text, order in zip(texts, (3, 4, 2), strict=True)]
    weights = [0.5, 0.2, 0.3]
    model = mixed(components, weights)
    found = small.grams_of(model)
    for order in range(1, 5):
        grams = [gram for gram in found if len(gram) == order and gram[-1] != "<s>"][:150]
        for gram in grams:
            parts = [own(one, [gram[:-1]], [gram[-1]], unknown=False)[0, 0] for one in components]
            assert 10 ** found[gram] == pytest.approx(np.dot(weights, parts), rel=1e-9)
    histories = list(dict.fromkeys(gram[:-1] for gram in found))[::40]
    sums = small.probabilities(model, histories, small.pieces(model)).sum(axis=1)
    np.testing.assert_allclose(sums, 1.0, rtol=0, atol=1e-9)


def grid(count, step=0.05):
    values = np.arange(0, 1 + step / 2, step)
    return [point for point in itertools.product(values, repeat=count) if abs(sum(point) - 1) < 1e-9]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("count", [2, 3])
def test_tuned_linear_weights_are_no_worse_than_a_grid(seed, count):
    texts = [small.zipf(seed * 10 + n, sentences=30 + 20 * n, types=60 + 30 * n) for n in range(count)]
    components = [small.model(text, 1 + (seed + n) % 3) for n, text in enumerate(texts)]
    held_out = [*small.zipf(seed * 10, sentences=12, types=60)[:8], *texts[-1][:4], ["OOV", "w1"], []]
    parts = static_mixing.unite(components, unknown=False)
    ids, ends = small.encoded(NGram([], parts.tokenizer, {}), held_out)
    tuned = static_mixing.tune_linear(components, parts, ids, ends)
    assert sum(tuned) == pytest.approx(1)
    assert min(tuned) >= 0
    known = [set(small.pieces(model)) for model in components]
    tokens = [word for sentence in held_out for word in (*sentence, "</s>")]
    everywhere = set().union(*known)
    scores = []
    for model, words in zip(components, known, strict=True):
        here = np.exp(small.nats(model, held_out))
        lacking = [word not in words and word in everywhere for word in tokens]
        scores.append(np.where(lacking, 0.0, here))
    scores = np.array(scores)

    def likelihood(weights):
        with np.errstate(divide="ignore"):
            return np.log(np.array(weights) @ scores).mean()

    assert likelihood(tuned) >= max(map(likelihood, grid(count))) - 1e-5


@pytest.mark.parametrize("seed", range(3))
def test_tuned_log_linear_weights_are_no_worse_than_a_grid(seed):
    components = [small.model(small.zipf(seed * 10 + n, sentences=60, types=40), 2) for n in range(2)]
    held_out = small.zipf(seed * 10, sentences=100, types=40)[55:75]
    parts = static_mixing.unite(components, unknown=True)
    ids, ends = small.encoded(NGram([], parts.tokenizer, {}), held_out)

    def likelihood(weights):
        return NGram(static_mixing.log_linear(parts, weights), parts.tokenizer, {}).score_many(ids, ends).mean()

    tuned = likelihood(static_mixing.tune_log_linear(parts, ids, ends))
    best = max(likelihood(point) for point in itertools.product(np.arange(0, 1.6, 0.2), repeat=2) if sum(point))
    assert tuned >= best - 1e-3


def test_a_development_text_without_possible_tokens_is_refused():
    components = [small.model([["a"]], 1, "mle", open_vocabulary=False)] * 2
    parts = static_mixing.unite(components, unknown=False)
    with pytest.raises(DataError):
        static_mixing.tune_linear(components, parts, np.zeros(1, np.int32), np.ones(1, np.int64))
    with pytest.raises(DataError):
        static_mixing.tune_linear(components, parts, np.zeros(0, np.int32), np.zeros(0, np.int64))


def of_tokens(kind, text):
    done = count_corpus([text], learner(kind), 2, memory=small.AMPLE, spill=Memory)
    return NGram(estimate(done.counts, Settings("witten-bell")).tables, done.tokenizer, {})


def test_tokens_must_be_of_one_kind():
    with pytest.raises(CheckpointError):
        static_mixing.unite([of_tokens("word", b"a b\n"), of_tokens("char", b"a b\n")], unknown=False)


@pytest.mark.parametrize("kind", ["char", "byte"])
@pytest.mark.parametrize("log_linear", [False, True])
def test_characters_and_bytes_mix(kind, log_linear):
    components = [of_tokens(kind, "a bb añ\n\n".encode()), of_tokens(kind, b"b a\tcc\n")]
    model = mixed(components, [0.5, 0.5], log_linear=log_linear)
    assert model.tokenizer.kind == kind
    state = model.start()
    for token in [*model.tokenizer.encode(b"b ca"), 0, 2]:
        assert np.exp(model.next(state)).sum() == pytest.approx(1, abs=1e-9)
        state = model.advance(state, int(token))


def test_an_ngram_without_its_ending_is_refused():
    model = small.model(small.zipf(1, sentences=60), 3)
    tables = prune(model.tables, 1e-3, [2])
    whole = mixed([model, model], [0.5, 0.5])
    assert len(whole.tables) == 3
    broken = NGram(tables, model.tokenizer, {})
    listed = set(small.grams_of(broken))
    assert any(len(gram) == 3 and gram[1:] not in listed for gram in listed), "the test needs such an n-gram"
    with pytest.raises(DataError):
        static_mixing.unite([broken, broken], unknown=False)
