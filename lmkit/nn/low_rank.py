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
        """A of deviation 1/sqrt r, B of zeros, so that nothing changes."""
        for name, tensor in self.tensors.items():
            if name.endswith("lora_a"):
                normal(tensor, generator, tensor.shape[1] ** -0.5)
            else:
                nn.init.zeros_(tensor)

    def _hook(self, parts: list[tuple[int, int | None, str]]) -> Any:
        def add(_module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
            if not self.active:
                return output
            inner = [self.tensors[f"{name}/lora_a"] for _, _, name in parts]
            narrow = self._scale * functional.linear(inputs[0], torch.cat(inner))  # (N, parts r)
            for (begin, end, name), own in zip(parts, narrow.chunk(len(parts), dim=-1), strict=True):
                output[..., begin:end] += functional.linear(own, self.tensors[f"{name}/lora_b"])
            return output

        return add
