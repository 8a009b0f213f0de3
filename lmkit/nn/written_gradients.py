"""RMSNorm, rotary positions and SwiGLU with gradients written out: a third of autograd's passes over memory.

On a CPU these are a tenth of a training step otherwise. Where torch.compile compiles, autograd's are used, which it
fuses. N tokens or (N, H), D width of a vector.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


def _are_written(x: Tensor) -> bool:
    on_cpu = x.device.type == "cpu" and x.dtype != torch.bfloat16
    return on_cpu and torch.is_grad_enabled() and not torch.compiler.is_compiling()


class _Norm(torch.autograd.Function):
    """y = u w of u = x / r with r = sqrt(mean x^2 + e);  dx = (g w - u mean(g w u)) / r,  dw = sum g u."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, epsilon: float) -> Tensor:
        inverse = torch.linalg.vector_norm(x, dim=-1, keepdim=True).square_().div_(x.shape[-1]).add_(epsilon).rsqrt_()
        unit = x * inverse
        ctx.save_for_backward(unit, weight, inverse)
        scaled: Tensor = unit * weight
        return scaled

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor | None, None]:
        (gradient,) = gradients
        unit, weight, inverse = ctx.saved_tensors
        both = gradient * unit
        whole = both @ weight if weight.ndim == 1 else (both * weight).sum(-1)
        along = whole.unsqueeze(-1).div_(-unit.shape[-1])
        dx = (gradient * weight).addcmul_(unit, along).mul_(inverse)
        return dx, both.flatten(0, -1 - weight.ndim).sum(0) if ctx.needs_input_grad[1] else None, None


def rms_norm(x: Tensor, weight: Tensor, epsilon: float) -> Tensor:
    """x / sqrt(mean x^2 + epsilon) times `weight`, (D,) or (H, D), of x, (..., D); Zhang and Sennrich (2019)."""
    if not _are_written(x):
        return functional.rms_norm(x, (x.shape[-1],), eps=epsilon) * weight
    found: Tensor = _Norm.apply(x, weight, epsilon)  # type: ignore[no-untyped-call]
    return found


class RMSNorm(nn.RMSNorm):
    """PyTorch's, with `rms_norm`."""

    def forward(self, x: Tensor) -> Tensor:
        """From (..., D) to (..., D)."""
        assert self.eps is not None
        return rms_norm(x, self.weight, self.eps)


def _turn(x: Tensor, cosines: Tensor, upper: Tensor, lower: Tensor) -> Tensor:
    """x times the cosines, and to its halves the other half times `upper` and `lower`."""
    half = x.shape[-1] // 2
    y = x * cosines
    y[..., :half].addcmul_(x[..., half:], upper)
    y[..., half:].addcmul_(x[..., :half], lower)
    return y


class _Turn(torch.autograd.Function):
    """A rotation, whose gradient is the rotation back."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, cosines: Tensor, sines: Tensor) -> Tensor:
        ctx.save_for_backward(cosines, sines)
        return _turn(x, cosines, *sines.chunk(2, dim=-1))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        cosines, sines = ctx.saved_tensors
        return _turn(gradients[0], cosines, *reversed(sines.chunk(2, dim=-1))), None, None


def turned(x: Tensor, cosines: Tensor, sines: Tensor) -> Tensor:
    """The same as `nn.transformer.turned`: numbers i and i + D/2 of x turned by angles, (N, 1, D) both."""
    if torch.compiler.is_compiling():
        return _turn(x, cosines, *sines.chunk(2, dim=-1))
    found: Tensor = _Turn.apply(x, cosines, sines)  # type: ignore[no-untyped-call]
    return found


class _SwiGLU(torch.autograd.Function):
    """y = silu(g) u, silu(g) = g s(g) with the sigmoid s;  du = dy silu(g),  dg = dy u s (1 + g (1 - s)).

    Only g and u are kept, not silu(g).
    """

    @staticmethod
    def forward(ctx: Any, both: Tensor) -> Tensor:
        ctx.save_for_backward(both)
        gate, up = both.chunk(2, dim=-1)
        return functional.silu(gate).mul_(up)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (both,), (gradient,) = ctx.saved_tensors, gradients
        (gate, up), change = both.chunk(2, dim=-1), torch.empty_like(both)
        of_gate, of_up = change.chunk(2, dim=-1)
        sigmoid = torch.sigmoid(gate)
        silu = sigmoid * gate
        torch.mul(gradient, silu, out=of_up)
        torch.addcmul(sigmoid, silu, 1 - sigmoid, out=of_gate)
        of_gate.mul_(gradient).mul_(up)
        return change


def swiglu(both: Tensor) -> Tensor:
    """silu(g) u of the halves g and u of x, (..., 2 H); Shazeer (2020)."""
    if not _are_written(both):
        gate, up = both.chunk(2, dim=-1)
        return functional.silu(gate) * up
    found: Tensor = _SwiGLU.apply(both)  # type: ignore[no-untyped-call]
    return found
