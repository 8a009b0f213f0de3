import itertools
import math

import numpy as np
import pytest
import tiny_seq2seq
import torch
from rounding import spread
from tiny_seq2seq import RNN, tiny_rnn

from lmkit.checkpoint import parse, serialize
from lmkit.errors import CheckpointError, UsageError
from lmkit.generation.beam_search import Beams, BeamSearch
from lmkit.generation.engine import Request, completions
from lmkit.inference import attention_scores
from lmkit.nn import factory
from lmkit.registry import load

SOURCES = [np.array(ids, dtype=np.int32) for ids in ([3, 4, 5, 6, 2], [2], [7, 8, 8, 3, 10, 11, 4, 2], [5, 2])]
TARGETS = [np.array(ids, dtype=np.int32) for ids in ([3, 4, 5, 2], [2], [8, 8, 3, 6, 9, 7, 7, 2], [4, 2])]
FORMS = pytest.mark.parametrize("form", RNN)


def stepped(model, target):
    """Nats of each token by single steps."""
    state, found = model.start(), []
    for token in target.tolist():
        found.append(model.next(state)[token])
        state = model.advance(state, token)
    return np.array(found)


@FORMS
def test_numpy_equals_torch(form):
    model = tiny_rnn(form)
    network = factory.loaded(model.weights).eval()
    lengths = torch.tensor([len(source) for source in SOURCES])
    sources = torch.zeros(len(SOURCES), int(lengths.max()), dtype=torch.long)
    inputs = torch.zeros(len(TARGETS), max(map(len, TARGETS)), dtype=torch.long)
    for row, (source, target) in enumerate(zip(SOURCES, TARGETS, strict=True)):
        sources[row, : len(source)] = torch.from_numpy(source)
        inputs[row, 0] = model.form.start
        inputs[row, 1 : len(target)] = torch.from_numpy(target[:-1])
    with torch.no_grad():
        logs = torch.log_softmax(network.logits(network.hidden(sources, lengths, inputs)), dim=-1).numpy()
    for row, (given, target) in enumerate(zip(model.given_many(SOURCES), TARGETS, strict=True)):
        wanted = logs[row, np.arange(len(target)), target]
        np.testing.assert_allclose(stepped(given, target), wanted, rtol=0, atol=1e-5)
    named = {name: tensor.shape for name, tensor in network.tensors().items()}
    assert {name: tuple(shape) for name, shape in named.items()} == model.settings.shapes()


@FORMS
def test_what_is_read_of_a_source_does_not_depend_on_others(form):
    model = tiny_rnn(form, layers=1)
    for source, together in zip(SOURCES, model.given_many(SOURCES), strict=True):
        alone = model.given(source)
        assert alone.next(alone.start()).tobytes() == together.next(together.start()).tobytes()


@FORMS
def test_states_of_different_sources_advance_together(form):
    model = tiny_rnn(form)
    givens = model.given_many(SOURCES)
    rows = givens[0].rows([given.start() for given in givens])
    states = [given.start() for given in givens]
    order = [2, 0, 3, 1, 2]
    for _ in range(5):
        logs = rows.next()
        for row, state in enumerate(states):
            exact = model.next(state)
            assert np.abs(logs[row] - exact).max() <= model.tolerance * max(1.0, spread(exact))
        tokens = [3 + row % 4 for row in range(len(states))]
        rows.advance(tokens)
        states = [model.advance(state, token) for state, token in zip(states, tokens, strict=True)]
        chosen = [place % len(states) for place in order]
        rows.take(chosen)
        states = [states[place] for place in chosen]
        rows.join([givens[1].start()])
        states.append(givens[1].start())
    np.testing.assert_allclose(model.next_many(states), [model.next(state) for state in states], rtol=0, atol=1e-5)


@FORMS
def test_scores_of_pairs_are_those_of_steps(form):
    model = tiny_rnn(form)
    for source, target, nats in zip(SOURCES, TARGETS, model.score_pairs(SOURCES, TARGETS), strict=True):
        given = model.given(source)
        np.testing.assert_allclose(nats, stepped(given, target), rtol=0, atol=1e-5)
        state = given.start()
        assert math.fsum(np.exp(given.next(state)).tolist()) == pytest.approx(1, abs=1e-9)
        before = given.next(state).tobytes()
        model.advance(state, 3)
        assert given.next(state).tobytes() == before
        later = model.score_pairs([source], [np.append(target, [4, 5]).astype(np.int32)])[0]
        np.testing.assert_allclose(later[: len(target)], nats, rtol=0, atol=1e-5)
    assert [len(one) for one in model.score_pairs([SOURCES[0]] * 2, [TARGETS[1][:0], TARGETS[1]])] == [0, 1]
    assert model.score_pairs([], []) == []


@FORMS
def test_a_checkpoint_gives_the_model_back(form):
    model = tiny_rnn(form)
    data = b"".join(map(bytes, serialize(model.to_checkpoint({}))))
    again = load(memoryview(data), "mt.lm")
    assert b"".join(map(bytes, serialize(again.to_checkpoint({})))) == data
    assert again.source_tokenizer.digest == tiny_seq2seq.SOURCE.digest != again.tokenizer.digest
    assert again.source_ids(b"la bruja").tolist() == [*tiny_seq2seq.SOURCE.encode(b"la bruja").tolist(), 2]
    given = again.given(SOURCES[0])
    assert stepped(given, TARGETS[0]).tolist() == stepped(model.given(SOURCES[0]), TARGETS[0]).tolist()
    assert "source" in parse(data).config


@FORMS
def test_weights_of_attention_are_shares_of_the_source(form):
    model = tiny_rnn(form)
    if model.settings.attention == "none":
        with pytest.raises(CheckpointError, match="no attention"):
            model.alignment(SOURCES[0], TARGETS[0])
        return
    for source, target in zip(SOURCES, TARGETS, strict=True):
        weights = model.alignment(source, target)
        assert weights.shape == (1, 1, len(target), len(source))
        np.testing.assert_allclose(weights.sum(axis=-1), 1, rtol=0, atol=1e-6)
    assert model.alignment(SOURCES[1], TARGETS[0]).tolist() == [[[[1.0]] * 4]]  # one token is all there is


def test_padding_gets_no_attention():
    """E5: what lies behind the end of a source has a weight of exactly 0, and what it is changes nothing."""
    scores = np.array([[1.0, 2.0, -np.inf]], dtype=np.float32)
    _, weights = attention_scores.attend(scores, np.ones((3, 2), dtype=np.float32))
    assert weights[0, 2] == 0


@pytest.mark.parametrize(
    ("attention", "weight", "vector", "shares", "context"),
    [
        ("dot", None, None, [0.090031, 0.244728, 0.665241], [0.755272, 0.909969]),
        ("general", [[2, 0], [0, 1]], None, [0.106507, 0.106507, 0.786986], [0.893493, 0.893493]),
        ("concat", [[1, 0, 0, 0], [0, 0, 1, 0]], [1, -1], [0.241447, 0.517105, 0.241447], [0.482895, 0.758553]),
    ],
)
def test_the_numbers_of_luong_attention(attention, weight, vector, shares, context):
    """E6, through what the model attends with."""
    settings = tiny_seq2seq.settings_of("seq2seq-rnn", attention=attention, width=2, layers=1)
    weights = tiny_seq2seq.weights_of(settings)
    own = {"attention.weight": weight, "attention.vector": vector}
    tensors = {name: np.array(value, dtype=np.float32) for name, value in own.items() if value is not None}
    model = tiny_seq2seq.model_of(
        tiny_seq2seq.LoadedSeq2Seq(**{**vars(weights), "tensors": {**weights.tensors, **tensors}})
    )
    outputs = np.array([[1, 0], [0, 1], [1, 1]], dtype=np.float32)
    found, given = model._attended(np.array([1, 2], dtype=np.float32), outputs, model._keys(outputs), None)
    np.testing.assert_allclose(given, shares, rtol=0, atol=1e-6)
    np.testing.assert_allclose(found, context, rtol=0, atol=1e-6)


def test_a_query_that_is_a_long_key_takes_its_value():
    """E8, a hard look-up, through what the model attends with."""
    model = tiny_rnn("dot", layers=1, width=2)
    keys, values = np.eye(2, dtype=np.float32), np.array([[1, 2], [3, 4]], dtype=np.float32)
    found, given = model._attended(1e4 * keys[1], values, keys, None)
    np.testing.assert_allclose(found, values[1], rtol=0, atol=1e-6)
    np.testing.assert_allclose(given, [0, 1], rtol=0, atol=1e-6)


def test_a_beam_of_full_width_finds_the_most_probable_target():
    model = tiny_rnn("general")
    ends, most = model.form.newline_id, 3
    tokens = [token for token in range(model.tokenizer.size) if token not in (0, 1, ends)]
    for source in SOURCES:
        given = model.given(source)
        texts = [[*middle, ends] for size in range(most) for middle in itertools.product(tokens, repeat=size)]
        texts += [list(middle) for middle in itertools.product(tokens, repeat=most)]
        targets = [np.array(text, dtype=np.int32) for text in texts]
        nats = [float(one.sum()) for one in model.score_pairs([source] * len(texts), targets)]
        scored = sorted(zip(nats, texts, strict=True), reverse=True)
        search = BeamSearch(given, Beams(400, number=5), most=most, never=[0, 1])
        found = list(completions(search.run([Request(0, np.zeros(0, np.int32), given.start)])))
        for (expected, text), one in zip(scored[:5], found, strict=True):
            assert [*one.ids, *one.closing] == text
            assert one.nats(given) == pytest.approx(expected, abs=1e-5)


def test_the_context_at_every_step_widens_the_decoder():
    """E3."""
    with_it, without = (
        tiny_seq2seq.settings_of("seq2seq-rnn", attention="none", context_every_step=flag).shapes()
        for flag in (True, False)
    )
    assert with_it["decoder.layers.0.weight_ih"][1] == 16
    assert without["decoder.layers.0.weight_ih"][1] == 8


def test_settings_that_cannot_be_combined():
    with pytest.raises(UsageError, match="odd"):
        tiny_seq2seq.settings_of("seq2seq-rnn", width=7)
    with pytest.raises(UsageError, match="input feeding"):
        tiny_seq2seq.settings_of("seq2seq-rnn", attention="none", input_feeding=True)
    with pytest.raises(UsageError, match="one table"):
        tiny_seq2seq.settings_of("seq2seq-rnn", shared=True, source_vocabulary=5)
