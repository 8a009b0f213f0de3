"""AdamW against torch's, what Muon makes of matrices, and clipping."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from rounding import assert_close

from lmkit.training.optimizers import ROUNDS, AdamW, Muon, clip, orthogonal

GAIN = math.prod(a for a, _, _ in ROUNDS)
"""How many times longer the smallest singular values become, and the roundings with them."""


def assert_as_orthogonal(found, expected):
    """Equal but for rounding, and for what the iteration of `orthogonal` makes of that."""
    assert_close(found.detach(), expected.detach(), depth=GAIN, width=GAIN)


def matrices(*shapes, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=generator) for shape in shapes]


def with_gradient(tensor, gradient):
    tensor.grad = gradient.clone()
    return tensor


def muon(*weights):
    """Muon for matrices that are one map each."""
    names = {str(number): weight for number, weight in enumerate(weights)}
    return Muon(names, {name: [len(weight)] for name, weight in names.items()}, momentum=0.9)


@pytest.mark.parametrize("decay", [0.0, 0.1])
@pytest.mark.parametrize("epsilon", [1e-10, 1e-3])
def test_adamw_is_torchs(decay, epsilon):
    shapes = [(3, 4), (5,), (2, 2)]
    mine, theirs = (matrices(*shapes) for _ in range(2))
    groups = [
        {"params": [p for p in theirs if p.ndim > 1], "weight_decay": decay},
        {"params": [p for p in theirs if p.ndim == 1], "weight_decay": 0.0},
    ]
    wanted = torch.optim.AdamW(groups, lr=0.1, betas=(0.8, 0.95), eps=epsilon)
    found = AdamW({str(n): p for n, p in enumerate(mine)}, beta1=0.8, beta2=0.95, epsilon=epsilon)
    for number in range(1, 9):
        rate = 0.1 / number
        for one, other, gradient in zip(mine, theirs, matrices(*shapes, seed=number), strict=True):
            one.grad, other.grad = gradient, gradient.clone()
        for group in wanted.param_groups:
            group["lr"] = rate
        wanted.step()
        found.step(number, rate, decay)
        for one, other in zip(mine, theirs, strict=True):
            assert_close(one.detach(), other.detach(), depth=8)


def test_a_parameter_without_a_gradient_goes_on_by_its_momentum_alone():
    (tensor,) = matrices((2, 3))
    before = tensor.clone()
    AdamW({"a": tensor}).step(1, 0.1, 0.0)
    muon(tensor).step(0.1, 0.0)
    assert (tensor == before).all()
    AdamW({}).step(1, 0.1, 0.1)
    Muon({}, {}).step(0.1, 0.1)


@settings(max_examples=40)
@given(st.integers(1, 12), st.integers(0, 12), st.integers(0, 99), st.sampled_from([1e-6, 1.0, 1e6]))
def test_orthogonal_matrices(rows, more, seed, scale):
    """Singular values near 1, directions kept."""
    given = scale * torch.randn(3, rows, rows + more, generator=torch.Generator().manual_seed(seed))
    found = orthogonal(given)
    left, values, right = torch.linalg.svd(given, full_matrices=False)
    within = torch.linalg.multi_dot
    for k in range(3):
        turned = within((left[k].T, found[k], right[k].T))
        off = turned - torch.diag(torch.diag(turned))
        assert off.abs().max() < 1e-2
        big = values[k] > 0.05 * values[k].norm()
        assert ((turned.diag()[big] > 0.6) & (turned.diag()[big] < 1.3)).all()
        assert (turned.diag() < 1.3).all()


@pytest.mark.parametrize("shape", [(4, 4), (8, 4), (4, 8)])
def test_muon_moves_by_orthogonal_steps(shape):
    (weight,) = matrices(shape)
    learner = muon(weight)
    mean = torch.zeros(shape)
    for number in range(1, 4):
        before = weight.clone()
        (gradient,) = matrices(shape, seed=number)
        with_gradient(weight, gradient)
        learner.step(0.5, 0.2)
        mean = 0.9 * mean + 0.1 * gradient
        update = gradient + 0.9 * (mean - gradient)
        flat = update.T if shape[0] > shape[1] else update
        made = orthogonal(flat[None])[0]
        made = made.T if shape[0] > shape[1] else made
        grown = max(1.0, shape[0] / shape[1]) ** 0.5
        assert_as_orthogonal(weight, before * 0.9 - 0.5 * grown * made)


def test_gates_are_made_orthogonal_apart():
    """Four gates in one matrix learn as four matrices do; one of them a thousand times steeper than the others."""
    blocks = matrices((4, 4), (4, 4), (4, 4), (4, 4))
    gradients = matrices((4, 4), (4, 4), (4, 4), (4, 4), seed=1)
    gradients[2] *= 1000
    together = with_gradient(torch.cat(blocks), torch.cat(gradients))
    other = with_gradient(together.clone(), together.grad)  # of the same shape, handled together
    for block, gradient in zip(blocks, gradients, strict=True):
        with_gradient(block, gradient)
    Muon({"a": together, "b": other}, {"a": [4] * 4, "b": [4] * 4}).step(0.1, 0.0)
    muon(*blocks).step(0.1, 0.0)
    assert_as_orthogonal(together, torch.cat(blocks))
    assert_as_orthogonal(other, together)


def test_maps_of_different_heights_in_one_matrix_are_made_orthogonal_apart():
    blocks, gradients = matrices((4, 4), (2, 4), (6, 4)), matrices((4, 4), (2, 4), (6, 4), seed=1)
    together = with_gradient(torch.cat(blocks), torch.cat(gradients))
    for block, gradient in zip(blocks, gradients, strict=True):
        with_gradient(block, gradient)
    Muon({"qkv": together}, {"qkv": [4, 2, 6]}).step(0.1, 0.0)
    muon(*blocks).step(0.1, 0.0)
    assert_as_orthogonal(together, torch.cat(blocks))


def test_matrices_of_one_shape_and_its_transpose_are_handled_at_once():
    shapes = [(4, 6), (6, 4), (4, 6), (3, 3)]
    together, alone, gradients = matrices(*shapes), matrices(*shapes), matrices(*shapes, seed=1)
    for one, other, gradient in zip(together, alone, gradients, strict=True):
        with_gradient(one, gradient)
        with_gradient(other, gradient)
    learner = muon(*together)
    assert len(learner.groups) == 2
    learner.step(0.1, 0.1)
    for one, other in zip(together, alone, strict=True):
        muon(other).step(0.1, 0.1)
        assert_as_orthogonal(one, other)


def test_clipping_keeps_directions_and_tells_the_norm():
    gradients = [torch.tensor([3.0, 0.0]), torch.tensor([4.0])]
    tensors = [with_gradient(torch.zeros_like(gradient), gradient) for gradient in gradients]
    without = torch.zeros(3)
    assert clip([*tensors, without], 10.0) == 5.0
    assert tensors[0].grad.tolist() == [3.0, 0.0]
    assert clip([*tensors, without], None) == 5.0
    assert clip([*tensors, without], 1.0) == 5.0
    torch.testing.assert_close(torch.cat([tensor.grad for tensor in tensors]), torch.tensor([0.6, 0.0, 0.8]))
    assert without.grad is None
