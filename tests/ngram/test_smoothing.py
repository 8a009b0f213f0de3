"""Every smoothing method against its definition, and the figures of worked examples."""

import math
import random

import numpy as np
import oracle
import pytest
import small_models as small
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from small_models import METHODS

from lmkit.errors import DataError, UsageError
from lmkit.ngram import backoff_estimation
from lmkit.ngram.backoff_estimation import Settings, estimate, thresholds
from lmkit.ngram.smoothing import bucket
from lmkit.ngram.tables import Counts, Level
from lmkit.tokenization.tokenizers import Fixed, from_list

quick = settings(deadline=None, max_examples=25)
TOLERANCE = 1e-9
KNESER_NEY = ("modified-kneser-ney", "kneser-ney")
LONGEST = {1: 0, 2: 1, 3: 2, 4: 3, 5: 4}

weights_lists = st.lists(
    st.lists(st.floats(0, 0.999), min_size=24, max_size=24), min_size=5, max_size=5
)  # of every order and class


def compare(model, reference, histories, words=None):
    """p(w | h) of each word after each history; NGram.next wherever the history follows `<s>`."""
    histories, words = list(histories), words or reference.words
    columns = [reference.words.index(word) for word in words]
    expected = np.array([[reference.p(word, history) for word in words] for history in histories])
    np.testing.assert_allclose(small.probabilities(model, histories, words), expected, rtol=0, atol=TOLERANCE)
    for row, history in zip(expected, histories, strict=True):
        if history[:1] == ("<s>",):
            np.testing.assert_allclose(small.stepped(model, history[1:])[columns], row, rtol=0, atol=TOLERANCE)
    return expected


def sums_to_one(model, histories):
    words = small.pieces(model)
    sums = small.probabilities(model, list(histories), words).sum(axis=1)
    np.testing.assert_allclose(sums, 1.0, rtol=0, atol=TOLERANCE)


def sampled(sentences, order, words, seed=1, most=100):
    """Histories that occur in a corpus, some of them changed; words, most of which follow one of the histories."""
    draw = random.Random(seed)
    grams = sorted({gram for level in oracle.count(sentences, order) for gram in level})
    chosen = draw.sample(grams, min(most, len(grams)))
    strange = [word for word in words if word not in ("<s>", "</s>")]
    changed = [tuple(draw.choice(strange) if draw.random() < 0.3 else word for word in gram[:-1]) for gram in chosen]
    histories = [(), *([("<s>",)] if order > 1 else []), *(gram[:-1] for gram in chosen), *changed]
    followers = dict.fromkeys(["<unk>", "<s>", "</s>", *(gram[-1] for gram in chosen[:40])])
    return list(dict.fromkeys(histories)), list(followers)


# Against the definitions.


@pytest.mark.few(1)
@pytest.mark.parametrize("method", METHODS)
@quick
@given(data=st.data())
def test_every_history_of_a_tiny_text(method, data):
    order = data.draw(st.integers(1, 4))
    sentences = data.draw(small.corpora("abc" if order > 3 else "abcd", more=("<unk>", "<s>")))
    options = {"open_vocabulary": data.draw(st.booleans())}
    if method == "add-k":
        options["k"] = data.draw(st.sampled_from([1.0, 0.5, 0.01, 3.0]))
    elif method == "stupid-backoff":
        options["alpha"] = data.draw(st.sampled_from([0.4, 1.0, 0.1]))
    elif method == "jelinek-mercer":
        options["weights"] = data.draw(weights_lists)
    elif method in ("absolute", "kneser-ney"):
        options["discount"] = data.draw(st.sampled_from([None, 0.75, 0.1, 1.0]))
    reference = oracle.Model(sentences, order, method, **options)
    model, notes = small.fitted(sentences, order, method, **options)
    histories = list(small.histories(reference.words, order - 1))
    expected = compare(model, reference, histories)
    assert len(notes) == len(reference.fallen)
    if method != "stupid-backoff":
        np.testing.assert_allclose(expected.sum(axis=1), 1.0, rtol=0, atol=TOLERANCE)
        sums_to_one(model, histories)


@pytest.mark.few(2)
@pytest.mark.parametrize("order", [1, 2, 3, 5])
@pytest.mark.parametrize("method", METHODS)
def test_histories_of_a_text_large_enough_for_discounts(method, order):
    sentences = small.zipf()
    options = {"weights": [[0.1 + 0.03 * c for c in range(24)]] * order} if method == "jelinek-mercer" else {}
    reference = oracle.Model(sentences, order, method, **options)
    model, notes = small.fitted(sentences, order, method, **options)
    assert len(notes) == len(reference.fallen)
    assert order > 3 or not notes, "this text is here so that no discount falls back"
    histories, words = sampled(sentences, order, reference.words)
    compare(model, reference, histories, words)
    if method != "stupid-backoff":
        sums_to_one(model, histories)


def test_stupid_backoff_weighs_every_step_down():
    """Brants et al. (2007), eq. 5: the factor is there whether the longer context was ever seen or not."""
    sentences = [["a", "b"], ["b", "a"]]
    reference = oracle.Model(sentences, 3, "stupid-backoff")
    assert reference.p("a", ("a", "a")) == pytest.approx(0.4 * 0.4 * 2 / 6)
    compare(small.model(sentences, 3, "stupid-backoff"), reference, small.histories(reference.words, 2))


@quick
@given(
    st.sampled_from([*KNESER_NEY, "absolute", "witten-bell"]), small.corpora("abc", most=12, more=("<unk>",)),
    st.integers(2, 4), st.lists(st.integers(0, 3), max_size=3).map(lambda more: [0, *sorted(more)]), st.booleans(),
)  # fmt: skip
def test_what_count_thresholds_prune_goes_to_the_backoff_weight(method, sentences, order, prune, open_vocabulary):
    options = {"prune": prune, "open_vocabulary": open_vocabulary}
    reference = oracle.Model(sentences, order, method, **options)
    model = small.model(sentences, order, method, **options)
    histories = list(small.histories(reference.words, order - 1))
    compare(model, reference, histories)
    sums_to_one(model, histories)
    limits = thresholds(prune, order)
    kept = {gram for k, level in enumerate(reference.raw) for gram in level if k and level[gram] > limits[k]}
    assert {gram for gram in small.grams_of(model) if len(gram) > 1} == kept


@pytest.mark.few(3)
@pytest.mark.parametrize("prune", [[0, 1], [0, 0, 1], [0, 1, 2], [0, 2, 2, 3]])
@pytest.mark.parametrize("method", KNESER_NEY)
def test_pruning_a_larger_text_keeps_its_discounts(method, prune):
    sentences = small.zipf()
    whole = oracle.Model(sentences, 4, method)
    reference = oracle.Model(sentences, 4, method, prune=prune)
    assert reference.discounts == whole.discounts
    assert len(set(whole.discounts)) == 4
    model = small.model(sentences, 4, method, prune=prune)
    histories, words = sampled(sentences, 4, reference.words, 2)
    compare(model, reference, histories, words)
    sums_to_one(model, histories)


@pytest.mark.few(3)
@pytest.mark.parametrize("method", small.NORMALISED)
@quick
@given(
    sentences=small.corpora("abc", more=("<unk>",)), order=st.integers(1, 3), open_vocabulary=st.booleans(),
    prune=st.lists(st.integers(0, 2), max_size=2).map(lambda more: [0, *sorted(more)]),
)  # fmt: skip
def test_pruned_models_of_every_method_are_distributions(method, sentences, order, open_vocabulary, prune):
    options = {"weights": [[0.3] * 24, [0.6] * 24, [0.9] * 24]} if method == "jelinek-mercer" else {}
    model = small.model(sentences, order, method, open_vocabulary=open_vocabulary, prune=prune, **options)
    sums_to_one(model, small.histories(oracle.vocabulary(sentences), order - 1))


@pytest.mark.few(3)
@pytest.mark.parametrize("method", METHODS)
@quick
@given(sentences=small.corpora("abz", more=("<unk>",)), order=st.integers(1, 4), open_vocabulary=st.booleans())
def test_a_listed_vocabulary_may_hold_words_that_the_text_lacks(method, sentences, order, open_vocabulary):
    words = ["<unk>", "<s>", "</s>", "y", "b", "a", "x"]
    weights = [[0.5] * 24] * order
    options = {"open_vocabulary": open_vocabulary}
    if method == "jelinek-mercer":
        options["weights"] = weights
    plain = [[word if word in words else "<unk>" for word in sentence] for sentence in sentences]
    reference = oracle.Model(plain, order, method, words=words, **options)
    learner = Fixed(from_list("word", [b"y", b"b", b"a", b"x"]))
    model = small.model(sentences, order, method, learner=learner, **options)
    assert small.pieces(model) == words
    histories = list(small.histories(words, min(order - 1, 2)))
    expected = compare(model, reference, histories)
    if method != "stupid-backoff":
        np.testing.assert_allclose(expected.sum(axis=1), 1.0, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("order", [3, 4, 5])
@pytest.mark.parametrize("text", ["a b;c", "a;b a;c a", "a a;b;b"])
def test_the_last_word_may_stand_at_the_beginning_of_sentences_only(text, order):
    """The statistics of lmplz's last n-gram end with `<s>` there."""
    sentences = [sentence.split() for sentence in text.split(";")]
    reference = oracle.Model(sentences, order, "modified-kneser-ney")
    compare(small.model(sentences, order), reference, small.histories(reference.words, min(2, order - 1)))


@pytest.mark.parametrize("seed", range(6))
def test_the_last_ngram_of_lmplz_counts_raw(seed):
    """Discounts, with texts in which the last word occurs after many others or hardly ever."""
    sentences = small.zipf(seed, sentences=200)
    sentences.insert(seed * 7, ["w1", "w0", "last", "w2"])
    sentences += [["w0", "last", "w1"]] * seed + [["w3", "w0", "last"]] * (seed % 3)
    sentences.insert(0, list(dict.fromkeys(word for sentence in sentences for word in sentence if word != "last")))
    reference = oracle.Model(sentences, 4, "modified-kneser-ney")
    assert reference.words[-1] == "last"
    assert len(reference.fallen) < 4
    compare(small.model(sentences, 4), reference, *sampled(sentences, 4, reference.words, seed, most=40))


@quick
@given(small.corpora("abcde", most=10), st.booleans(), st.integers(1, 4))
def test_order_zero_is_uniform(sentences, open_vocabulary, length):
    model = small.model(sentences, 0, open_vocabulary=open_vocabulary)
    words = oracle.vocabulary(sentences)
    size = len(words) - 1 if open_vocabulary else len(words) - 2
    expected = [open_vocabulary / size, 0.0, *[1.0 / size] * (len(words) - 2)]
    assert model.order == 0
    np.testing.assert_allclose(small.stepped(model, words[2:][:length]), expected, rtol=0, atol=TOLERANCE)
    scores = small.nats(model, sentences)
    np.testing.assert_allclose(scores, -math.log(size), rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("method", METHODS)
def test_threads_and_chunks_do_not_change_a_bit(method, monkeypatch):
    sentences = small.zipf(3, sentences=80)
    options = {"weights": [[0.4] * 24] * 4} if method == "jelinek-mercer" else {}
    one = small.model(sentences, 4, method, prune=[0, 0, 1], **options)
    four = small.model(sentences, 4, method, prune=[0, 0, 1], threads=4, **options)
    monkeypatch.setattr(backoff_estimation, "CHUNK", 7)
    monkeypatch.setattr(backoff_estimation, "SECTION", 5)
    parts = small.model(sentences, 4, method, prune=[0, 0, 1], threads=3, **options)
    for a, b, c in zip(one.tables, four.tables, parts.tables, strict=True):
        for x, y, z in zip(a, b, c, strict=True):
            assert x.tobytes() == y.tobytes()
            assert x.dtype == z.dtype
            np.testing.assert_allclose(x, z, rtol=1e-13)


def test_logarithms_are_those_of_the_c_library():
    """And not of numpy, whose last bit depends on the processor; classes of contexts don't depend on it either."""
    values = np.concatenate(([0.0, 1.0, 0.5, 1e-300], np.random.default_rng(0).random(10000)))
    found = backoff_estimation._log10(values, np.float64)
    assert found.tolist() == [-math.inf, *(math.log10(value) for value in values[1:].tolist())]
    assert backoff_estimation._log10(values, np.float32).tolist() == found.astype(np.float32).tolist()
    totals = np.arange(1 << 16)
    assert bucket(totals).tolist() == [max(1, total).bit_length() - 1 for total in totals.tolist()]
    assert bucket(np.array([2.0**23 - 1, 2.0**23, 2.0**40])).tolist() == [22, 23, 23]


@pytest.mark.parametrize("method", METHODS)
def test_large_models_keep_single_precision(method, monkeypatch):
    sentences = small.zipf(3, sentences=80)
    options = {"weights": [[0.4] * 24] * 3} if method == "jelinek-mercer" else {}
    exact = small.model(sentences, 3, method, **options)
    monkeypatch.setattr(backoff_estimation, "EXACT", 10)
    coarse = small.model(sentences, 3, method, **options)
    for fine, rough in zip(exact.tables, coarse.tables, strict=True):
        assert {fine.log10.dtype, rough.log10.dtype} == {np.dtype(np.float64), np.dtype(np.float32)}
        np.testing.assert_array_equal(fine.log10.astype(np.float32), rough.log10)
        np.testing.assert_allclose(fine.backoff, rough.backoff, rtol=0, atol=2e-7)


# Worked examples.


def bigram(model, text):
    *history, word = text.split()
    return small.probabilities(model, [tuple(history)], [word])[0, 0]


def test_maximum_likelihood_by_hand():
    model = small.model(small.JUAN, 2, "mle", open_vocabulary=False)
    expected = {
        "<s> yo": 2 / 3, "<s> Juan": 1 / 3, "yo soy": 2 / 3, "yo no": 1 / 3, "soy Juan": 1 / 2, "soy </s>": 1 / 2,
        "Juan </s>": 1 / 2, "Juan yo": 1 / 2, "no salto": 1, "salto </s>": 1, "yo yo": 0, "<s> soy": 0,
    }  # fmt: skip
    assert {text: bigram(model, text) for text in expected} == pytest.approx(expected, abs=1e-12)
    unigrams = small.model(small.JUAN, 1, "mle", open_vocabulary=False)
    assert bigram(unigrams, "yo") == pytest.approx(3 / 12, abs=1e-12)
    assert bigram(unigrams, "soy") == pytest.approx(2 / 12, abs=1e-12)
    assert bigram(unigrams, "<unk>") == 0


def test_laplace_by_hand():
    """V = 6: yo, soy, Juan, no, salto, </s>."""
    model = small.model(small.JUAN, 2, "add-k", k=1.0, open_vocabulary=False)
    assert bigram(model, "<s> yo") == pytest.approx(3 / 9, abs=1e-12)
    assert bigram(model, "yo salto") == pytest.approx(1 / 9, abs=1e-12)
    assert bigram(model, "yo <unk>") == 0


def test_witten_bell_by_hand():
    """After yo: three tokens of two types; all: twelve tokens of six types; seven words to choose from."""
    model = small.model(small.JUAN, 2, "witten-bell")
    soy = (2 + 6 / 7) / 18
    assert bigram(model, "soy") == pytest.approx(soy, abs=1e-12)
    assert bigram(model, "yo soy") == pytest.approx((2 + 2 * soy) / 5, abs=1e-12)
    assert bigram(model, "yo <unk>") == pytest.approx(2 / 5 * 6 / 7 / 18, abs=1e-12)


LMPLZ = {
    "<unk>": -1, "</s>": -1, "yo": -0.78440017, "soy": -0.80370533, "Juan": -0.78440017, "no": -0.80370533,
    "salto": -0.80370533,
    "soy </s>": -0.5228787, "Juan </s>": -0.5228787, "salto </s>": -0.2596373, "<s> yo": -0.38145384,
    "Juan yo": -0.47867507, "yo soy": -0.38520318, "<s> Juan": -0.604133, "soy Juan": -0.47867507,
    "yo no": -0.61041206, "no salto": -0.237643,
    "yo soy </s>": -0.39794, "soy Juan </s>": -0.18708666, "no salto </s>": -0.11069832, "<s> Juan yo": -0.1764792,
    "<s> yo soy": -0.3410805, "Juan yo soy": -0.15122457, "yo soy Juan": -0.38083214, "<s> yo no": -0.42873496,
    "yo no salto": -0.102765754,
}  # fmt: skip


def test_figures_of_lmplz():
    """`lmplz -o 3 --discount_fallback` on the three sentences: log10 p of every n-gram."""
    model, notes = small.fitted(small.JUAN, 3, "modified-kneser-ney")
    found = small.listed(model)
    expected = {tuple(gram.split()): value for gram, value in LMPLZ.items()}
    assert set(found) == {*expected, ("<s>",)}
    for gram, value in expected.items():
        assert found[gram][0] == pytest.approx(value, abs=1e-6), gram
    contexts = {gram for gram in oracle.count(small.JUAN, 2)[1] if gram[-1] != "</s>"}
    contexts |= {(gram[0],) for gram in oracle.count(small.JUAN, 2)[1]}
    for context in contexts:
        assert found[context][1] == pytest.approx(-0.30103, abs=1e-6), context
    assert all(found[gram][1] == 0 for gram in found if len(gram) < 3 and gram not in contexts)
    assert [note[:8] for note in notes] == ["order 2:", "order 3:"]
    assert all("0.5 1 1.5" in note for note in notes)


# Discounts that can't be estimated, and texts that can't be smoothed.


@pytest.mark.parametrize("method", ["modified-kneser-ney", "kneser-ney", "absolute", "katz"])
@pytest.mark.parametrize("sentences", [[["a"]], [["a", "a", "a", "a"]] * 9, [[]], [["a", "b"]] * 40, [["x"], []]])
def test_fallen_back_discounts_are_told_and_give_distributions(method, sentences):
    model, notes = small.fitted(sentences, 3, method)
    reference = oracle.Model(sentences, 3, method)
    assert [note[:8] for note in notes] == [f"order {order}:" for order in reference.fallen] != []
    values = "0.5 1 1.5" if method == "modified-kneser-ney" else "0.5"
    assert all(note.endswith(f" {values}") for note in notes)
    histories = list(small.histories(reference.words, 2))
    compare(model, reference, histories)
    sums_to_one(model, histories)


def test_a_discount_given_is_not_estimated():
    sentences = [["a", "a", "a", "a"]] * 9
    for method in ("absolute", "kneser-ney"):
        assert small.fitted(sentences, 3, method, discount=0.3)[1] == []


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("order", [1, 3])
def test_nothing_to_count(method, order):
    options = {"weights": [[0.4] * 24] * 3} if method == "jelinek-mercer" else {}
    none = Level(np.zeros(0, np.int64), np.zeros(0, np.int32), np.zeros(0, np.int32))
    unigrams = Level(np.arange(3), np.zeros(3, np.int32), none.suffix)
    with pytest.raises(DataError, match="empty"):
        estimate(Counts([unigrams, *[none] * (order - 1)]), Settings(method, **options))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("order", [1, 2, 5])
def test_a_text_of_one_empty_line(method, order):
    options = {"weights": [[0.4] * 24] * 5} if method == "jelinek-mercer" else {}
    sentences = [[]]
    reference = oracle.Model(sentences, order, method, **options)
    model = small.model(sentences, order, method, **options)
    histories = [(), ("<s>",)] if order > 1 else [()]
    compare(model, reference, histories)


@given(st.lists(st.integers(0, 5), max_size=5), st.integers(1, 6))
@settings(deadline=None, max_examples=60)
def test_thresholds(values, order):
    if values[:1] not in ([], [0]) or values != sorted(values):
        with pytest.raises(UsageError):
            thresholds(values, order)
        return
    assume(values)
    found = thresholds(values, order)
    assert len(found) == order
    assert found == [values[min(place, len(values) - 1)] for place in range(order)]


def test_no_threshold_prunes_nothing():
    assert thresholds([], 3) == [0, 0, 0]
