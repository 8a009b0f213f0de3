"""RMSNorm, rotary positions and SwiGLU: PyTorch's numbers, and the gradients of finite differences."""

import pytest
import torch
from torch.nn import functional

from lmkit.nn import transformer
from lmkit.nn.written_gradients import rms_norm, swiglu, turned


@pytest.mark.parametrize("shape", [(8,), (6, 8)])
def test_norms(shape):
    torch.manual_seed(0)
    x = torch.randn(5, 6, 8, dtype=torch.double, requires_grad=True)
    weight = torch.randn(shape, dtype=torch.double, requires_grad=True)
    torch.testing.assert_close(rms_norm(x, weight, 1e-3), functional.rms_norm(x, (8,), eps=1e-3) * weight)
    with torch.no_grad():
        torch.testing.assert_close(rms_norm(x, weight, 1e-3), functional.rms_norm(x, (8,), eps=1e-3) * weight)
    assert torch.autograd.gradcheck(lambda *both: rms_norm(*both, 1e-3), (x, weight))


def test_rotations():
    torch.manual_seed(0)
    x = torch.randn(5, 3, 8, dtype=torch.double, requires_grad=True)
    cosines, sines = torch.randn(2, 5, 1, 8, dtype=torch.double)
    torch.testing.assert_close(turned(x, cosines, sines), transformer.turned(x, cosines, sines))
    assert torch.autograd.gradcheck(lambda x: turned(x, cosines, sines), (x,))


def test_swiglu():
    torch.manual_seed(0)
    x = torch.randn(5, 3, 8, dtype=torch.double, requires_grad=True)
    torch.testing.assert_close(swiglu(x), functional.silu(x[..., :4]) * x[..., 4:])
    with torch.no_grad():
        torch.testing.assert_close(swiglu(x), functional.silu(x[..., :4]) * x[..., 4:])
    assert torch.autograd.gradcheck(swiglu, (x,))
