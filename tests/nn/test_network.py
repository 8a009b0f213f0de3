"""Networks held to the formulas of their families, to torch's own modules, and to what they may and may not see."""

import itertools

import numpy as np
import oracle_networks as formulas
import pytest
import tiny_models
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from rounding import allowance, assert_close, shape_of

from lmkit.nn import factory
from lmkit.nn.recurrent import MinimalGRU, scan

IDS = [2, 5, 3, 3, 7, 10, 0, 4]
CELLS = ("elman", "lstm", "gru", "mingru")
SHAPES = {
    "positions": ("rope", "learned", "sinusoidal", "none"),
    "norm": ("pre", "post", "course"),
    "normalisation": ("rmsnorm", "layernorm"),
    "activation": ("swiglu", "gelu", "relu", "relu2"),
    "bias": ("none", "qkv", "all"),
    "query_key_norm": (False, True),
    "tied": (False, True),
    "residual": (True, False),
    "kv_heads": (2, 1),
}


def assert_as_the_formula_says(settings, shaken, said):
    network = shaken(settings)
    wanted = formulas.logits(settings, network.to_arrays(), IDS)
    assert_close(said(network, IDS)[0], wanted, **shape_of(settings))
    assert np.abs(wanted).max() > 0.1


# The formulas.


@pytest.mark.parametrize("direct", [False, True])
@pytest.mark.parametrize("context", [1, 3, 9])
def test_feed_forward_formula(context, direct, tiny, shaken, said):
    assert_as_the_formula_says(tiny("ffn", context=context, direct=direct), shaken, said)


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("cell", CELLS)
def test_recurrent_formula(cell, bias, tied, tiny, shaken, said):
    assert_as_the_formula_says(tiny("rnn", cell=cell, bias=bias, tied=tied), shaken, said)


@pytest.mark.few(24)
@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in SHAPES.items() for value in values], ids=str
)
@pytest.mark.parametrize("others", [0, 1], ids=["", "others"])
def test_transformer_formula(name, value, others, tiny, shaken, said):
    """Each choice with the first of all others, and with others."""
    chosen = {other: values[-1 if others else 0] for other, values in SHAPES.items()} | {"residual": True}
    assert_as_the_formula_says(tiny("transformer", **chosen | {name: value}), shaken, said)


@settings(max_examples=60)
@given(st.fixed_dictionaries({name: st.sampled_from(values) for name, values in SHAPES.items()}))
def test_transformer_formula_in_any_combination(chosen):
    of_model = tiny_models.settings_of("transformer", layers=1, **chosen)
    network = factory.initialised(of_model, seed=1)
    generator = np.random.default_rng(1)
    network.load_arrays({name: generator.normal(0, 0.5, shape) for name, shape in of_model.shapes().items()})
    with torch.no_grad():
        found = network.logits(network(torch.tensor([IDS]))[0])[0].numpy()
    wanted = formulas.logits(of_model, network.to_arrays(), IDS)
    assert_close(found, wanted, **shape_of(of_model))


def test_a_network_has_the_tensors_of_its_family(tiny):
    for one in [tiny("ffn", direct=True), *(tiny("rnn", cell=cell) for cell in CELLS), tiny("transformer")]:
        arrays = factory.initialised(one, seed=0).to_arrays()
        assert {name: array.shape for name, array in arrays.items()} == one.shapes()
        assert sum(array.size for array in arrays.values()) == one.parameters


@pytest.mark.parametrize(
    ("norm", "wanted"), [("pre", (0.917217, 1.076434)), ("post", (1.0, 1.0)), ("course", (5.048588, 5.924963))]
)
def test_one_token_by_hand(norm, wanted, tiny, said):
    """x = (3, 4), attention swaps its numbers, the feed-forward branch does nothing to what is not negative.

    pre     N(x) = x / sqrt(12.5) = (.848528, 1.131371), swapped and added: z = (4.131371, 4.848528);
            N(z) = z / 4.504246 = (.917217, 1.076434); z + N(z) is as long as you like, the last N makes it N(z)
    post    x + (4, 3) = (7, 7), N of it (1, 1); (1, 1) + (1, 1), N of it (1, 1)
    course  N(4, 3) = (1.131371, .848528); z = (4.131371, 4.848528); z + N(z) = (5.048588, 5.924963)
    """
    settings = tiny(
        "transformer", layers=1, width=2, heads=1, kv_heads=1, head_width=2, hidden=2, positions="none",
        norm=norm, norm_epsilon=0.0, activation="relu",
    )  # fmt: skip
    arrays = {name: np.eye(*shape) if len(shape) == 2 else np.ones(shape) for name, shape in settings.shapes().items()}
    arrays["layers.0.self_attn.o_proj.weight"] = np.eye(2)[::-1]
    arrays["embed_tokens.weight"] = np.tile([3.0, 4.0], (settings.vocabulary, 1))
    network = factory.network(settings)
    network.load_arrays(arrays)
    np.testing.assert_allclose(said(network, [5])[0, 0, :2], wanted, rtol=1e-5)


def test_blocks_cost_the_same_wherever_their_norms_stand(tiny):
    counts = {norm: tiny("transformer", norm=norm, width=8).parameters for norm in SHAPES["norm"]}
    assert counts["post"] == counts["course"] == counts["pre"] - 8  # pre has a norm behind its blocks


def test_parameters_do_not_depend_on_the_number_of_heads(tiny):
    counts = {
        tiny("transformer", width=16, heads=heads, kv_heads=heads, head_width=16 // heads).parameters
        for heads in (1, 2, 4, 8)
    }
    assert len(counts) == 1


# Torch's own modules, and one way of computing against another.


@pytest.mark.parametrize(("cell", "module"), [("elman", "RNN"), ("lstm", "LSTM"), ("gru", "GRU")])
def test_cells_are_torchs(cell, module, tiny, shaken):
    network = shaken(tiny("rnn", cell=cell, layers=1))
    own = {
        name.split(".")[-1] + "_l0": torch.from_numpy(a) for name, a in network.to_arrays().items() if "layers" in name
    }
    other = getattr(torch.nn, module)(8, 8, batch_first=True)
    other.load_state_dict(own)
    ids = torch.tensor([IDS, IDS[::-1]])
    with torch.no_grad():
        hidden, state = network(ids, network.initial(2, 2))
        wanted, last = other(network.embed_tokens(ids))
    assert_close(hidden, wanted, width=8)
    for mine, theirs in zip(state if cell == "lstm" else [state], last if cell == "lstm" else [last], strict=True):
        assert_close(mine, theirs, width=8)


@settings(max_examples=20)
@given(st.integers(1, 1024), st.integers(0, 99), st.sampled_from([0.3, 3.0, 12.0]))
def test_the_scan_of_mingru_is_its_recurrence(time, seed, scale):
    generator = torch.Generator().manual_seed(seed)
    gate, candidate = (scale * torch.randn(time, 2, 3, generator=generator) for _ in range(2))
    before = torch.rand(2, 3, generator=generator)
    z = torch.sigmoid(gate.double())
    n = torch.where(candidate >= 0, candidate.double() + 0.5, torch.sigmoid(candidate.double()))
    h, wanted = before.double(), []
    for t in range(time):
        h = (1 - z[t]) * h + z[t] * n[t]
        wanted.append(h)
    wanted = torch.stack(wanted)
    found = scan(gate, candidate, before)
    assert ((found - wanted).abs() <= allowance(1 + wanted.abs(), width=time)).all()


def test_mingru_by_one_token_at_a_time_is_all_at_once(tiny, shaken):
    network = shaken(tiny("rnn", cell="mingru", layers=3))
    ids = torch.randint(0, 11, (2, 200), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        whole, last = network(ids, network.initial(2, 2))
        state, parts = network.initial(2, 2), []
        for t in range(200):
            hidden, state = network(ids[:, t : t + 1], state)
            parts.append(hidden)
    assert_close(torch.cat(parts, dim=1), whole, depth=3, width=8)
    assert_close(state, last, depth=3, width=8)
    assert state.shape == (3, 2, 8)  # whatever the length


@pytest.mark.parametrize("kind", ["ffn", "rnn"])
@pytest.mark.parametrize("cut", [1, 2, 5])
def test_a_text_in_two_stretches_is_the_text(kind, cut, tiny, shaken):
    network = shaken(tiny(kind))
    ids = torch.tensor([IDS])
    with torch.no_grad():
        whole, _ = network(ids, network.initial(1, 2))
        first, state = network(ids[:, :cut], network.initial(1, 2))
        second, _ = network(ids[:, cut:], state)
    assert_close(torch.cat((first, second), dim=1), whole, width=8)


def test_a_cell_is_known_by_its_size():
    assert sum(p.numel() for p in MinimalGRU(8, 2, True, 0.0).parameters()) == 2 * (16 * 8 + 16)


# What is seen and what is not.


@pytest.mark.parametrize("kind", ["ffn", "rnn", "transformer"])
def test_a_later_token_changes_nothing_before_it(kind, tiny, shaken, said):
    network = shaken(tiny(kind))
    for place in range(1, len(IDS)):
        other = [*IDS[:place], 9, *IDS[place + 1 :]]
        before, after = said(network, IDS), said(network, other)
        assert (before[:, :place] == after[:, :place]).all()
        assert (before[:, place] != after[:, place]).any()


def test_feed_forward_sees_its_window_only(tiny, shaken, said):
    network = shaken(tiny("ffn", context=3))
    base = said(network, IDS)[0, -1]
    for place in range(len(IDS)):
        other = [*IDS[:place], 9, *IDS[place + 1 :]]
        assert (said(network, other)[0, -1] == base).all() == (place < len(IDS) - 3)


def test_without_positions_order_is_not_seen(tiny, shaken, said):
    last = {}
    for positions in SHAPES["positions"]:
        network = shaken(tiny("transformer", layers=1, positions=positions))
        orders = itertools.islice(itertools.permutations(IDS[1:-1]), 0, 720, 97)
        found = [said(network, [2, *order, IDS[-1]])[0, -1] for order in orders]
        last[positions] = max(float(np.abs(one - found[0]).max()) for one in found)
        if positions == "none":
            assert last.pop("none") <= allowance(np.abs(found[0]).max(), width=8)
    assert min(last.values()) > 1e-3


@pytest.mark.parametrize("kind", ["ffn", "rnn", "transformer"])
def test_rows_do_not_see_each_other(kind, tiny, shaken, said):
    network = shaken(tiny(kind))
    assert_close(said(network, [IDS, IDS[::-1], IDS])[2], said(network, IDS)[0], width=8)


# First weights.


@pytest.mark.parametrize("kind", ["ffn", "rnn", "transformer"])
def test_an_untied_network_begins_even(kind, tiny, said):
    assert (said(factory.initialised(tiny(kind), seed=3), IDS) == 0).all()


def test_first_weights_come_from_the_seed(tiny):
    for kind in ("ffn", "rnn", "transformer"):
        one, same, other = (factory.initialised(tiny(kind), seed=seed).to_arrays() for seed in (1, 1, 2))
        assert all((one[name] == same[name]).all() for name in one)
        assert any((one[name] != other[name]).any() for name in one)


def test_the_forget_gates_of_an_lstm_begin_open(tiny):
    bias = factory.initialised(tiny("rnn"), seed=0).to_arrays()["layers.1.bias_ih"].reshape(4, -1)
    assert bias.sum(axis=1).tolist() == [0, 8, 0, 0]


def test_dropout_is_for_training_only(tiny, shaken, said):
    for kind in ("ffn", "rnn", "transformer"):
        with_it, without = shaken(tiny(kind), dropout=0.5), shaken(tiny(kind))
        assert (said(with_it.eval(), IDS) == said(without.eval(), IDS)).all()
        assert (said(with_it.train(), IDS) != said(without.train(), IDS)).any()
