"""The functions of neural models against textbook figures and against torch."""

import math

import numpy as np
import pytest

from lmkit.architectures.positions import sinusoidal
from lmkit.inference import functional

EXACT = {"rtol": 0, "atol": 5e-7}


def column(*numbers):
    return np.array(numbers, dtype=np.float64)


def test_an_elman_step_is_the_matrix_product():
    """h' = tanh(W_ih e + W_hh h + b_h), then softmax(W_ho h'), figures worked out by hand."""
    hidden = functional.elman_step(
        column(1, -1), column(0.5, 0.5), 0.5 * np.eye(2), np.array([[0.1, 0.2], [0.3, 0.4]]), column(0.1, -0.1)
    )
    np.testing.assert_allclose(hidden, [0.6351490, -0.2449187], **EXACT)
    output = functional.softmax(functional.linear(hidden, np.array([[1.0, 0], [0, 1], [1, 1]])))
    np.testing.assert_allclose(output, [0.4550578, 0.1887374, 0.3562048], **EXACT)


def test_an_elman_step_needs_no_bias():
    embedded, before = column(1, -1), column(0.5, 0.5)
    inner, outer = np.array([[0.1, 0.2], [0.3, 0.4]]), np.array([[1.0, 2.0], [3.0, 4.0]])
    np.testing.assert_allclose(functional.elman_step(embedded, before, outer, inner), np.tanh([-0.85, -0.65]), **EXACT)


@pytest.mark.parametrize(
    ("scale", "weights", "output"),
    [(None, [0.401112, 0.197776, 0.401112], [3, 4]), (1.0, [0.422319, 0.155362, 0.422319], [3, 4])],
)
def test_attention_scaled_and_not(scale, weights, output):
    queries, keys = column(1, 0)[None], np.array([[1.0, 0], [0, 1], [1, 1]])
    found, shares = functional.attention(queries, keys, np.array([[1.0, 2], [3, 4], [5, 6]]), scale)
    np.testing.assert_allclose(shares[0], weights, **EXACT)
    np.testing.assert_allclose(found[0], output, **EXACT)


def test_what_a_mask_hides_has_no_weight():
    rng = np.random.default_rng(0)
    queries, keys, values = rng.normal(size=(3, 2, 5, 4)), rng.normal(size=(2, 5, 4)), rng.normal(size=(2, 5, 3))
    outputs, weights = functional.attention(queries, keys, values, mask=functional.causal(5, 5))
    assert (weights[..., ~functional.causal(5, 5)] == 0).all()
    np.testing.assert_allclose(weights.sum(-1), 1, atol=1e-12)
    np.testing.assert_allclose(outputs[..., 0, :], np.broadcast_to(values[:, 0], (3, 2, 3)), atol=1e-12)
    alone, _ = functional.attention(queries[..., 1:2, :], keys[:, :2], values[:, :2])
    np.testing.assert_allclose(outputs[..., 1:2, :], alone, atol=1e-12)


def test_the_causal_mask_is_the_lower_triangle():
    assert functional.causal(3, 3).tolist() == [[True, False, False], [True, True, False], [True, True, True]]
    assert functional.causal(1, 3).tolist() == [[True, True, True]]


def test_sinusoidal_positions():
    np.testing.assert_allclose(sinusoidal(column(1), 4)[0], [0.841471, 0.540302, 0.010000, 0.999950], **EXACT)
    np.testing.assert_allclose(sinusoidal(column(1), 4, first=1)[0], [0.01, 0.999950, 0.0001, 1.0], **EXACT)


def test_layer_norm_divides_by_the_root_of_the_variance():
    found = functional.layer_norm(column(1, 2, 3, 4), epsilon=1e-5)
    np.testing.assert_allclose(found, [-1.3416354, -0.4472118, 0.4472118, 1.3416354], **EXACT)
    weight, bias = column(1, 2, 3, 4), column(0, 1, 0, 1)
    both = functional.layer_norm(column(1, 2, 3, 4), weight, bias, 1e-5)
    np.testing.assert_allclose(both, found * weight + bias, atol=1e-12)


def test_rms_norm():
    found = functional.rms_norm(column(3, 4), column(1, 2), epsilon=0.0)
    np.testing.assert_allclose(found, [3 / math.sqrt(12.5), 8 / math.sqrt(12.5)], atol=1e-12)


def test_rotating_turns_pairs_of_numbers():
    found = functional.rotate(column(1, 2, 0, 0), np.cos(column(math.pi / 2, 0.5)), np.sin(column(math.pi / 2, 0.5)))
    np.testing.assert_allclose(found, [0, 2 * math.cos(0.5), 1, 2 * math.sin(0.5)], atol=1e-12)


def test_distributions_of_any_size():
    logits = column(1e4, 1e4 + math.log(3), -1e4)
    np.testing.assert_allclose(functional.softmax(logits), [0.25, 0.75, 0], atol=1e-12)
    np.testing.assert_allclose(functional.log_softmax(logits)[:2], np.log([0.25, 0.75]), atol=1e-12)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_the_type_of_numbers_stays(kind):
    rng = np.random.default_rng(1)
    x, h, c = (rng.normal(size=(2, 4)).astype(kind) for _ in range(3))
    inner, bias = rng.normal(size=(16, 4)).astype(kind), rng.normal(size=16).astype(kind)
    made = [
        *functional.lstm_step(x, h, c, inner, inner, bias, bias),
        functional.gru_step(x, h, inner[:12], inner[:12], bias[:12], bias[:12]),
        functional.mingru_step(x, h, inner[:8], bias[:8]),
        functional.elman_step(x, h, inner[:4], inner[:4], bias[:4], bias[:4]),
        *functional.attention(x, h, c, mask=functional.causal(2, 2)),
        *(apply(x) for apply in (functional.gelu, functional.relu2, functional.relu, functional.silu)),
        functional.softmax(x),
        functional.layer_norm(x, bias[:4], bias[:4]), functional.rms_norm(x, bias[:4]), functional.swiglu(x, h),
        functional.rotate(x, c[:, :2], c[:, :2]), functional.log_softmax(x),
    ]  # fmt: skip
    assert {array.dtype for array in made} == {np.dtype(kind)}


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("cell", ["RNN", "LSTM", "GRU"])
def test_cells_equal_those_of_torch(cell, bias):
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    module = getattr(torch.nn, cell)(5, 7, bias=bias, batch_first=True).double()
    inputs = torch.randn(3, 11, 5, dtype=torch.float64)
    expected = module(inputs)[0].detach().numpy()
    own = {name.removesuffix("_l0"): value.detach().numpy() for name, value in module.named_parameters()}
    hidden = memory = np.zeros((3, 7))
    for time, x in enumerate(inputs.numpy().swapaxes(0, 1)):
        if cell == "LSTM":
            hidden, memory = functional.lstm_step(x, hidden, memory, **own)
        else:
            hidden = (functional.gru_step if cell == "GRU" else functional.elman_step)(x, hidden, **own)
        np.testing.assert_allclose(hidden, expected[:, time], atol=1e-6)


def test_mingru_by_its_formula():
    rng = np.random.default_rng(2)
    x, h, weight, bias = rng.normal(size=3), rng.normal(size=2), rng.normal(size=(4, 3)), rng.normal(size=4)
    found = functional.mingru_step(x, h, weight, bias)
    for place in range(2):
        gate = 1 / (1 + math.exp(-(weight[place] @ x + bias[place])))
        new = weight[2 + place] @ x + bias[2 + place]
        new = new + 0.5 if new >= 0 else 1 / (1 + math.exp(-new))
        assert found[place] == pytest.approx((1 - gate) * h[place] + gate * new, abs=1e-12)


@pytest.mark.parametrize("name", ["gelu", "silu", "relu"])
def test_activations_equal_those_of_torch(name):
    torch = pytest.importorskip("torch")
    x = np.linspace(-30, 30, 1001)
    own = {"approximate": "tanh"} if name == "gelu" else {}
    expected = getattr(torch.nn.functional, name)(torch.from_numpy(x), **own).numpy()
    with np.errstate(over="ignore"):
        np.testing.assert_allclose(getattr(functional, name)(x), expected, atol=1e-12)
    np.testing.assert_allclose(functional.relu2(x), np.maximum(x, 0) ** 2, atol=0)
    np.testing.assert_allclose(functional.swiglu(x, x + 1), functional.silu(x) * (x + 1), atol=0)
