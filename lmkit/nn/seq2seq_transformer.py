"""The transformer encoder-decoder in torch; formulas: see `architectures.seq2seq_transformer`.

Sources and targets are padded behind, and what is padded changes nothing.

B pairs, S tokens of a source, T of a target, D width, H heads, W head width, V vocabulary.
"""

import math
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from lmkit.architectures.positions import relative_buckets, sinusoidal_halves
from lmkit.architectures.seq2seq_transformer import GATED, Seq2SeqTransformerConfig
from lmkit.nn.encoder import FeedForward
from lmkit.nn.network import ParameterSlice, normal, uniform
from lmkit.nn.seq2seq import Seq2SeqNetwork

_KINDS: dict[str, Callable[..., nn.Module]] = {"rmsnorm": nn.RMSNorm, "layernorm": nn.LayerNorm}


def _norm(settings: Seq2SeqTransformerConfig) -> nn.Module:
    return _KINDS[settings.normalisation](settings.width, eps=settings.norm_epsilon)


class Attention(nn.Module):
    """What tokens take from those of their own stack, or from the memory."""

    def __init__(self, settings: Seq2SeqTransformerConfig, *, crosses: bool) -> None:
        super().__init__()
        self.heads, self.crosses = settings.heads, crosses
        self.scale = settings.head_width**-0.5 if settings.scaled_queries else 1.0
        inner, bias = settings.inner_width, settings.bias
        if crosses:
            self.q_proj = nn.Linear(settings.width, inner, bias=bias)
            self.kv_proj = nn.Linear(settings.width, 2 * inner, bias=bias)
        else:
            self.qkv_proj = nn.Linear(settings.width, 3 * inner, bias=bias)  # one product for all three
        self.o_proj = nn.Linear(inner, settings.width, bias=bias)

    def forward(self, x: Tensor, memory: Tensor | None, mask: Tensor | None, *, causal: bool = False) -> Tensor:
        """From (B, T, D) to (B, T, D); a mask, true where a token is seen or added to scores, is (B, 1 or H, T, S)."""
        if memory is None:
            parts = self.qkv_proj(x).unflatten(-1, (3, self.heads, -1))  # (B, T, 3, H, W)
            q, k, v = (one.transpose(1, 2) for one in parts.unbind(2))
        else:
            q = self.q_proj(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            k, v = (one.transpose(1, 2) for one in self.kv_proj(memory).unflatten(-1, (2, self.heads, -1)).unbind(2))
        mixed = functional.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=causal, scale=self.scale)
        out: Tensor = self.o_proj(mixed.transpose(1, 2).flatten(2))
        return out


class Block(nn.Module):
    """A stack's branches, joined to the residual stream as `norm` says.

    A decoder's of shared stacks has but cross-attention, an encoder's all but that.
    """

    self_attn: Attention
    self_attn_norm: nn.Module
    mlp: FeedForward
    mlp_norm: nn.Module

    def __init__(self, settings: Seq2SeqTransformerConfig, dropout: float, *, decoder: bool) -> None:
        super().__init__()
        self.is_pre, self.dropout = settings.norm == "pre", dropout
        if decoder:
            self.cross_attn, self.cross_attn_norm = Attention(settings, crosses=True), _norm(settings)
        if not decoder or not settings.shared_stacks:
            self.self_attn, self.self_attn_norm = Attention(settings, crosses=False), _norm(settings)
            gated = settings.activation in GATED
            hidden = settings.decoder_hidden if decoder else settings.hidden
            self.mlp = FeedForward(settings.width, hidden, settings.plain_activation, gated=gated, bias=settings.bias)
            self.mlp_norm = _norm(settings)

    def join(self, x: Tensor, norm: nn.Module, branch: Callable[[Tensor], Tensor]) -> Tensor:
        """The residual stream, (B, T, D), behind a branch."""
        made = branch(norm(x) if self.is_pre else x)
        if self.dropout and self.training:
            made = functional.dropout(made, self.dropout)
        joined: Tensor = x + made if self.is_pre else norm(x + made)
        return joined


class Stack(nn.Module):
    """An encoder's blocks, or a decoder's, with what is before and behind them."""

    def __init__(self, settings: Seq2SeqTransformerConfig, dropout: float, *, decoder: bool) -> None:
        super().__init__()
        self.settings, self.dropout, self.decoder = settings, dropout, decoder
        count = settings.decoder_layers if decoder else settings.layers
        self.layers = nn.ModuleList(Block(settings, dropout, decoder=decoder) for _ in range(count))
        self.embed_positions = (
            nn.Embedding(settings.context, settings.width) if settings.positions == "learned" else None
        )
        self.relative = nn.Embedding(settings.buckets, settings.heads) if settings.positions == "relative" else None
        self.embed_norm = _norm(settings) if settings.embed_norm else None
        self.norm = _norm(settings) if settings.norm == "pre" else None

    def blocks(self) -> list[Block]:
        """The blocks in order."""
        return [block for block in self.layers if isinstance(block, Block)]

    def begin(self, x: Tensor, table: Tensor | None) -> Tensor:
        """Embedded tokens, (B, T, D), with their positions."""
        if self.settings.scaled_embeddings:
            x = x * math.sqrt(self.settings.width)
        if self.embed_positions is not None:
            table = self.embed_positions.weight
        if table is not None:
            x = x + table[: x.shape[1]]
        if self.embed_norm is not None:
            x = self.embed_norm(x)
        return functional.dropout(x, self.dropout) if self.dropout and self.training else x

    def bias(self, length: int) -> Tensor | None:
        """What relative positions add to scores, (1, H, T, T); what a decoder's tokens do not see is -inf."""
        if self.relative is None:
            return None
        places = np.arange(length)
        relative = places - places[:, None]
        settings = self.settings
        buckets = relative_buckets(relative, settings.buckets, settings.distance, both=not self.decoder)
        device = self.relative.weight.device
        found: Tensor = self.relative(torch.from_numpy(buckets).to(device)).permute(2, 0, 1)[None]
        if self.decoder:
            found = found.masked_fill(torch.from_numpy(relative > 0).to(device), -math.inf)
        return found

    def end(self, x: Tensor) -> Tensor:
        """What the blocks made, normed."""
        return x if self.norm is None else self.norm(x)


def _place(name: str, settings: Seq2SeqTransformerConfig) -> ParameterSlice:
    """Queries, keys and values lie in one parameter, those of cross-attention in two, gate and up in another."""
    if name in settings.tables():
        return ParameterSlice("embed_tokens.weight" if name == settings.target_table else "embed_source.weight")
    inner = settings.inner_width
    joined, order = ("kv_proj", "kv") if ".cross_attn." in name else ("qkv_proj", "qkv")
    for number, part in enumerate(order):
        if f".{part}_proj." in name:
            place = name.replace(f"{part}_proj", joined)
            return ParameterSlice(place, number * inner, (number + 1) * inner)
    hidden = settings.decoder_hidden if name.startswith("decoder.") else settings.hidden
    if settings.activation in GATED and ".gate_proj." in name:
        return ParameterSlice(name.replace("gate_proj", "up_proj"), 0, hidden)
    if settings.activation in GATED and ".up_proj." in name:
        return ParameterSlice(name, hidden, 2 * hidden)
    return ParameterSlice(name)


class Seq2SeqTransformerNetwork(Seq2SeqNetwork):
    """Both stacks and the head; `dropout` acts on embeddings and branches while training."""

    settings: Seq2SeqTransformerConfig

    def __init__(self, settings: Seq2SeqTransformerConfig, dropout: float = 0.0) -> None:
        super().__init__()
        self.settings: Seq2SeqTransformerConfig = settings
        self.places = {name: _place(name, settings) for name in settings.shapes()}
        self.embed_tokens = nn.Embedding(settings.vocabulary, settings.width)
        apart = not settings.shared
        self.embed_source = nn.Embedding(settings.source_vocabulary, settings.width) if apart else None
        self.encoder = Stack(settings, dropout, decoder=False)
        self.decoder = Stack(settings, dropout, decoder=True)
        self.lm_head = nn.Linear(settings.width, settings.vocabulary, bias=settings.logits_bias)
        if settings.tied:
            self.lm_head.register_parameter("weight", None)
        if settings.positions == "sinusoidal":
            table = torch.from_numpy(sinusoidal_halves(settings.context, settings.width))
            self.register_buffer("table", table, persistent=False)

    def initialise(self, generator: torch.Generator) -> None:
        """Branches of pre-norm blocks begin as nothing, and so does the head; tied or post-norm ones as BERT's.

        Scores begin alike whether queries are scaled or not, and so do tied logits.
        """
        settings = self.settings
        classic = settings.norm == "post" or settings.tied
        for name, tensor in self.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(tensor)
            elif "norm" in name:
                nn.init.ones_(tensor)
            elif name.startswith("embed"):
                normal(tensor, generator, self._embedding_deviation(classic=classic))
            elif "embed_positions" in name or "relative" in name:
                normal(tensor, generator, 0.02)
            elif name == "lm_head.weight" or (name.endswith(("o_proj.weight", "down_proj.weight")) and not classic):
                nn.init.zeros_(tensor)
            else:
                uniform(tensor, generator, math.sqrt(3.0 / tensor.shape[1]))
                if not settings.scaled_queries and name.endswith(("qkv_proj.weight", ".q_proj.weight")):
                    tensor.data[: settings.inner_width] *= settings.head_width**-0.5

    def _embedding_deviation(self, *, classic: bool) -> float:
        settings = self.settings
        if settings.scaled_embeddings:
            return float(settings.width**-0.5)
        return 0.02 if classic and not settings.scaled_logits else 1.0

    def _table(self) -> Tensor | None:
        return self.get_buffer("table") if self.settings.positions == "sinusoidal" else None

    def encode(self, sources: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor | None]:
        """The memory, (B, S, D), of sources, (B, S), and which of it is no padding, (B, 1, 1, S); None: all."""
        table = self.embed_tokens if self.embed_source is None else self.embed_source
        x = self.encoder.begin(table(sources), self._table())
        seen = _seen(lengths, sources.shape[1])
        mask, bias = seen, self.encoder.bias(sources.shape[1])
        if bias is not None:
            mask = bias if seen is None else bias.masked_fill(~seen, -math.inf)
        for block in self.encoder.blocks():
            x = block.join(x, block.self_attn_norm, partial(block.self_attn, memory=None, mask=mask))
            x = block.join(x, block.mlp_norm, block.mlp)
        return self.encoder.end(x), seen

    def decode(self, inputs: Tensor, memory: tuple[Tensor, Tensor | None]) -> Tensor:
        """See `Seq2SeqNetwork.decode`."""
        source, seen = memory
        x = self.decoder.begin(self.embed_tokens(inputs), self._table())
        bias = self.decoder.bias(inputs.shape[1])
        blocks = self.decoder.blocks()
        branches = self.encoder.blocks() if self.settings.shared_stacks else blocks
        for block, own in zip(blocks, branches, strict=True):
            look = partial(own.self_attn, memory=None, mask=bias, causal=bias is None)
            x = block.join(x, own.self_attn_norm, look)
            x = block.join(x, block.cross_attn_norm, partial(block.cross_attn, memory=source, mask=seen))
            x = block.join(x, own.mlp_norm, own.mlp)
        return self.decoder.end(x)

    def logits(self, hidden: Tensor) -> Tensor:
        """See `Network.logits`."""
        if self.settings.scaled_logits:
            hidden = hidden * self.settings.width**-0.5
        table = self.embed_tokens.weight if self.settings.tied else self.lm_head.weight
        return functional.linear(hidden, table, self.lm_head.bias)


def _seen(lengths: Tensor, longest: int) -> Tensor | None:
    """Which tokens of sources are no padding, (B, 1, 1, S); None where all are none."""
    places = torch.arange(longest, device=lengths.device)
    seen = places < lengths[:, None]
    return None if bool(seen.all()) else seen[:, None, None]
