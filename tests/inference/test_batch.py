"""Several steps at once: what single steps give, but for rounding, in any order and company."""

import gc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_networks import TOKENIZER, VOCABULARY, build
from test_models import SMALL, every_model, some_ids

from lmkit.errors import CheckpointError
from lmkit.generation import batching
from lmkit.inference.kv_cache import moves
from lmkit.protocols import has_exact_states


def assert_near(model, found, expected):
    """Within what the model promises."""
    assert found.shape == expected.shape
    found, expected = np.atleast_2d(found), np.atleast_2d(expected)
    allowed = batching.errors(model, expected)[:, None] / 2  # what is relied on has room
    assert (np.abs(found - expected) <= allowed).all()


def stepped(model, ids):
    """The states after each of some ids."""
    states = [model.start()]
    for token in ids:
        states.append(model.advance(states[-1], int(token)))
    return states[1:]


def logs_of(model, states):
    return np.array([model.next(state) for state in states]).reshape(-1, VOCABULARY)


@every_model
def test_rows_are_single_steps(kind, own):
    """Texts of mixed lengths join, end, are repeated and put in other orders; windows roll on meanwhile."""
    model = build(kind, own)
    rng = np.random.default_rng(1)
    singles = [model.after(some_ids(length, seed=length)) for length in (0, 5, 1)]
    rows = model.rows(singles)
    for step in range(25):
        assert len(rows) == len(singles)
        assert_near(model, rows.next(), logs_of(model, singles))
        if has_exact_states(rows):
            given = [model.next(rows.state(row)) for row in range(len(rows))]
            assert np.array_equal(given, logs_of(model, singles))
        tokens = rng.integers(0, VOCABULARY, len(singles)).tolist()
        rows.advance(tokens)
        singles = [model.advance(state, token) for state, token in zip(singles, tokens, strict=True)]
        if step % 3 == 2:
            chosen = rng.integers(0, len(singles), rng.integers(1, 5)).tolist()
            rows.take(chosen)
            singles = [singles[row] for row in chosen]
        if step % 7 == 3:
            new = [model.after(some_ids(step % 4, seed=step)), singles[0]]
            rows.join(new)
            singles += new


@settings(max_examples=40)
@given(data=st.data())
def test_any_rows_of_any_windows(data):
    context = data.draw(st.integers(1, 9))
    own = {**SMALL, "context": context, "positions": data.draw(st.sampled_from(["rope", "learned", "sinusoidal"]))}
    model = build("transformer", own, stride=data.draw(st.integers(1, context)), batch_tokens=7)
    rows, singles = model.rows([]), []
    for step in range(data.draw(st.integers(1, 12))):
        new = [model.after(some_ids(length)) for length in data.draw(st.lists(st.integers(0, 12), max_size=3))]
        rows.join(new)
        singles += new
        if singles:
            chosen = data.draw(st.lists(st.integers(0, len(singles) - 1), max_size=5))
            rows.take(chosen)
            singles = [singles[row] for row in chosen]
        rows.advance([(step * 17 + row) % VOCABULARY for row in range(len(singles))])
        singles = [model.advance(state, (step * 17 + row) % VOCABULARY) for row, state in enumerate(singles)]
        assert_near(model, rows.next(), logs_of(model, singles))


@every_model
def test_states_that_follow(kind, own):
    """In parts of any length, over the ends of windows too; what goes on from one of them harms none."""
    model = build(kind, own)
    ids = some_ids(30)
    expected = logs_of(model, stepped(model, ids))
    state, found = model.start(), []
    for part in np.split(ids, [1, 1, 4, 15]):
        found += model.follow(state, part)
        state = found[-1] if found else state
    assert_near(model, model.next_many(found), expected)
    for place in (0, 3, 9, 28):
        branch = model.follow(found[place], some_ids(9, seed=5))
        direct = stepped(model, [*ids[: place + 1], *some_ids(9, seed=5)])[-1]
        assert_near(model, model.next(branch[-1]), model.next(direct))
    assert_near(model, logs_of(model, found), expected)
    assert model.follow(state, ids[:0]) == []
    assert model.next_many([]).shape == (0, VOCABULARY)


def test_ids_that_no_token_has_are_left_out():
    from random_weights import random_weights

    from lmkit.inference.recurrent import RecurrentModel

    model = RecurrentModel(random_weights("rnn", TOKENIZER, width=4, vocabulary=VOCABULARY + 9))
    assert model.next_many([model.start()]).shape == (1, VOCABULARY)
    assert_near(model, model.next_many([model.start()])[0], model.next(model.start()))


def test_a_cache_is_gone_on_with_where_nobody_needs_what_follows():
    """As after a draft of which but the beginning was taken."""
    model = build("transformer", {**SMALL, "context": 64})
    state = model.after(some_ids(5))
    drafted = model.follow(state, some_ids(4, seed=1))
    kept = drafted[1]
    assert model.advance(kept, 9).cache is not kept.cache
    del drafted
    gc.collect()
    other = model.advance(kept, 10)
    assert other.cache is kept.cache
    direct = stepped(model, [*some_ids(5), *some_ids(4, seed=1)[:2], 10])[-1]
    assert_near(model, model.next(other), model.next(direct))


@given(wanted=st.integers(0, 7).flatmap(lambda size: st.lists(st.integers(0, max(0, size - 1)), max_size=9)))
def test_moves_bring_the_rows_wanted_to_the_front(wanted):
    places = list(range(20))
    found, copies = moves(wanted)
    for place, target in copies:
        places[target] = places[place]
    assert sorted(found) == list(range(len(wanted)))
    assert [places[place] for place in found] == wanted
    stays = {place for place in wanted if place < len(wanted)}
    assert len(copies) == len(wanted) - len(stays)


def test_weights_that_are_no_numbers():
    from random_weights import random_weights

    from lmkit.inference.transformer import TransformerModel

    weights = random_weights("transformer", TOKENIZER, **SMALL)
    tensors = {name: np.full_like(tensor, np.nan) for name, tensor in weights.tensors.items()}
    model = TransformerModel(type(weights)(weights.settings, weights.form, TOKENIZER, tensors))
    with pytest.raises(CheckpointError, match="no probabilities"):
        model.rows([model.start()]).next()


@pytest.mark.parametrize("cell", ["elman", "lstm", "gru", "mingru"])
@pytest.mark.parametrize("width", [48, 250])
def test_recurrent_rows_keep_what_single_steps_keep(cell, width):
    """To the bit, as there are models that blow up any difference."""
    model = build("rnn", {"cell": cell, "layers": 2, "width": width})
    rng = np.random.default_rng(0)
    singles = [model.start()] * 9
    rows = model.rows(singles)
    for _ in range(40):
        tokens = rng.integers(0, VOCABULARY, len(singles)).tolist()
        rows.advance(tokens)
        singles = [model.advance(state, token) for state, token in zip(singles, tokens, strict=True)]
    assert len(rows._memories) == 2
    for layer, memory in enumerate(rows._memories):
        for part, found in enumerate(memory):
            np.testing.assert_array_equal(found, [state.memories[layer][part] for state in singles])
