"""The tolerance of float32 in tests: wide enough for sums in any order, too narrow for a wrong formula."""

import dataclasses

import numpy as np
import pytest
from rounding import allowance, assert_close, assert_nats, shape_of, spread
from small_networks import build
from test_models import SMALL, all_settings, every_model, some_ids

ORDERED = [case for case in all_settings() if "sinusoidal" not in case.id and case.values[0] != "ffn"]
MAPS = ("q_proj", "k_proj", "v_proj")
GELU = {"positions": "learned", "normalisation": "layernorm", "activation": "gelu", "bias": "all"}
WRONG = {
    "epsilon of the norm": ({}, {"norm_epsilon": 1e-4}),
    "base of the rotary positions": ({"rope_theta": 10000.0}, {"rope_theta": 9990.0}),
    "activation": (GELU, {"activation": "relu"}),
    "place of the norms": ({"norm": "post"}, {"norm": "course"}),
    "context": ({"context": 7}, {"context": 6}),
}


def nats(model, count=60):
    return model.score_many(some_ids(count), np.array([count]))


def turned(model, tensors, **changes):
    """The same model with other tensors or settings."""
    settings = dataclasses.replace(model.weights.settings, **changes)
    return type(model)(type(model.weights)(settings, model.form, model.tokenizer, tensors))


def reordered(settings, tensors, rng):
    """The same function with its hidden numbers in another order, so that all sums are added in another order."""
    width = rng.permutation(settings.width)
    hidden = rng.permutation(getattr(settings, "hidden", 1))
    made = {}
    for name, tensor in tensors.items():
        layer = name.split(".")[-2]
        if settings.kind == "rnn" and name.startswith("layers."):
            gates = len(tensor) // settings.width
            rows = np.concatenate([settings.width * gate + width for gate in range(gates)])
            tensor = tensor[rows][:, width] if tensor.ndim == 2 else tensor[rows]
        elif name == "lm_head.bias" or layer in ("q_norm", "k_norm"):
            pass
        elif layer in ("gate_proj", "up_proj"):
            tensor = tensor[hidden][:, width] if tensor.ndim == 2 else tensor[hidden]
        elif layer == "down_proj":
            tensor = tensor[width][:, hidden] if tensor.ndim == 2 else tensor[width]
        elif layer == "o_proj" or "norm" in layer:
            tensor = tensor[width]
        elif layer not in MAPS or tensor.ndim == 2:
            tensor = tensor[:, width]
        made[name] = np.ascontiguousarray(tensor)
    return made


@pytest.mark.parametrize(("kind", "own"), ORDERED)
def test_the_order_of_sums_matters_less_than_the_tolerance(kind, own):
    """Nor does twice what it matters here: another processor adds in one more order."""
    model = build(kind, own)
    expected, rng = nats(model), np.random.default_rng(0)
    for _ in range(10):
        other = turned(model, reordered(model.weights.settings, model.weights.tensors, rng))
        found = nats(other)
        assert (found != expected).any()
        assert_nats(model, expected + 2 * (found - expected), expected)


@every_model
def test_rounding_passes_and_ten_times_as_much_fails(kind, own):
    model = build(kind, own)
    expected = nats(model)
    signs = np.random.default_rng(0).choice([-1, 1], len(expected))
    allowed = allowance(max(spread(model.next(model.start())), np.abs(expected).max()), **shape_of(model.settings))
    assert_nats(model, expected + 0.99 * allowed * signs, expected)
    with pytest.raises(AssertionError):
        assert_nats(model, expected + 10 * allowed * signs, expected)
    assert allowed < 3e-4


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_formula_is_noticed(what):
    own, changes = WRONG[what]
    model = build("transformer", {**SMALL, **own})
    with pytest.raises(AssertionError):
        assert_nats(model, nats(turned(model, model.weights.tensors, **changes)), nats(model))


def test_a_wrong_scale_of_attention_is_noticed():
    model = build("transformer", SMALL)
    tensors = {
        name: tensor * np.float32(1.001) if "q_proj" in name else tensor
        for name, tensor in model.weights.tensors.items()
    }
    with pytest.raises(AssertionError):
        assert_nats(model, nats(turned(model, tensors)), nats(model))


@every_model
def test_a_tensor_in_bfloat16_is_noticed(kind, own):
    model = build(kind, own)
    name = "embed_tokens.weight"
    rough = (model.weights.tensors[name].view(np.uint32) & 0xFFFF0000).view(np.float32)
    with pytest.raises(AssertionError):
        assert_nats(model, nats(turned(model, {**model.weights.tensors, name: rough})), nats(model))


def test_products_of_any_width_are_within_their_tolerance():
    """Sums in two orders; a product left out is none of them."""
    rng = np.random.default_rng(0)
    for width in (1, 7, 96, 768, 3072, 20000):
        weight = rng.standard_normal((50, width), dtype=np.float32)
        x = rng.standard_normal(width, dtype=np.float32)
        exact = weight.astype(np.float64) @ x
        assert_close(np.cumsum(weight * x, axis=1)[:, -1], exact, width=width)
        assert_close(weight @ x, exact, width=width)
        with pytest.raises(AssertionError):
            assert_close(weight[:, 1:] @ x[1:], exact, width=width)
