"""Low-rank adapters beside the linear maps of a network, whose own weights stay as they are. Hu et al. (2021).

y = W x + (alpha / r) B A x: what is added is computed apart, so that no gradient of W's size is. N tokens, r rank.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from lmkit.architectures.adapters import Adapter
from lmkit.nn.network import Network, ParameterSlice, normal


class LowRankAdapters(nn.Module):
    """The A and B of each adapted matrix of a body, and what they add to it while `active`."""

    def __init__(self, body: Network, adapter: Adapter) -> None:
        super().__init__()
        self.active = True
        self._scale = adapter.alpha / adapter.rank
        self.tensors = nn.ParameterDict()
        self.places: dict[str, ParameterSlice] = {}
        for name, shape in adapter.shapes(body.settings).items():
            own = name.replace(".", "/")
            self.tensors[own] = nn.Parameter(torch.empty(shape))
            self.places[name] = ParameterSlice(f"tensors.{own}")
        modules: dict[str, list[tuple[int, int | None, str]]] = {}
        for name in adapter.matrices(body.settings):
            place = body.places[name]
            module = place.parameter.removesuffix(".weight")
            modules.setdefault(module, []).append((place.begin, place.end, name.replace(".", "/")))
        for name, parts in modules.items():
            body.get_submodule(name).register_forward_hook(self._hook(parts))

    def initialise(self, generator: torch.Generator) -> None:
        """A (r, D) of deviation 1/sqrt D, B of zeros, so that nothing changes."""
        for name, tensor in self.tensors.items():
            if name.endswith("lora_a"):
                normal(tensor, generator, tensor.shape[1] ** -0.5)
            else:
                nn.init.zeros_(tensor)

    def _hook(self, parts: list[tuple[int, int | None, str]]) -> Any:
        def add(_module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
            if not self.active:
                return output
            matrices = [self.tensors[f"{name}/{side}"] for side in ("lora_a", "lora_b") for _, _, name in parts]
            bounds = [(begin, end) for begin, end, _ in parts]
            added: Tensor = _Added.apply(output, inputs[0], self._scale, bounds, *matrices)  # type: ignore[no-untyped-call]
            return added

        return add


class _Added(torch.autograd.Function):
    """y += s B (A x) for each part of y, in place: y's gradient goes through as it is, without a copy.

    With n = s A x:  dB = dy^T n,  dn = s dy B,  dA = dn^T x,  dx = dn A.
    """

    @staticmethod
    def forward(
        ctx: Any, output: Tensor, x: Tensor, scale: float, bounds: list[tuple[int, int | None]], *matrices: Tensor
    ) -> Tensor:
        """Return `output`, (..., O), to which the maps of x, (..., D), are added; `matrices`: all A, then all B."""
        parts = len(bounds)
        with torch.autocast(output.device.type, enabled=False):
            a = torch.cat(matrices[:parts]).to(output.dtype)  # (parts r, D)
            narrow = functional.linear(x.to(output.dtype).flatten(0, -2), a).mul_(scale)  # (N, parts r)
            rows = output.view(-1, output.shape[-1])
            inner = narrow.chunk(parts, dim=1)
            for (begin, end), own, b in zip(bounds, inner, matrices[parts:], strict=True):
                rows[:, begin:end].addmm_(own, b.to(output.dtype).t())
        ctx.save_for_backward(x, narrow, *matrices)
        ctx.scale, ctx.bounds = scale, bounds
        ctx.mark_dirty(output)
        return output

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Any, ...]:
        """Return the gradients of the output, of x, and of the matrices."""
        (gradient,) = gradients
        x, narrow, *matrices = ctx.saved_tensors
        parts, kind = len(ctx.bounds), narrow.dtype
        rows = gradient.reshape(-1, gradient.shape[-1]).to(kind)
        inner = narrow.chunk(parts, dim=1)
        of_b, of_narrow = list[Tensor](), list[Tensor]()
        for (begin, end), own, b in zip(ctx.bounds, inner, matrices[parts:], strict=True):
            of_b.append((rows[:, begin:end].t() @ own).to(b.dtype))
            of_narrow.append(rows[:, begin:end] @ b.to(kind))
        changes = torch.cat(of_narrow, dim=1).mul_(ctx.scale)
        of_a = changes.t() @ x.flatten(0, -2).to(kind)
        of_x: Tensor | None = None
        if ctx.needs_input_grad[1]:
            of_x = (changes @ torch.cat(matrices[:parts]).to(kind)).view(x.shape).to(x.dtype)
        return gradient, of_x, None, None, *of_a.to(matrices[0].dtype).chunk(parts), *of_b
