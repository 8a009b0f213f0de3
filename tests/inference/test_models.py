"""Neural models in numpy: against torch with the same weights, and laws over any length."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_weights import random_weights
from rounding import allowance, assert_close, assert_nats, shape_of, spread
from small_networks import TOKENIZER, VOCABULARY, build

from lmkit.errors import CheckpointError, UsageError

SMALL = {"layers": 2, "width": 12, "heads": 3, "kv_heads": 3, "head_width": 4, "hidden": 20, "context": 7}
TRANSFORMERS = {
    "default": {},
    "learned": {"positions": "learned", "normalisation": "layernorm", "activation": "gelu", "bias": "all"},
    "sinusoidal": {"positions": "sinusoidal", "norm": "post", "normalisation": "layernorm", "activation": "relu"},
    "odd-sinusoidal": {"positions": "sinusoidal", "width": 11},
    "course": {"positions": "none", "norm": "course", "normalisation": "layernorm", "activation": "relu2"},
    "course-rms": {"norm": "course", "activation": "gelu", "bias": "qkv"},
    "post-rms": {"norm": "post", "query_key_norm": True},
    "query-key-norm": {"query_key_norm": True, "tied": True},
    "grouped": {"heads": 6, "kv_heads": 2, "bias": "qkv"},
    "one-kv-head": {"heads": 5, "kv_heads": 1, "head_width": 6, "query_key_norm": True},
    "no-residual": {"residual": False},
    "no-residual-post": {"residual": False, "norm": "post", "bias": "all"},
    "llama3": {
        "rope_theta": 500.0, "head_width": 8,
        "rope_scaling": {"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_context": 5.0},
    },
    "context-1": {"context": 1},
    "context-2": {"context": 2, "positions": "learned"},
    "long": {"context": 150},
}  # fmt: skip
RECURRENT = {
    f"{cell}-{'bias' if bias else 'plain'}{'-tied' if tied else ''}": {"cell": cell, "bias": bias, "tied": tied}
    for cell in ("elman", "lstm", "gru", "mingru")
    for bias in (True, False)
    for tied in (True, False)
}
FEED_FORWARD = {"plain": {}, "direct": {"direct": True}, "bigram": {"context": 1, "direct": True}}


def all_settings():
    for name, changes in TRANSFORMERS.items():
        yield pytest.param("transformer", {**SMALL, **changes}, id=f"transformer-{name}")
    for name, changes in RECURRENT.items():
        yield pytest.param("rnn", {"layers": 2, "width": 9, **changes}, id=f"rnn-{name}")
    for name, changes in FEED_FORWARD.items():
        yield pytest.param("ffn", {"context": 3, "width": 5, "hidden": 11, **changes}, id=f"ffn-{name}")


every_model = pytest.mark.parametrize(("kind", "own"), list(all_settings()))


def some_ids(count, seed=0):
    return np.random.default_rng(seed).integers(0, VOCABULARY, count).astype(np.int32)


def stepped(model, ids):
    state, nats = model.start(), []
    for token in ids.tolist():
        nats.append(model.next(state)[token])
        state = model.advance(state, token)
    return nats


def whole(model, *parts):
    return np.concatenate([np.zeros(0), *model.score_document(iter(parts))])


@pytest.mark.few(6)
@every_model
def test_the_answers_are_those_of_torch(kind, own):
    pytest.importorskip("torch")
    from lmkit.nn import language_model
    from lmkit.nn.factory import loaded

    model = build(kind, own)
    ids, ends = some_ids(60), np.array([1, 1, 7, 15, 60])
    torch_model = language_model.of_network(loaded(model.weights), model.weights, stride=None, batch_tokens=64)
    assert_nats(model, model.score_many(ids, ends), torch_model.score_many(ids, ends))
    assert_nats(model, whole(model, ids), whole(torch_model, ids))
    for factor, other in zip(model.explain(ids.tolist()), torch_model.explain(ids.tolist()), strict=True):
        assert factor[:3] == other[:3]
        assert_nats(model, factor.nats, other.nats)


@every_model
def test_three_ways_of_scoring_are_one(kind, own):
    model = build(kind, own, batch_tokens=16)
    ids = some_ids(50)
    expected = stepped(model, ids)
    assert_nats(model, model.score_many(ids, np.array([50])), expected)
    assert_nats(model, whole(model, ids), expected)
    assert_nats(model, whole(model, ids[:1], ids[1:1], ids[1:20], ids[20:]), expected)
    several = model.score_many(ids, np.array([0, 1, 9, 9, 30, 50]))
    alone = [stepped(model, part) for part in np.split(ids, [1, 9, 30])]
    assert_nats(model, several, np.concatenate(alone))


@every_model
def test_every_distribution_sums_to_one(kind, own):
    model = build(kind, own)
    state = model.start()
    for token in some_ids(20).tolist():
        logs = model.next(state)
        assert logs.shape == (VOCABULARY,)
        assert logs.dtype == np.float64
        assert np.exp(logs).sum() == pytest.approx(1, rel=0, abs=1e-12)
        state = model.advance(state, token)


@every_model
def test_old_states_stay_good(kind, own):
    model = build(kind, own)
    ids = some_ids(30)
    state, kept = model.start(), []
    for token in ids.tolist():
        kept.append((state, model.next(state)))
        state = model.advance(state, token)
    for place in (0, 3, 5, 6, 7, 8, 20, 29, 3):
        old, logs = kept[place]
        branch = old
        for token in (5, 6, 7, 8, 9, 10, 11, 12):
            branch = model.advance(branch, token)
        assert model.next(old).tolist() == logs.tolist()
        along = model.advance(old, int(ids[place]))
        if place < 29:
            assert_nats(model, model.next(along), kept[place + 1][1])


@every_model
def test_what_was_seen_and_nothing_else_explains_a_token(kind, own):
    model = build(kind, own)
    ids = some_ids(25).tolist()
    for place, factor in enumerate(model.explain(ids)):
        history = [model.form.start, *ids[:place]]
        begin = len(history) - len(factor.context)
        assert (factor.token, factor.context, factor.order) == (
            ids[place],
            tuple(history[begin:]),
            len(history) - begin,
        )
        if place % 8 == 0 and begin > 1:
            before = [token % 100 + 1 for token in ids[: begin - 1]]
            assert_nats(model, model.explain([*before, *ids[begin - 1 :]])[place].nats, factor.nats)
            before = [*before, ids[begin - 1] % 100 + 1]
            rounded = allowance(spread(model.next(model.start())), **shape_of(model.settings))
            assert abs(model.explain([*before, *ids[begin:]])[place].nats - factor.nats) > rounded


@pytest.mark.parametrize("stride", [1, 2, 3, 6, 7])
def test_any_stride(stride):
    model = build("transformer", SMALL, stride=stride)
    ids = some_ids(40)
    assert_nats(model, whole(model, ids), stepped(model, ids))
    assert model.context_used() == f"7/{stride}"
    seen = [factor.order for factor in model.explain(ids.tolist())]
    assert seen[:7] == [1, 2, 3, 4, 5, 6, 7]
    assert set(seen[7:]) == set(range(7 - stride + 1, 8))


@pytest.mark.parametrize("stride", [0, 8, -1])
def test_no_such_stride(stride):
    with pytest.raises(UsageError, match="outside 1 to 7"):
        build("transformer", SMALL, stride=stride)


def test_the_stride_is_half_the_context():
    assert build("transformer", SMALL).context_used() == "7/3"
    assert build("transformer", {**SMALL, "context": 1}).context_used() == "1/1"
    assert build("rnn", {"width": 4}).context_used() == "unlimited"
    assert build("ffn", {"context": 5}).context_used() == "5"


@every_model
def test_a_prompt_taken_together_is_a_prompt_taken_in_turn(kind, own):
    """But for rounding: within half of what is relied on."""
    model = build(kind, own)

    def assert_near(one, other):
        found, expected = model.next(one), model.next(other)
        np.testing.assert_allclose(found, expected, rtol=0, atol=model.tolerance * np.ptp(expected) / 2)

    for length in (0, 1, 3, min(own.get("context", 20), 20) - 1):
        ids = some_ids(length, seed=length)
        state = model.start()
        for token in ids.tolist():
            state = model.advance(state, token)
        together = model.after(ids)
        assert_near(together, state)
        for token in some_ids(20).tolist():
            together, state = model.advance(together, token), model.advance(state, token)
        assert_near(together, state)


def test_the_future_is_not_seen():
    for own in (SMALL, {**SMALL, "context": 64}):
        model = build("transformer", own)
        ids = some_ids(40)
        changed = ids.copy()
        changed[30:] = (changed[30:] + 1) % VOCABULARY
        ends = np.array([40])
        assert model.score_many(ids, ends)[:30].tolist() == model.score_many(changed, ends)[:30].tolist()


def test_without_positions_order_does_not_matter_to_the_last():
    own = {**SMALL, "positions": "none", "layers": 1, "context": 16}
    model = build("transformer", own)
    ids = some_ids(9)
    turned = np.concatenate((ids[:8][::-1], ids[8:]))
    assert_nats(model, model.next(model.after(ids)), model.next(model.after(turned)))
    model = build("transformer", {**own, "positions": "rope"})
    assert np.abs(model.next(model.after(ids)) - model.next(model.after(turned))).max() > 1e-3


def test_words_outside_its_window_do_not_reach_a_feed_forward_model():
    model = build("ffn", {"context": 3, "width": 5, "hidden": 11})
    first, second = np.array([5, 6, 7, 8, 9]), np.array([50, 60, 7, 8, 9])
    assert model.next(model.after(first)).tolist() == model.next(model.after(second)).tolist()


def test_states_share_one_cache_until_they_branch():
    model = build("transformer", {**SMALL, "context": 64})
    first = model.start()
    second = model.advance(first, 5)
    third = model.advance(second, 6)
    assert third.cache is first.cache
    assert model.advance(second, 7).cache is not first.cache


def test_weights_that_are_no_numbers():
    from lmkit.inference.transformer import TransformerModel

    weights = random_weights("transformer", TOKENIZER, **SMALL)
    for value in (np.nan, np.inf):
        tensors = {name: np.full_like(tensor, value) for name, tensor in weights.tensors.items()}
        model = TransformerModel(type(weights)(weights.settings, weights.form, TOKENIZER, tensors))
        with pytest.raises(CheckpointError, match="no probabilities"):
            model.next(model.start())
        with pytest.raises(CheckpointError, match="no probabilities"):
            model.score_many(some_ids(4), np.array([4]))


@settings(max_examples=30)
@given(data=st.data())
def test_any_documents_with_any_windows(data):
    context = data.draw(st.integers(1, 9))
    stride = data.draw(st.integers(1, context))
    positions = data.draw(st.sampled_from(["rope", "learned"]))
    model = build(
        "transformer", {**SMALL, "layers": 1, "context": context, "positions": positions},
        stride=stride, batch_tokens=data.draw(st.integers(1, 64)),
    )  # fmt: skip
    parts = [some_ids(length, seed=length) for length in data.draw(st.lists(st.integers(0, 25), max_size=5))]
    ids = np.concatenate([np.zeros(0, np.int32), *parts])
    ends = np.cumsum([len(part) for part in parts]).astype(np.int64)
    expected = np.concatenate([np.zeros(0), *(stepped(model, part) for part in parts)])
    assert_nats(model, model.score_many(ids, ends), expected)
    assert_nats(model, whole(model, *parts), stepped(model, ids))


@pytest.mark.parametrize(
    ("norm", "residual", "expected"),
    [("pre", True, [-1, 1]), ("post", True, [-0.5, 1]), ("course", True, [-0.5, 5]),
     ("pre", False, [-1, 1]), ("post", False, [-0.5, 1]), ("course", False, [-0.5, 1])],
)  # fmt: skip
def test_a_block_of_one_token_worked_out_by_hand(norm, residual, expected):
    """All matrices are the identity, x = [1, 3] and N gives [-1, 1] where the first is less; the second N adds [.5, 0].

    pre: z = [0, 4], y = z + relu([-.5, 1]) = [0, 5]; post: z = N([2, 6]), y = N([-1, 2]) + [.5, 0];
    course: z = [1, 3] + N([1, 3]) = [0, 4], y = z + [-1, 1] + [.5, 0]. Without residual: z = [-1, 1], y = N(relu(z)).
    """
    from lmkit.inference.transformer import TransformerModel

    own = {"layers": 1, "width": 2, "heads": 1, "kv_heads": 1, "head_width": 2, "hidden": 2, "norm_epsilon": 1e-12}
    weights = random_weights(
        "transformer", TOKENIZER, normalisation="layernorm", activation="relu", positions="none", norm=norm,
        residual=residual, **own,
    )  # fmt: skip
    tensors = {}
    for name, tensor in weights.tensors.items():
        if tensor.shape == (2, 2):
            tensors[name] = np.eye(2, dtype=np.float32)
        else:
            tensors[name] = np.full_like(tensor, 1.0 if "norm" in name and name.endswith("weight") else 0.0)
    tensors["embed_tokens.weight"][:] = [1, 3]
    tensors["layers.0.post_attention_layernorm.bias"][:] = [0.5, 0]
    tensors["lm_head.weight"][:2] = np.eye(2)
    logs = TransformerModel(type(weights)(weights.settings, weights.form, TOKENIZER, tensors))
    found = logs.next(logs.start())
    assert_close(found[:2] - found[2], expected, width=2)


def test_attention_to_more_keys_than_fit_at_once():
    """Queries are taken in parts; a long window gives what stepping gives."""
    model = build("transformer", {**SMALL, "context": 300, "kv_heads": 1})
    ids = some_ids(299)
    assert_nats(model, whole(model, ids), stepped(model, ids))
    branch = model.advance(model.after(ids[:200]), int(ids[200]))
    assert_nats(model, model.next(branch), model.next(model.after(ids[:201])))
