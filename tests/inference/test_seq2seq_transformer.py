import math

import numpy as np
import pytest
import torch
from rounding import spread
from tiny_seq2seq import TRANSFORMERS, tiny_transformer

from lmkit.architectures import presets
from lmkit.checkpoint import serialize
from lmkit.errors import DataError, UsageError
from lmkit.nn import factory
from lmkit.registry import load
from lmkit.scaling.t5_variants import LAYERS, VARIANTS, sizes

SOURCES = [np.array(ids, dtype=np.int32) for ids in ([3, 4, 5, 6, 2], [2], [7, 8, 8, 3, 4, 5, 4, 2], [5, 2])]
TARGETS = [np.array(ids, dtype=np.int32) for ids in ([3, 4, 5, 2], [2], [8, 8, 3, 6, 5, 7, 7, 2], [4, 2])]
FORMS = pytest.mark.parametrize("form", TRANSFORMERS)


def stepped(given, target):
    """Nats of each token by single steps."""
    state, found = given.start(), []
    for token in target.tolist():
        found.append(given.next(state)[token])
        state = given.advance(state, token)
    return np.array(found)


@FORMS
def test_attention_within_each_side(form):
    model = tiny_transformer(form)
    within = model.encoder_attention(SOURCES[0]).weights
    assert within.shape == (model.settings.layers, model.settings.heads, 5, 5)
    assert np.abs(within.sum(axis=-1) - 1).max() < 1e-6
    before = model.decoder_attention(SOURCES[0], TARGETS[0]).weights
    assert before.shape == (model.settings.decoder_layers, model.settings.heads, 4, 4)
    assert np.abs(before.sum(axis=-1) - 1).max() < 1e-6
    assert not np.triu(before, 1).any()
    assert model.alignment(SOURCES[0], TARGETS[0]).shape[2:] == (4, 5)


@FORMS
def test_numpy_equals_torch_with_padding(form):
    model = tiny_transformer(form)
    network = factory.loaded(model.weights).eval()
    lengths = torch.tensor([len(source) for source in SOURCES])
    sources = torch.full((len(SOURCES), int(lengths.max()) + 1), 5)
    inputs = torch.full((len(TARGETS), max(map(len, TARGETS))), 6)
    for row, (source, target) in enumerate(zip(SOURCES, TARGETS, strict=True)):
        sources[row, : len(source)] = torch.from_numpy(source)
        inputs[row, 0] = model.form.start
        inputs[row, 1 : len(target)] = torch.from_numpy(target[:-1])
    with torch.no_grad():
        logs = torch.log_softmax(network.logits(network.hidden(sources, lengths, inputs)), dim=-1).numpy()
    for row, (given, target) in enumerate(zip(model.given_many(SOURCES), TARGETS, strict=True)):
        nats = logs[row, np.arange(len(target)), target]
        np.testing.assert_allclose(stepped(given, target), nats, rtol=0, atol=2e-5)
    assert {name: tuple(one.shape) for name, one in network.tensors().items()} == model.settings.shapes()


@FORMS
def test_rows_of_different_sources_are_what_single_states_are(form):
    model = tiny_transformer(form)
    givens = model.given_many(SOURCES)
    for source, together in zip(SOURCES, givens, strict=True):
        alone = model.given(source)
        assert alone.next(alone.start()).tobytes() == together.next(together.start()).tobytes()
    states = [given.start() for given in givens]
    rows = givens[0].rows(states)
    for _ in range(5):
        logs = rows.next()
        for row, state in enumerate(states):
            exact = model.next(state)
            assert np.abs(logs[row] - exact).max() <= model.tolerance * max(1.0, spread(exact))
        tokens = [3 + row % 4 for row in range(len(states))]
        rows.advance(tokens)
        states = [model.advance(state, token) for state, token in zip(states, tokens, strict=True)]
        chosen = [place % len(states) for place in (2, 0, 3, 1, 2, 2)]
        rows.take(chosen)
        states = [states[place] for place in chosen]
        rows.join([givens[1].start()])
        states.append(givens[1].start())
    np.testing.assert_allclose(model.next_many(states), [model.next(state) for state in states], rtol=0, atol=2e-5)


@FORMS
def test_scores_are_those_of_steps_and_see_no_future(form):
    model = tiny_transformer(form)
    for source, target, nats in zip(SOURCES, TARGETS, model.score_pairs(SOURCES, TARGETS), strict=True):
        given = model.given(source)
        np.testing.assert_allclose(nats, stepped(given, target), rtol=0, atol=2e-5)
        state = given.start()
        assert math.fsum(np.exp(given.next(state)).tolist()) == pytest.approx(1, abs=1e-6)
        before = given.next(state).tobytes()
        ahead = model.follow(state, target)
        assert model.advance(state, 3) is not state
        assert given.next(state).tobytes() == before
        np.testing.assert_allclose(model.next(ahead[-1]), model.next(_after(model, state, target)), rtol=0, atol=2e-5)
        later = model.score_pairs([source], [np.append(target, [4, 5]).astype(np.int32)])[0]
        np.testing.assert_allclose(later[: len(target)], nats, rtol=0, atol=2e-5)
        weights = model.alignment(source, target)
        settings = model.settings
        assert weights.shape == (settings.decoder_layers, settings.heads, len(target), len(source))
        np.testing.assert_allclose(weights.sum(axis=-1), 1, rtol=0, atol=1e-6)
    assert [len(one) for one in model.score_pairs([SOURCES[0]] * 2, [TARGETS[1][:0], TARGETS[1]])] == [0, 1]
    data = b"".join(map(bytes, serialize(model.to_checkpoint({}))))
    again = load(memoryview(data), "mt.lm")
    assert b"".join(map(bytes, serialize(again.to_checkpoint({})))) == data
    assert (
        stepped(again.given(SOURCES[0]), TARGETS[0]).tolist() == stepped(model.given(SOURCES[0]), TARGETS[0]).tolist()
    )


def _after(model, state, ids):
    for token in ids.tolist():
        state = model.advance(state, token)
    return state


@FORMS
def test_a_token_of_the_source_affects_all_of_the_memory(form):
    """F4: the encoder's mask is full."""
    model = tiny_transformer(form)
    source = SOURCES[2]
    changed = source.copy()
    changed[-1] = 3
    before, after = (model._decoder.hidden([one]) for one in (source, changed))
    assert (np.abs(before - after).max(axis=1) > 1e-4).all()


def test_a_text_beyond_the_positions_is_refused():
    model = tiny_transformer("bart")
    with pytest.raises(DataError, match="source of 33 tokens"):
        model.given(np.full(33, 3, dtype=np.int32))
    given = model.given(SOURCES[0])
    with pytest.raises(DataError, match="33 tokens, special ones too, where the model has 32 positions"):
        given.score_many(np.full(33, 3, dtype=np.int32), np.array([33]))
    assert tiny_transformer("t5").given(np.full(600, 3, dtype=np.int32)).start() is not None


@pytest.mark.parametrize(("name", "layers"), [("encoder-decoder", LAYERS), ("shared", LAYERS), ("six-layer", 6)])
def test_variants_of_the_t5_study_are_counted_as_they_are(name, layers):
    """F14: 2 P to P, and half the operations of six layers."""
    settings = presets.seq2seq(
        "t5", vocabulary=32128, source_vocabulary=32128, shared=True, layers=layers, decoder_layers=layers, width=768,
        heads=12, head_width=64, hidden=3072, decoder_hidden=3072, shared_stacks=name == "shared",
    )  # fmt: skip
    shapes, counted = settings.shapes(), sizes(VARIANTS[name])
    crossed = [one for one in settings.matrices() if ".cross_attn." in one]
    products = sum(math.prod(shapes[one]) for one in settings.matrices())
    assert sum(math.prod(shapes[one]) for one in crossed) == counted.cross_attention
    assert products - counted.cross_attention == counted.layers
    if name != "shared":  # whose encoder and decoder have biases of positions and a last norm each here
        assert settings.parameters == counted.parameters


def test_settings_that_make_no_model():
    with pytest.raises(UsageError, match="share their weights"):
        tiny_transformer("shared-stacks", decoder_layers=3)
    with pytest.raises(UsageError, match="2 buckets"):
        tiny_transformer("t5", buckets=2)
    with pytest.raises(UsageError, match="no preset 'bert'"):
        presets.seq2seq("bert", vocabulary=3, source_vocabulary=3)
