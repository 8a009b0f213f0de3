"""The vision transformer; formulas: see `architectures.vision`.

B images, H x W pixels, C channels, N patches, T = 1 + N, D width, K labels.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from lmkit.architectures.heads import TaskHead
from lmkit.architectures.vision import VisionConfig
from lmkit.nn.network import Network, ParameterSlice, State, normal

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu": functional.gelu,
    "gelu_tanh": lambda x: functional.gelu(x, approximate="tanh"),
    "quick_gelu": lambda x: x * torch.sigmoid(1.702 * x),
}


class VisionBlock(nn.Module):
    """Attention and feed-forward, each behind a norm."""

    def __init__(self, settings: VisionConfig, dropout: float) -> None:
        super().__init__()
        width = settings.width
        self.settings, self.dropout = settings, dropout
        self.input_layernorm = nn.LayerNorm(width, eps=settings.norm_epsilon)
        self.qkv_proj = nn.Linear(width, 3 * width)  # one product for all three
        self.o_proj = nn.Linear(width, width)
        self.post_attention_layernorm = nn.LayerNorm(width, eps=settings.norm_epsilon)
        self.up_proj = nn.Linear(width, settings.hidden)
        self.down_proj = nn.Linear(settings.hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        """From (B, T, D) to (B, T, D)."""
        x = x + self._dropped(self._attention(self.input_layernorm(x)))
        inner = ACTIVATIONS[self.settings.activation](self.up_proj(self.post_attention_layernorm(x)))
        return x + self._dropped(self.down_proj(inner))

    def _attention(self, x: Tensor) -> Tensor:
        count, time, width = x.shape
        parts = self.qkv_proj(x).view(count, time, 3, self.settings.heads, self.settings.head_width)
        q, k, v = parts.permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(q, k, v)
        out: Tensor = self.o_proj(mixed.transpose(1, 2).reshape(count, time, width))
        return out

    def _dropped(self, branch: Tensor) -> Tensor:
        return functional.dropout(branch, self.dropout) if self.dropout and self.training else branch


def _place(name: str, width: int) -> ParameterSlice:
    """Queries, keys and values lie in one parameter."""
    own = name.replace("self_attn.", "").replace("mlp.", "")
    for number, section in enumerate(("q_proj", "k_proj", "v_proj")):
        if f".{section}." in own:
            return ParameterSlice(own.replace(section, "qkv_proj"), number * width, (number + 1) * width)
    return ParameterSlice(own)


class VisionNetwork(Network):
    """Patches, blocks, and a head for labels; `outputs` gives its logits."""

    settings: VisionConfig

    def __init__(self, settings: VisionConfig, head: TaskHead, dropout: float = 0.0) -> None:
        super().__init__()
        self.settings: VisionConfig = settings
        width = settings.width
        self.patches = nn.Linear(settings.channels * settings.patch**2, width, bias=settings.patch_bias)
        self.class_token = nn.Parameter(torch.zeros(width))
        self.embed_positions = nn.Embedding(settings.patches + 1, width)
        self.embed_norm = nn.LayerNorm(width, eps=settings.norm_epsilon) if settings.embed_norm else None
        self.layers = nn.ModuleList(VisionBlock(settings, dropout) for _ in range(settings.layers))
        self.norm = nn.LayerNorm(width, eps=settings.norm_epsilon)
        self.head = nn.Linear(width, head.outputs)
        self.places = {name: _place(name, width) for name in (settings.shapes() | head.shapes())}

    @property
    def device(self) -> torch.device:
        """See `Network.device`."""
        return self.class_token.device

    def initialise(self, generator: torch.Generator) -> None:
        """As ViT: deviation 0.02, but the patches' map by its inputs; biases, class token and head are zero."""
        for name, tensor in self.named_parameters():
            if name.endswith("bias") or name in ("class_token", "head.weight"):
                nn.init.zeros_(tensor)
            elif "norm" in name:
                nn.init.ones_(tensor)
            else:
                normal(tensor, generator, 1 / math.sqrt(tensor.shape[1]) if name.startswith("patches") else 0.02)

    def states(self, pixels: Tensor) -> Tensor:
        """States of the class token and the patches, (B, T, D), of scaled pixels, (B, H, W, C); normed if `all`."""
        count, height, width, channels = pixels.shape
        size = self.settings.patch
        parts = pixels.view(count, height // size, size, width // size, size, channels)
        x = self.patches(parts.permute(0, 1, 3, 5, 2, 4).reshape(count, -1, channels * size * size))
        x = torch.cat((self.class_token.expand(count, 1, -1), x), dim=1) + self.embed_positions.weight
        if self.embed_norm is not None:
            x = self.embed_norm(x)
        for block in self.layers:
            x = block(x)
        out: Tensor = self.norm(x) if self.settings.last_norm == "all" else x
        return out

    def outputs(self, pixels: Tensor) -> Tensor:
        """Logits of the labels, (B, K)."""
        state = self.states(pixels)[:, 0]
        logits: Tensor = self.head(self.norm(state) if self.settings.last_norm == "first" else state)
        return logits

    def forward(self, ids: Tensor, state: State = None) -> tuple[Tensor, State]:
        """See `Network.forward`: of pixels."""
        return self.states(ids), state

    def logits(self, hidden: Tensor) -> Tensor:
        """See `Network.logits`: the head's."""
        found: Tensor = self.head(hidden)
        return found
