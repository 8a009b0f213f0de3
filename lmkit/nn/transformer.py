"""The decoder-only transformer; the formulas stand in `architectures.transformer`.

B batch, T time, D width, H heads, K heads of keys and values, W head width, V vocabulary.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from lmkit.architectures.positions import rotary, sinusoidal
from lmkit.architectures.transformer import TransformerConfig
from lmkit.nn import written_gradients
from lmkit.nn.kv_cache import AttentionContext, UpdateKV
from lmkit.nn.network import Network, ParameterSlice, State, normal, uniform

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu": lambda x: functional.gelu(x, approximate="tanh"),
    "relu": functional.relu,
    "relu2": lambda x: functional.relu(x).square(),
    "swiglu": written_gradients.swiglu,
}


class Attention(nn.Module):
    """Causal self-attention: softmax(q k / sqrt W) v over the positions up to each."""

    def __init__(self, settings: TransformerConfig) -> None:
        super().__init__()
        self.settings = settings
        queries, keys = settings.heads * settings.head_width, settings.kv_heads * settings.head_width
        bias = settings.bias != "none"
        self.qkv_proj = nn.Linear(settings.width, queries + 2 * keys, bias=bias)  # one product for all three
        self.o_proj = nn.Linear(queries, settings.width, bias=settings.bias == "all")
        if settings.query_key_norm:
            self.q_norm = nn.RMSNorm(settings.head_width, eps=settings.norm_epsilon)
            self.k_norm = nn.RMSNorm(settings.head_width, eps=settings.norm_epsilon)

    def forward(
        self, x: Tensor, turns: tuple[Tensor, Tensor] | None, remember: UpdateKV | None = None,
        lengths: Sequence[int] | None = None,
    ) -> Tensor:  # fmt: skip
        """From (B, T, D) to (B, T, D); `turns` are the cosines and sines of rotary positions.

        With `lengths` T tokens of one row are sequences end to end, each of which sees itself alone.
        """
        rows, time = x.shape[:2]
        heads, groups, width = self.settings.heads, self.settings.kv_heads, self.settings.head_width
        qkv = self.qkv_proj(x).view(rows, time, -1, width)  # (B, T, H + 2 K, W)
        qk, v = qkv.split((heads + groups, groups), dim=2)
        if self.settings.query_key_norm:
            scales = torch.cat((self.q_norm.weight.expand(heads, width), self.k_norm.weight.expand(groups, width)))
            qk = functional.rms_norm(qk, (width,), eps=self.settings.norm_epsilon) * scales
        if turns is not None:  # gradients written out need no room for what is in between
            turn = written_gradients.turned if lengths is not None and qk.device.type == "cpu" else turned
            qk = turn(qk, *turns)
        q, k = qk.split((heads, groups), dim=2)
        q, k, v = q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)
        mask = None
        if remember is not None:
            k, v, mask = remember(k, v)
        if lengths is None:
            mixed = functional.scaled_dot_product_attention(
                q, k, v, attn_mask=mask, is_causal=mask is None, enable_gqa=groups != heads
            )  # (B, H, T, W)
        else:
            own = zip(*(one.split(list(lengths), dim=2) for one in (q, k, v)), strict=True)
            parts = [
                functional.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=groups != heads)
                for q, k, v in own
            ]
            mixed = torch.cat(parts, dim=2)
        out: Tensor = self.o_proj(mixed.transpose(1, 2).reshape(rows, time, -1))
        return out


def turned(x: Tensor, cosines: Tensor, sines: Tensor) -> Tensor:
    """Numbers i and i + W/2 of x, (B, T, H, W), turned by the angles whose cosines and sines are (T, 1, W).

    The sines of the first half carry a minus.
    """
    half = x.shape[-1] // 2
    return x * cosines + torch.cat((x[..., half:], x[..., :half]), dim=-1) * sines


class FeedForwardBranch(nn.Module):
    """Two linear maps with an activation between, or SwiGLU's three."""

    def __init__(self, settings: TransformerConfig) -> None:
        super().__init__()
        bias = settings.bias == "all"
        maps = 2 if _gated(settings) else 1
        self.up_proj = nn.Linear(settings.width, maps * settings.hidden, bias=bias)  # gate and up, where both are
        self.down_proj = nn.Linear(settings.hidden, settings.width, bias=bias)
        self.activation = settings.activation

    def forward(self, x: Tensor) -> Tensor:
        """From (B, T, D) to (B, T, D)."""
        out: Tensor = self.down_proj(ACTIVATIONS[self.activation](self.up_proj(x)))
        return out


def _gated(settings: TransformerConfig) -> bool:
    return settings.activation == "swiglu"


def _norm(settings: TransformerConfig) -> nn.Module:
    kind = nn.RMSNorm if settings.normalisation == "rmsnorm" else nn.LayerNorm
    return kind(settings.width, eps=settings.norm_epsilon)


class Block(nn.Module):
    """Attention and feed-forward, joined to the residual stream as `norm` says."""

    def __init__(self, settings: TransformerConfig, dropout: float) -> None:
        super().__init__()
        self.norm, self.residual, self.dropout = settings.norm, settings.residual, dropout
        self.input_layernorm = _norm(settings)
        self.self_attn = Attention(settings)
        self.post_attention_layernorm = _norm(settings)
        self.mlp = FeedForwardBranch(settings)

    def forward(
        self, x: Tensor, turns: tuple[Tensor, Tensor] | None, remember: UpdateKV | None = None,
        lengths: Sequence[int] | None = None,
    ) -> Tensor:  # fmt: skip
        """From (B, T, D) to (B, T, D)."""
        seen = self.input_layernorm(x) if self.norm == "pre" else x
        x = self._join(x, self.self_attn(seen, turns, remember, lengths), self.input_layernorm)
        seen = self.post_attention_layernorm(x) if self.norm == "pre" else x
        return self._join(x, self.mlp(seen), self.post_attention_layernorm)

    def _join(self, x: Tensor, branch: Tensor, norm: nn.Module) -> Tensor:
        if self.dropout and self.training:
            branch = functional.dropout(branch, self.dropout)
        if self.norm == "course":
            branch = norm(branch)
        joined = x + branch if self.residual else branch
        return norm(joined) if self.norm == "post" else joined


def _place(name: str, settings: TransformerConfig) -> ParameterSlice:
    """Queries, keys and values lie in one parameter, gate and up in another."""
    queries, keys = settings.heads * settings.head_width, settings.kv_heads * settings.head_width
    sections = {
        "q_proj": ("qkv_proj", 0, queries),
        "k_proj": ("qkv_proj", queries, queries + keys),
        "v_proj": ("qkv_proj", queries + keys, queries + 2 * keys),
    }
    if _gated(settings):
        sections |= {"gate_proj": ("up_proj", 0, settings.hidden)}
        sections |= {"up_proj": ("up_proj", settings.hidden, 2 * settings.hidden)}
    for section, (parameter, begin, end) in sections.items():
        if f".{section}." in name:
            return ParameterSlice(name.replace(section, parameter), begin, end)
    return ParameterSlice(name)


class TransformerNetwork(Network):
    """Embeddings, blocks, a head."""

    cosines: Tensor
    sines: Tensor
    table: Tensor

    def __init__(self, settings: TransformerConfig, dropout: float = 0.0) -> None:
        super().__init__()
        self.settings: TransformerConfig = settings
        self.places = {name: _place(name, settings) for name in settings.shapes()}
        self.dropout = dropout
        self.embed_tokens = nn.Embedding(settings.vocabulary, settings.width)
        if settings.positions == "learned":
            self.embed_positions = nn.Embedding(settings.context, settings.width)
        self.layers = nn.ModuleList(Block(settings, dropout) for _ in range(settings.layers))
        self.norm = _norm(settings) if settings.norm == "pre" else None
        self.lm_head = None if settings.tied else nn.Linear(settings.width, settings.vocabulary, bias=False)
        if settings.positions == "rope":
            cosines, sines = map(torch.from_numpy, rotary(settings, 0, settings.context))
            self.register_buffer("cosines", torch.cat((cosines, cosines), dim=1).unsqueeze(1), persistent=False)
            self.register_buffer("sines", torch.cat((-sines, sines), dim=1).unsqueeze(1), persistent=False)
        if settings.positions == "sinusoidal":
            table = sinusoidal(np.arange(settings.context, dtype=np.float64), settings.width)
            self.register_buffer("table", torch.from_numpy(table.astype(np.float32)), persistent=False)

    def initialise(self, generator: torch.Generator) -> None:
        """Each branch begins as nothing (zeros in its last map) where there is a residual stream to go through.

        Tied or layer-normalised models begin as GPT-2 did: deviation 0.02, branches less by sqrt(2 layers).
        """
        settings = self.settings
        classic = settings.tied or settings.normalisation == "layernorm"
        for name, tensor in self.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(tensor)
            elif "norm" in name:
                nn.init.ones_(tensor)
            elif name.startswith("embed"):
                normal(tensor, generator, 0.02 if classic else 1.0)
            elif name == "lm_head.weight":
                nn.init.zeros_(tensor)
            else:
                self._initialise_map(name, tensor, generator, classic=classic)

    def _initialise_map(self, name: str, tensor: Tensor, generator: torch.Generator, *, classic: bool) -> None:
        last = name.endswith(("o_proj.weight", "down_proj.weight"))
        if classic and self.settings.residual:
            normal(tensor, generator, 0.02 / math.sqrt(2 * self.settings.layers) if last else 0.02)
        elif last and self.settings.residual:
            nn.init.zeros_(tensor)
        else:
            uniform(tensor, generator, math.sqrt(3.0 / tensor.shape[1]))

    def forward(self, ids: Tensor, state: AttentionContext | None = None) -> tuple[Tensor, State]:
        """See `Network.forward`; no place may be beyond the context. The state is changed in place."""
        time = ids.shape[1]
        places: Any = slice(0, time) if state is None else state.begin(time)
        x, turns = self._embedded(ids, places)
        for number, block in enumerate(self.layers):
            x = block(x, turns, None if state is None else state.of_layer(number))
        return (x if self.norm is None else self.norm(x)), state

    def of_vectors(self, vectors: Tensor) -> Tensor:
        """Hidden vectors, (B, T, D), of texts that begin, with vectors, (B, T, D), in place of embeddings of tokens."""
        x, turns = self._placed(vectors, slice(0, vectors.shape[1]))
        for block in self.layers:
            x = block(x, turns)
        return x if self.norm is None else self.norm(x)

    def packed(self, ids: Tensor, lengths: Sequence[int], *, recompute: bool = False) -> Tensor:
        """Hidden vectors, (N, D), of sequences end to end, (N,), each of which sees itself alone; none has padding.

        `recompute`: activations within blocks are not kept for gradients, but computed again. Chen et al. (2016).
        """
        places = torch.cat([torch.arange(length, device=ids.device) for length in lengths])
        x, turns = self._embedded(ids[None], places)
        for block in self.layers:
            if recompute and torch.is_grad_enabled():
                x = checkpoint(block, x, turns, None, lengths, use_reentrant=False)
            else:
                x = block(x, turns, None, lengths)
        found: Tensor = x[0] if self.norm is None else self.norm(x[0])
        return found

    def _embedded(self, ids: Tensor, places: Any) -> tuple[Tensor, tuple[Tensor, Tensor] | None]:
        """What the first block reads, (B, T, D), and the turns of rotary positions, at places, (T,) or a slice."""
        return self._placed(self.embed_tokens(ids), places)

    def _placed(self, x: Tensor, places: Any) -> tuple[Tensor, tuple[Tensor, Tensor] | None]:
        """The same of embeddings, (B, T, D)."""
        if self.settings.positions == "learned":
            x = x + self.embed_positions.weight[places]
        elif self.settings.positions == "sinusoidal":
            x = x + self.table[places]
        if self.dropout and self.training:
            x = functional.dropout(x, self.dropout)
        return x, (self.cosines[places], self.sines[places]) if self.settings.positions == "rope" else None

    def logits(self, hidden: Tensor) -> Tensor:
        """See `Network.logits`."""
        return functional.linear(hidden, (self.embed_tokens if self.lm_head is None else self.lm_head).weight)
