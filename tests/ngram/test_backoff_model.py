"""The model that answers: sentences at once, token by token, explained, stored; and counts that come as a table."""

import math

import numpy as np
import oracle
import pytest
import small_models as small
from hypothesis import given, settings
from hypothesis import strategies as st
from small_models import METHODS, check

from lmkit.checkpoint import parse, serialize
from lmkit.errors import CheckpointError, DataError
from lmkit.ngram import arpa
from lmkit.ngram.backoff_model import NGram
from lmkit.ngram.count_table import from_rows
from lmkit.ngram.ngram_lookup import find_grams
from lmkit.ngram.pruning import prune
from lmkit.ngram.tables import context_cuts, context_starts, find_keys, words_of

quick = settings(deadline=None, max_examples=25)


def options(method, order):
    return {"weights": [[0.5] * 24] * order} if method == "jelinek-mercer" else {}


def expected_nats(reference, sentences):
    """ln p of every token and of every sentence's end; words that are not in the vocabulary are <unk>."""
    found = []
    for sentence in oracle.without_marks(sentences):
        history = ["<s>"]
        for word in [*(word if word in reference.words else "<unk>" for word in sentence), "</s>"]:
            p = reference.p(word, tuple(history))
            found.append(math.log(p) if p > 0 else -math.inf)
            history.append(word)
    return found


@pytest.mark.few(3)
@pytest.mark.parametrize("method", METHODS)
@quick
@given(
    sentences=small.corpora("abc", more=("<unk>",)), order=st.integers(1, 4),
    others=small.corpora("abcz", more=("<unk>", "</s>")), closed=st.booleans(), prune=st.sampled_from([(), (0, 1)]),
)  # fmt: skip
def test_sentences_score_as_their_tokens_do(method, sentences, order, others, closed, prune):
    if prune and method in ("katz", "add-k", "mle", "stupid-backoff", "jelinek-mercer"):
        prune = ()
    reference = oracle.Model(sentences, order, method, prune=prune, **options(method, order))
    model = small.model(sentences, order, method, prune=prune, **options(method, order))
    model = NGram(model.tables, model.tokenizer, {**model.config, "suffix_closed": closed})
    ids, ends = small.encoded(model, others)
    nats = model.score_many(ids, ends)
    begin, stepped = 0, []
    for end in ends.tolist():
        state = model.start()
        for token in ids[begin:end].tolist():
            stepped.append(model.next(state)[token])
            state = model.advance(state, token)
        assert [factor.nats for factor in model.explain(ids[begin:end].tolist())] == nats[begin:end].tolist()
        begin = end
    np.testing.assert_allclose(nats, stepped, rtol=0, atol=1e-9)
    probabilities = np.exp(expected_nats(reference, others))
    np.testing.assert_allclose(np.exp(nats), probabilities, rtol=0, atol=1e-9)


@quick
@given(small.corpora("abc"), st.integers(3, 4), st.sampled_from([1e-3, 0.02, 0.1]), small.corpora("abcz"))
def test_models_that_list_an_ngram_but_not_its_ending(sentences, order, threshold, others):
    """As relative-entropy pruning leaves them; the reference reads them from text."""
    whole = small.model(sentences, order, "witten-bell")
    tables = prune(whole.tables, threshold, [2])
    model = NGram(tables, whole.tokenizer, {"order": order, "suffix_closed": False})
    reference = oracle.Backoff(b"".join(arpa.write(tables, whole.tokenizer.vocabulary.pieces())).decode())
    known, expected = set(small.pieces(whole)), []
    for sentence in others:
        words = ["<s>", *(word if word in known else "<unk>" for word in sentence), "</s>"]
        expected += [reference.score(word, words[:place]) for place, word in enumerate(words) if place]
    np.testing.assert_allclose(small.nats(model, others) / math.log(10), expected, rtol=0, atol=1e-9)


def test_no_sentences_no_scores():
    for order in (1, 3):
        model = small.model([["a"]], order)
        assert model.score_many(np.zeros(0, np.int32), np.zeros(0, np.int64)).tolist() == []
        assert model.score_many(np.zeros(0, np.int32), np.zeros(2, np.int64)).tolist() == []


def test_explained_factors_name_context_and_order():
    model = small.model([["a", "b", "c"], ["b", "c"]], 3, "witten-bell")
    names = small.number(model)
    a, b, c, end = (names[word] for word in ("a", "b", "c", "</s>"))
    factors = model.explain([a, b, a, c, 0, end])
    assert [factor.token for factor in factors] == [a, b, a, c, 0, end]
    assert [factor.context for factor in factors] == [(1,), (1, a), (a, b), (b, a), (a, c), (c, 0)]
    assert [factor.order for factor in factors] == [2, 3, 1, 1, 1, 1]


@pytest.mark.parametrize("order", [0, 1, 2, 4])
@pytest.mark.parametrize("method", ["modified-kneser-ney", "mle"])
def test_a_stored_model_scores_the_same(order, method):
    sentences = small.zipf(1, 40, types=50)
    model = small.model(sentences, order, method)
    data = b"".join(serialize(model.to_checkpoint({"made": "here"})))
    again = NGram.from_checkpoint(parse(data))
    assert again.order == order
    held_out = small.zipf(2, 20, types=60)
    np.testing.assert_array_equal(small.nats(again, held_out), small.nats(model, held_out))
    assert b"".join(serialize(again.to_checkpoint({"made": "here"}))) == data


@pytest.mark.parametrize("cut", range(4, 400, 36))
def test_a_stored_model_cut_short_is_refused(cut):
    data = b"".join(serialize(small.model([["a", "b"]], 2).to_checkpoint({})))
    with pytest.raises(CheckpointError):
        NGram.from_checkpoint(parse(data[:-cut]))


# Counts as a table.


def rows_of(sentences, order):
    levels = oracle.count(sentences, order)
    return [([word.encode() for word in gram], number) for level in levels for gram, number in level.items()]


@quick
@given(small.corpora("abcé", more=("<unk>",)), st.integers(1, 4), st.randoms(use_true_random=False))
def test_a_table_in_any_order_and_in_pieces(sentences, order, shuffle):
    rows = rows_of(sentences, order)
    split = [(words, part) for words, number in rows for part in ([number - 1, 1] if number > 1 else [number])]
    shuffle.shuffle(split)
    counts, vocabulary = from_rows(split)
    names = [piece.decode() for piece in vocabulary.pieces()]
    longest = max(len(words) for words, _ in rows)
    assert names == [*oracle.NAMES, *sorted(set(oracle.vocabulary(sentences)[3:]), key=str.encode)]
    check(counts, names, sentences, longest)


@pytest.mark.parametrize(
    "rows",
    [
        "", "a b", "a;b;a b;a c b", "a;a a;a a a a", "a;b;a b;a b a", "a;b;b a;a b a",
    ],
)  # fmt: skip
def test_tables_with_holes_are_refused(rows):
    """No bigrams, no trigrams, no beginning, no ending."""
    rows = [(row.encode().split(), 1) for row in rows.split(";") if row]
    with pytest.raises(DataError):
        from_rows(rows)


def test_a_word_may_stand_within_longer_ngrams_only():
    counts, vocabulary = from_rows([([b"a"], 3), ([b"a", b"b"], 2)])
    assert vocabulary.pieces()[3:] == [b"a", b"b"]
    assert counts.levels[0].count.tolist() == [0, 0, 0, 3, 0]
    assert counts.levels[1].count.tolist() == [2]


# Tables.


@quick
@given(small.corpora("abc"), st.integers(2, 4))
def test_words_of_and_find_grams_are_inverse(sentences, order):
    counts = small.counted(sentences, order).counts
    keys = [level.key for level in counts.levels]
    for k, level in enumerate(counts.levels, 1):
        ids = np.arange(len(level))
        words = words_of(keys, k, ids)
        assert words.shape == (len(level), k)
        np.testing.assert_array_equal(find_grams(keys, words), ids)
        if k > 1:
            assert (find_grams(keys, words[:, [*range(k - 1), 0]] * 0 + 1) == -1).all(), "<s> <s> never occurs"


@quick
@given(st.sets(st.integers(0, 60)), st.lists(st.integers(-5, 70)))
def test_find_keys(keys, wanted):
    keys = sorted(keys)
    found = find_keys(np.array(keys, dtype=np.int64), np.array(wanted, dtype=np.int64))
    assert found.tolist() == [keys.index(value) if value in keys else -1 for value in wanted]


@quick
@given(st.lists(st.integers(1, 5)), st.integers(1, 12))
def test_cuts_fall_between_contexts(sizes, size):
    keys = np.array([(context << 32) | word for context, n in enumerate(sizes) for word in range(n)], dtype=np.int64)
    starts = np.cumsum([0, *sizes])[:-1].tolist()
    assert context_starts(keys).tolist() == starts
    cuts = list(context_cuts(keys, size))
    assert [begin for begin, _ in cuts] == [0, *(end for _, end in cuts)][: len(cuts)]
    assert all(begin in starts for begin, _ in cuts)
    assert (cuts[-1][1] if cuts else 0) == len(keys)
