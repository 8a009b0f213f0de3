"""Mixtures of models: probabilities, texts read side by side, weights by EM."""

import math

import numpy as np
import pytest
from bigrams import bigram, stepped, tokenizer_of
from hypothesis import given
from hypothesis import strategies as st

from lmkit.data.sequences import TextFormat, sequences
from lmkit.errors import DataError
from lmkit.evaluation import mixture
from lmkit.evaluation.mixture import Mixture, best_weights, evaluate_each, maximise, mixed
from lmkit.evaluation.perplexity import Totals, evaluate, evaluate_all

CHARS = tokenizer_of("char", "abé ")
OTHER = tokenizer_of("char", "ba😀")
WEIGHTS = (0.3, 0.7)
LINES = st.lists(st.text(st.sampled_from("abéz😀 "), max_size=6), min_size=1, max_size=6)


def text_of(lines):
    return [line.encode() + b"\n" for line in lines]


def read(model, blocks):
    parts = list(model.read(blocks))
    return np.concatenate([ids for ids, _ in parts]), np.concatenate([nats for _, nats in parts])


def pair(first="stream", second="line", *, tokenizer=CHARS, weights=WEIGHTS):
    return Mixture([bigram(CHARS, first, 1, stretch=2), bigram(tokenizer, second, 2, stretch=5)], weights)


# Probabilities.


def test_a_mean_of_probabilities():
    nats = np.log([[0.5, 0.1], [0.2, 0.4]])
    assert np.exp(mixed(nats, np.array(WEIGHTS))) == pytest.approx([0.22, 0.34])


@pytest.mark.parametrize(
    ("row", "weights", "expected"),
    [
        ([-math.inf, -math.inf], [0.5, 0.5], -math.inf),
        ([-math.inf, math.log(0.5)], [0.5, 0.5], math.log(0.25)),
        ([-1e5, -2e5], [0.5, 0.5], -1e5 - math.log(2)),
        ([-1.0, -1e5], [0.0, 1.0], -1e5),
        ([-1.25, -math.inf], [1.0, 0.0], -1.25),
    ],
)
def test_means_at_the_borders(row, weights, expected):
    assert mixed(np.array([row]), np.array(weights)).tolist() == pytest.approx([expected], rel=1e-12)


@pytest.mark.parametrize("forms", [("stream", "stream"), ("line", "stream"), ("stream", "line"), ("file", "file")])
def test_probabilities_sum_to_one(forms):
    model = pair(*forms)
    assert model.normalised
    state = model.start()
    for token in (3, 4, 2, 5, 2, 3):
        assert math.fsum(np.exp(model.next(state)).tolist()) == pytest.approx(1, abs=1e-12)
        before = state
        state = model.advance(state, token)
        assert (model.next(before) == model.next(before)).all()


@pytest.mark.few(3)
@given(lines=LINES)
@pytest.mark.parametrize("forms", [("stream", "line"), ("line", "stream"), ("stream", "stream"), ("line", "line")])
@pytest.mark.parametrize("other", [CHARS, OTHER], ids=["same tokens", "other tokens"])
def test_reading_equals_stepping_and_scoring(forms, other, lines):
    model = pair(*forms, tokenizer=other)
    ids, nats = read(model, text_of(lines))
    ((wanted, ends), *_) = sequences(model.tokenizer, model.form, [b"".join(text_of(lines))])
    assert ids.tolist() == wanted.tolist()
    if model.form.multiline:
        ends = np.array([len(ids)])
    np.testing.assert_allclose(nats, stepped(model, ids.tolist(), set(ends.tolist())), atol=1e-12)
    np.testing.assert_allclose(nats, model.score_many(ids, ends), atol=1e-12)


@given(lines=LINES)
def test_each_model_keeps_its_own_form(lines):
    """Every token's probability, by hand, from the two tables: one is told of the line before, the other is not."""
    model = pair("stream", "line")
    stream, line = (one.table for one in model.models)
    ids, nats = read(model, text_of(lines))
    before = [2, *ids[:-1].tolist()]
    expected = [
        math.log(0.3 * math.exp(stream[v, w]) + 0.7 * math.exp(line[1 if v == 2 else v, w]))
        for v, w in zip(before, ids.tolist(), strict=True)
    ]
    assert nats.tolist() == pytest.approx(expected)


@pytest.mark.parametrize("alone", [0, 1])
def test_all_the_weight_on_one_model_is_that_model(alone):
    model = pair(weights=[1.0 - alone, float(alone)], tokenizer=OTHER)
    blocks = text_of(["abz", "😀é", ""])
    _, nats = read(model, blocks)
    assert nats.tolist() == read(model.models[alone], blocks)[1].tolist()


def test_a_token_that_a_model_lacks_is_its_unknown_one():
    model = pair("line", "line", tokenizer=OTHER)
    assert [model.tokenizer.piece(token).decode() for token in range(3, model.tokenizer.size)] == list("abé 😀")
    assert model.lacking == [1, 2]
    assert not model.normalised
    first, second = (one.table for one in model.models)
    logs = model.next(model.start())
    assert math.exp(logs[7]) == pytest.approx(0.3 * math.exp(first[1, 0]) + 0.7 * math.exp(second[1, 5]))
    assert math.exp(logs[5]) == pytest.approx(0.3 * math.exp(first[1, 5]) + 0.7 * math.exp(second[1, 0]))
    assert math.exp(logs[3]) == pytest.approx(0.3 * math.exp(first[1, 3]) + 0.7 * math.exp(second[1, 4]))
    *totals, whole = evaluate_each(model, ["abé😀z\n".encode()])
    assert [one.unknown_tokens for one in totals] == [2, 2]
    assert whole.unknown_tokens == 1


# Texts read side by side.


@given(lines=LINES, stretches=st.tuples(st.integers(1, 9), st.integers(1, 9)), cut=st.integers(0, 6))
def test_pieces_do_not_matter(lines, stretches, cut):
    models = [bigram(CHARS, "stream", number, stretch) for number, stretch in enumerate(stretches)]
    blocks = text_of(lines)
    blocks = [block for block in (b"".join(blocks[:cut]), b"".join(blocks[cut:])) if block]
    ids, nats = read(Mixture(models, WEIGHTS), blocks)
    expected, others = read(pair("stream", "stream"), text_of(lines)), [read(one, text_of(lines))[1] for one in models]
    assert ids.tolist() == expected[0].tolist()
    assert nats.tolist() == mixed(np.stack(others, axis=1), np.array(WEIGHTS)).tolist()


@given(lines=LINES)
def test_records_of_the_models_are_those_without_a_mixture(lines):
    model = pair("stream", "line", tokenizer=OTHER)
    *totals, whole = evaluate_each(model, text_of(lines))
    for one, alone in zip(totals, evaluate_all(model.models, text_of(lines)), strict=True):
        assert one.nats == pytest.approx(alone.nats, abs=1e-9)
        assert (one.tokens, one.unknown_tokens, one.bytes) == (alone.tokens, alone.unknown_tokens, alone.bytes)
    assert (whole.tokens, whole.bytes, whole.characters, whole.words) == (
        totals[0].tokens, totals[0].bytes, totals[0].characters, totals[0].words,
    )  # fmt: skip
    alone = Totals()
    for part in evaluate(model, text_of(lines)):
        alone.add(part)
    assert alone.nats == pytest.approx(whole.nats)


def test_models_that_cut_a_text_otherwise_are_refused():
    class Liar(type(bigram(CHARS, "stream"))):
        def read(self, blocks):
            for ids, nats in super().read(blocks):
                yield ids[:-1], nats[:-1]

    class Stranger(Liar):
        def read(self, blocks):
            for block in blocks:
                yield np.full(len(block), 3, np.int32), np.zeros(len(block))

    honest = bigram(CHARS, "stream")
    for kind in (Liar, Stranger):
        other = kind(CHARS, honest.form, honest.table)
        with pytest.raises(DataError, match="different tokens"):
            list(Mixture([honest, other], WEIGHTS).read([b"ab\n"]))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (bigram(CHARS, "stream"), bigram(tokenizer_of("byte"), "stream")),
        (bigram(CHARS, "stream"), bigram(tokenizer_of("word", ["ab"]), "stream")),
        (bigram(CHARS, "stream"), bigram(CHARS, "file")),
        (bigram(CHARS, "line"), bigram(CHARS, "blank-line")),
        (bigram(CHARS, "file"), bigram(CHARS, "blank-line")),
    ],
)
def test_tokens_that_do_not_line_up(first, second):
    for models in ([first, second], [second, first], [first, first, second]):
        with pytest.raises(DataError, match="line up"):
            Mixture(models, [1.0] * len(models))


def test_line_ends_that_are_text_do_not_go_with_tokens_for_them():
    first, second = bigram(CHARS, "stream"), bigram(CHARS, "stream")
    second.form = TextFormat("stream", 2, None)
    with pytest.raises(DataError, match="line up"):
        Mixture([first, second], WEIGHTS)


def test_signature_says_weights_and_models():
    signature = dict(pair("stream", "line").signature)
    assert signature["weights"] == "0.3,0.7"
    assert signature["1"] == "kind=bigram,by=stream"
    assert signature["2"] == "kind=bigram,by=line"
    assert dict(pair("stream", "line", weights=[3.0, 7.0]).signature) == signature


# Weights.

NATS = st.lists(st.tuples(*[st.one_of(st.floats(-50, 0), st.just(-math.inf))] * 3), min_size=1, max_size=12).map(
    np.array
)


@given(nats=NATS)
def test_the_likelihood_never_falls(nats):
    if np.isneginf(nats).all():
        with pytest.raises(DataError, match="no token"):
            best_weights(nats)
        return
    seen = list(maximise(nats))
    possible = nats[~np.isneginf(nats).all(axis=1)]
    assert seen[0][0].tolist() == [1 / 3] * 3
    for weights, gained in seen:
        assert weights.min() >= 0
        assert weights.sum() == pytest.approx(1)
        assert gained == pytest.approx(mixed(possible, weights).mean())
    assert [gained for _, gained in seen] == sorted(gained for _, gained in seen)
    assert seen[-1][1] >= mixed(possible, np.full(3, 1 / 3)).mean() - 1e-12


@given(nats=NATS, others=st.lists(st.floats(0, 1), min_size=3, max_size=3))
def test_no_weights_are_better(nats, others):
    possible = nats[~np.isneginf(nats).all(axis=1)]
    if not len(possible) or not sum(others):
        return
    best = mixed(possible, best_weights(nats)).mean()
    assert best >= mixed(possible, np.array(others) / sum(others)).mean() - 1e-4


def test_weights_are_recovered():
    """Tokens drawn from a mixture of two known distributions give its weights back."""
    rng = np.random.default_rng(0)
    rows = np.array([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6]])
    drawn = rng.choice(3, size=200_000, p=[0.25, 0.75] @ rows)
    assert best_weights(np.log(rows[:, drawn].T)) == pytest.approx([0.25, 0.75], abs=0.01)


def test_weights_by_hand():
    """Two tokens, each possible under one model only: equal weights; three to one otherwise."""
    only = np.array([[0.0, -math.inf], [-math.inf, 0.0]])
    assert best_weights(only).tolist() == [0.5, 0.5]
    assert best_weights(only[[0, 0, 0, 1]]) == pytest.approx([0.75, 0.25])


def test_a_model_that_is_always_better_gets_everything():
    weights = best_weights(np.log(np.full((50, 2), [0.5, 0.1])))
    assert weights[0] == pytest.approx(1, abs=1e-6)


def test_rounds_are_limited():
    nats = np.log(np.random.default_rng(1).random((100, 2)))
    assert len(list(mixture.maximise(nats, rounds=3))) == 3
