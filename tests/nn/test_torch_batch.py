"""Steps of torch models side by side, against those of each text alone."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rounding import assert_nats
from tiny_models import settings_of

from lmkit.architectures.neural_model import LoadedModel
from lmkit.data.sequences import TextFormat
from lmkit.nn.language_model import of_network

SETTINGS = {
    "ffn": settings_of("ffn"),
    "lstm": settings_of("rnn", cell="lstm"),
    "mingru": settings_of("rnn", cell="mingru"),
    "rope": settings_of("transformer", kv_heads=1, query_key_norm=True),
    "learned": settings_of("transformer", positions="learned"),
    "sinusoidal": settings_of("transformer", positions="sinusoidal", norm="course"),
}
TOKENS = st.integers(0, 10)
ACTIONS = st.one_of(
    st.tuples(st.just("advance"), st.lists(TOKENS, min_size=4, max_size=4)),
    st.tuples(st.just("take"), st.lists(st.integers(0, 9), min_size=1, max_size=4)),
    st.tuples(st.just("join"), st.lists(TOKENS, max_size=20)),
)


class ElevenTokens:
    kind, size, digest, specials = "test", 11, "0" * 64, {"unk": 0, "bos": 1, "eos": 2}
    separator, local, parses_specials = None, False, False


@pytest.fixture(scope="module")
def model_of(shaken):
    made = {}

    def model_of(name):
        if name not in made:
            network = shaken(SETTINGS[name])
            weights = LoadedModel(SETTINGS[name], TextFormat("stream", 2, 2), ElevenTokens(), network.to_arrays())
            made[name] = of_network(network.eval(), weights, stride=None, batch_tokens=64)
        return made[name]

    return model_of


def after(model, ids):
    state = model.start()
    for token in ids:
        state = model.advance(state, token)
    return state


@pytest.mark.few(2)
@pytest.mark.parametrize("name", SETTINGS)
@settings(max_examples=30)
@given(actions=st.lists(ACTIONS, max_size=20))
def test_rows_are_texts_alone(name, actions, model_of):
    """Windows of twelve tokens roll on meanwhile."""
    model = model_of(name)
    texts = [[], [3, 4, 5]]
    rows = model.rows([after(model, text) for text in texts])
    for action, numbers in actions:
        if action == "advance":
            tokens = [numbers[row % 4] for row in range(len(texts))]
            rows.advance(tokens)
            texts = [[*text, token] for text, token in zip(texts, tokens, strict=True)]
        elif action == "take":
            chosen = [number % len(texts) for number in numbers]
            rows.take(chosen)
            texts = [texts[row] for row in chosen]
        elif len(texts) < 6:
            rows.join([after(model, numbers)])
            texts.append(numbers)
        assert len(rows) == len(texts)
    found = rows.next()
    expected = np.stack([model.next(after(model, text)) for text in texts])
    assert_nats(model, found, expected)


@pytest.mark.few(6)
@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("length", [0, 1, 7, 11, 12, 40])
def test_following_is_stepping(name, length, model_of):
    model = model_of(name)
    ids = np.random.default_rng(length).integers(0, 11, length).astype(np.int32)
    begin = after(model, [1, 2, 3])
    states = model.follow(begin, ids)
    assert len(states) == length
    if length:
        stepped = [model.next(after(model, [1, 2, 3, *ids[: place + 1].tolist()])) for place in range(length)]
        assert_nats(model, model.next_many(states), stepped)


def test_no_rows_are_fine(model_of):
    rows = model_of("rope").rows([])
    rows.join([model_of("rope").start()])
    rows.advance([3])
    rows.take([])
    assert len(rows) == 0
    rows.join([model_of("rope").start()])
    assert rows.next().shape == (1, 11)


def test_what_is_compared_differs(model_of):
    model = model_of("rope")
    assert np.abs(model.next(after(model, [3])) - model.next(after(model, [4]))).max() > 0.01
