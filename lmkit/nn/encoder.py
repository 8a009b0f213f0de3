"""The encoder-only transformer; formulas: see `architectures.encoder`.

Sequences lie end to end and are never padded: S sequences of N tokens together. All maps run over the N tokens at
once; attention runs over sequences of one length side by side, so that none sees another. Ids, segments and
positions are integers; `lengths` says where sequences end. Results are in the order of the input, whatever that
is; sequences sorted by length are neither sorted nor put back, which saves two copies.

N tokens, S sequences, M places to predict, D width, E numbers in an embedding, H heads, W head width, V vocabulary.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from lmkit.architectures.encoder import GATED, EncoderConfig
from lmkit.architectures.positions import rotary_table
from lmkit.nn.network import Network, ParameterSlice, State, normal, uniform
from lmkit.nn.written_gradients import RMSNorm, rms_norm, turned

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu": functional.gelu,
    "gelu_tanh": lambda x: functional.gelu(x, approximate="tanh"),
    "relu": functional.relu,
    "silu": functional.silu,
}


class Run(NamedTuple):
    """Sequences of one length that lie side by side: the first token, how many sequences, how long each is."""

    begin: int
    rows: int
    length: int

    @property
    def end(self) -> int:
        """Behind the last token."""
        return self.begin + self.rows * self.length


class Runs:
    """The runs of a batch, as an object that compiled code does not look into: what it sees are no constants."""

    def __init__(self, each: Sequence[Run]) -> None:
        self.each = each


class Packing(NamedTuple):
    """How sequences are run: `runs` of one length each, of tokens in the order of `order`, None: as they come."""

    runs: list[Run]
    order: Tensor | None
    inverse: Tensor | None


def packing(lengths: Sequence[int], device: torch.device) -> Packing:
    """The packing of sequences of these lengths, each 1 at least."""
    sizes = np.asarray(lengths, dtype=np.int64)
    together = int((np.diff(sizes) != 0).sum()) + 1 == len(np.unique(sizes))
    places = np.arange(len(sizes)) if together else np.argsort(sizes, kind="stable")
    runs: list[Run] = []
    begin = 0
    for length, rows in _stretches(sizes[places]):
        runs.append(Run(begin, rows, length))
        begin = runs[-1].end
    if together:
        return Packing(runs, None, None)
    starts = np.cumsum(sizes) - sizes
    order = np.concatenate([np.arange(starts[one], starts[one] + sizes[one]) for one in places])
    both = torch.from_numpy(np.stack((order, np.argsort(order)))).to(device)
    return Packing(runs, both[0], both[1])


def _stretches(sizes: "np.ndarray[tuple[int], np.dtype[np.int64]]") -> list[tuple[int, int]]:
    """Stretches of equal numbers: the number, and how often it comes."""
    ends = np.append(np.flatnonzero(np.diff(sizes)) + 1, len(sizes)) if len(sizes) else np.zeros(0, np.int64)
    counts = np.diff(ends, prepend=0)
    return [(int(sizes[end - 1]), int(count)) for end, count in zip(ends, counts, strict=True)]


class Product(nn.Linear):
    """A linear map whose input is rounded to the type of its weights where these are in half precision."""

    def forward(self, x: Tensor) -> Tensor:
        """From (..., I) to (..., O)."""
        half = self.weight.dtype == torch.bfloat16
        return functional.linear(x.to(self.weight.dtype) if half else x, self.weight, self.bias)


class EncoderAttention(nn.Module):
    """Self-attention within each sequence, both ways."""

    def __init__(self, settings: EncoderConfig, layer: int) -> None:
        super().__init__()
        self.settings = settings
        self.reach = None if settings.is_global(layer) else settings.local_window // 2
        self.qkv_proj = Product(settings.width, 3 * settings.width, bias=settings.bias)  # one product for all three
        self.o_proj = Product(settings.width, settings.width, bias=settings.bias)
        if settings.query_key_norm:
            self.q_norm = RMSNorm(settings.head_width, eps=settings.norm_epsilon)
            self.k_norm = RMSNorm(settings.head_width, eps=settings.norm_epsilon)

    def forward(self, x: Tensor, runs: Runs, turns: tuple[Tensor, Tensor] | None) -> Tensor:
        """From (N, D) to (N, D); `turns` are the cosines and sines of rotary positions, (N, 1, W)."""
        heads, width = self.settings.heads, self.settings.head_width
        qkv = self.qkv_proj(x).view(len(x), 3 * heads, width)
        qk, v = qkv.split((2 * heads, heads), dim=1)
        if self.settings.query_key_norm:
            scales = torch.cat((self.q_norm.weight.expand(heads, width), self.k_norm.weight.expand(heads, width)))
            qk = rms_norm(qk, scales, self.settings.norm_epsilon)
        if turns is not None:
            qk = turned(qk, *turns)
        qk = qk.to(v.dtype)
        q, k = qk.split((heads, heads), dim=1)
        out: Tensor = self.o_proj(self.mixed(runs, q, k, v))
        return out

    def mixed(self, runs: Runs, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """What tokens take from each other, (N, D), of their queries, keys and values, (N, H, W) each."""
        sizes = [run.end - run.begin for run in runs.each]
        own = zip(
            runs.each, *(torch.split(one, sizes) for one in (q, k, v)), strict=True
        )  # slices' gradients are whole
        parts = [self._within(run, *qkv) for run, *qkv in own]
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def _within(self, run: Run, *qkv: Tensor) -> Tensor:
        """What the tokens of a run's sequences take from each other, (R L, D), of their own q, k and v."""
        q, k, v = (one.view(run.rows, run.length, *one.shape[1:]).transpose(1, 2) for one in qkv)  # (R, H, L, W) each
        mask = None
        if self.reach is not None and run.length > self.reach + 1:
            places = torch.arange(run.length, device=q.device)
            mask = (places[:, None] - places).abs() <= self.reach
        mixed = functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        return mixed.transpose(1, 2).reshape(run.rows * run.length, -1)


class FeedForward(nn.Module):
    """Two linear maps with an activation between, or three with a gate."""

    def __init__(self, width: int, hidden: int, activation: str, *, gated: bool, bias: bool) -> None:
        super().__init__()
        self.gated = gated
        self.up_proj = Product(width, (1 + gated) * hidden, bias=bias)
        self.down_proj = Product(hidden, width, bias=bias)
        self.activation = ACTIVATIONS[activation]

    def forward(self, x: Tensor) -> Tensor:
        """From (..., D) to (..., D)."""
        up = self.up_proj(x)
        if self.gated:
            gate, up = up.chunk(2, dim=-1)
            inner = self.activation(gate) * up
        else:
            inner = self.activation(up)
        out: Tensor = self.down_proj(inner)
        return out


def _norm(settings: EncoderConfig, width: int) -> nn.Module:
    if settings.normalisation == "rmsnorm":
        return RMSNorm(width, eps=settings.norm_epsilon)
    return nn.LayerNorm(width, eps=settings.norm_epsilon, bias=settings.norm_bias)


class EncoderBlock(nn.Module):
    """Attention and feed-forward, joined to the residual stream as `norm` says."""

    def __init__(self, settings: EncoderConfig, layer: int, dropout: float) -> None:
        super().__init__()
        self.dropout, self.is_pre = dropout, settings.norm == "pre"
        self.input_layernorm = _norm(settings, settings.width) if self.is_pre and layer else None
        self.self_attn = EncoderAttention(settings, layer)
        self.post_attention_layernorm = _norm(settings, settings.width)
        gated = settings.activation in GATED
        self.mlp = FeedForward(
            settings.width, settings.hidden, settings.plain_activation, gated=gated, bias=settings.bias
        )
        self.post_mlp_layernorm = None if self.is_pre else _norm(settings, settings.width)

    def forward(self, x: Tensor, runs: Runs, turns: tuple[Tensor, Tensor] | None) -> Tensor:
        """From (N, D) to (N, D)."""
        if self.post_mlp_layernorm is not None:
            x = self.post_attention_layernorm(x + self._dropped(self.self_attn(x, runs, turns)))
            joined: Tensor = self.post_mlp_layernorm(x + self._dropped(self.mlp(x)))
            return joined
        seen = x if self.input_layernorm is None else self.input_layernorm(x)
        x = x + self._dropped(self.self_attn(seen, runs, turns))
        return x + self._dropped(self.mlp(self.post_attention_layernorm(x)))

    def _dropped(self, branch: Tensor) -> Tensor:
        return functional.dropout(branch, self.dropout) if self.dropout and self.training else branch


class MaskedLanguageLogits(nn.Module):
    """The head of masked language modelling; see `architectures.heads.MaskedLanguageHead`."""

    def __init__(self, settings: EncoderConfig) -> None:
        super().__init__()
        embedding = settings.embedding_width
        self.transform = nn.Linear(settings.width, embedding, bias=settings.bias)
        self.norm = _norm(settings, embedding)
        self.activation = ACTIVATIONS[settings.plain_activation]
        self.decoder = nn.Linear(embedding, settings.vocabulary)
        self.is_tied = settings.tied
        if self.is_tied:
            self.decoder.register_parameter("weight", None)

    def forward(self, hidden: Tensor, embeddings: Tensor) -> Tensor:
        """Logits, (..., V), of hidden vectors, (..., D)."""
        x = self.norm(self.activation(self.transform(hidden)))
        return functional.linear(x, embeddings if self.is_tied else self.decoder.weight, self.decoder.bias)


class Discriminator(nn.Module):
    """The head of replaced-token detection; see `architectures.heads.DiscriminatorHead`."""

    def __init__(self, settings: EncoderConfig) -> None:
        super().__init__()
        self.dense = nn.Linear(settings.width, settings.width)
        self.activation = ACTIVATIONS[settings.plain_activation]
        self.score = nn.Linear(settings.width, 1)

    def forward(self, hidden: Tensor) -> Tensor:
        """Logits, (...,), of hidden vectors, (..., D)."""
        logits: Tensor = self.score(self.activation(self.dense(hidden)))
        return logits.squeeze(-1)


def _place(name: str, settings: EncoderConfig) -> ParameterSlice:
    """Queries, keys and values lie in one parameter, gate and up in another."""
    width, hidden = settings.width, settings.hidden
    sections = {part: ("qkv_proj", number) for number, part in enumerate(("q_proj", "k_proj", "v_proj"))}
    for section, (parameter, number) in sections.items():
        if f".{section}." in name:
            return ParameterSlice(name.replace(section, parameter), number * width, (number + 1) * width)
    if settings.activation in GATED and ".gate_proj." in name:
        return ParameterSlice(name.replace("gate_proj", "up_proj"), 0, hidden)
    if settings.activation in GATED and ".up_proj." in name:
        return ParameterSlice(name, hidden, 2 * hidden)
    return ParameterSlice(name)


class EncoderNetwork(Network):
    """Embeddings, blocks, a pooler, and the heads of `EncoderConfig.task`.

    `hidden` runs sequences that lie end to end; `mlm_logits`, `pair_logits` (of `pooled`) and `discriminator_logits`
    are the heads, each there where the task has it. `dropout` acts on embeddings and on branches while training.
    """

    settings: EncoderConfig

    def __init__(self, settings: EncoderConfig, dropout: float = 0.0) -> None:
        super().__init__()
        self.settings: EncoderConfig = settings
        self.places = {name: _place(name, settings) for name in settings.shapes()}
        self.dropout = dropout
        embedding, width = settings.embedding_width, settings.width
        self.embed_tokens = nn.Embedding(settings.vocabulary, embedding)
        learned = settings.positions == "learned"
        self.embed_positions = nn.Embedding(settings.context, embedding) if learned else None
        self.embed_segments = nn.Embedding(settings.segments, embedding) if settings.segments else None
        self.embed_norm = _norm(settings, embedding)
        self.embed_proj = nn.Linear(embedding, width) if embedding != width else None
        self.layers = nn.ModuleList(EncoderBlock(settings, layer, dropout) for layer in range(settings.layers))
        self.norm = _norm(settings, width) if settings.norm == "pre" else None
        self.pooler = nn.Linear(width, width) if settings.pooler else None
        self.mlm = MaskedLanguageLogits(settings) if settings.task.startswith("mlm") else None
        self.pair = nn.Linear(width, 2) if settings.task == "mlm+pair" else None
        self.discriminator = Discriminator(settings) if settings.task == "discriminator" else None
        if settings.positions == "rope":
            for name, theta in (("far", settings.rope_theta), ("near", settings.local_rope_theta)):
                table = _turns(theta, settings.head_width, settings.context)
                self.register_buffer(name, table, persistent=False)

    def initialise(self, generator: torch.Generator) -> None:
        """As BERT, deviation 0.02, where tied or layer-normalised; else branches begin as nothing.

        The last maps of branches in pre-norm blocks are then zero, and so is the decoder.
        """
        settings = self.settings
        classic = settings.normalisation == "layernorm" or settings.norm == "post"
        for name, tensor in self.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(tensor)
            elif "norm" in name:
                nn.init.ones_(tensor)
            elif classic or name.startswith("embed") or (settings.tied and name.startswith("mlm")):
                normal(tensor, generator, 0.02)
            elif name.endswith(("o_proj.weight", "down_proj.weight")) or name == "mlm.decoder.weight":
                nn.init.zeros_(tensor)
            else:
                uniform(tensor, generator, math.sqrt(3.0 / tensor.shape[1]))

    def compile_parts(self, **options: Any) -> bool:
        """See `Network.compile_parts`: the layers, but for what depends on the lengths of sequences."""
        for block in self.layers:
            assert isinstance(block, EncoderBlock)
            block.self_attn.mixed = torch.compiler.disable(block.self_attn.mixed)  # type: ignore[method-assign, no-untyped-call]
            block.compile(**options)
        return True

    def cast_products(self, kind: torch.dtype) -> None:
        """Gives the maps within blocks weights of another type, as inference in half precision has them.

        Norms, embeddings, heads and the residual stream stay in float32.
        """
        for module in self.layers.modules():
            if isinstance(module, Product):
                module.to(kind)

    def hidden(
        self,
        ids: Tensor,
        segments: Tensor | None = None,
        positions: Tensor | None = None,
        lengths: Sequence[int] | Tensor | None = None,
    ) -> Tensor:
        """Hidden vectors, (N, D), of tokens of sequences that lie end to end; each sees all of its own sequence.

        ids        (N,)
        segments   (N,); None: 0 everywhere. Not looked at where the settings have one or none.
        positions  (N,), below the context; None: each sequence counts from 0
        lengths    of the sequences, 1 at least each and N together; None: all is one
        """
        sizes = [len(ids)] if lengths is None else [int(length) for length in lengths]
        if positions is None:
            counted = np.concatenate([np.arange(size) for size in sizes])
            positions = torch.from_numpy(counted).to(ids.device)
        packed = packing(sizes, ids.device)
        if packed.order is not None:
            ids, positions = ids[packed.order], positions[packed.order]
            segments = None if segments is None else segments[packed.order]
        x = self._run(ids, segments, positions, Runs(packed.runs))
        return x if packed.inverse is None else x[packed.inverse]

    def _run(self, ids: Tensor, segments: Tensor | None, positions: Tensor, runs: Runs) -> Tensor:
        x = self.embed_tokens(ids)  # (N, E)
        if self.embed_segments is not None:
            one = segments is None or self.settings.segments == 1  # RoBERTa tells no texts apart
            x = x + (self.embed_segments.weight[0] if one else self.embed_segments(segments))
        if self.embed_positions is not None:
            x = x + self.embed_positions(positions)
        x = self.embed_norm(x)
        if self.dropout and self.training:
            x = functional.dropout(x, self.dropout)
        if self.embed_proj is not None:
            x = self.embed_proj(x)  # (N, D)
        turns = {}
        if self.settings.positions == "rope":
            turns = {far: _at(self.far if far else self.near, positions) for far in self._reaches()}
        for number, block in enumerate(self.layers):
            x = block(x, runs, turns.get(self.settings.is_global(number)))
        out: Tensor = x if self.norm is None else self.norm(x)
        return out

    def _reaches(self) -> set[bool]:
        return {self.settings.is_global(layer) for layer in range(self.settings.layers)}

    def mlm_logits(self, hidden: Tensor) -> Tensor:
        """Logits of the tokens at places, (M, V), of their hidden vectors, (M, D)."""
        assert self.mlm is not None, "the task has no masked language modelling"
        logits: Tensor = self.mlm(hidden, self.embed_tokens.weight)
        return logits

    def pooled(self, first: Tensor) -> Tensor:
        """Pooled vectors of sequences, (S, D), of the hidden vectors of their first tokens, (S, D)."""
        assert self.pooler is not None, "the settings have no pooler"
        return torch.tanh(self.pooler(first))

    def pair_logits(self, pooled: Tensor) -> Tensor:
        """Logits that the second text does not follow the first, and that it does, (S, 2), of `pooled`, (S, D)."""
        assert self.pair is not None, "the task has no pairs"
        logits: Tensor = self.pair(pooled)
        return logits

    def discriminator_logits(self, hidden: Tensor) -> Tensor:
        """Logits that tokens were replaced, (N,), of their hidden vectors, (N, D)."""
        assert self.discriminator is not None, "the task is no discrimination"
        logits: Tensor = self.discriminator(hidden)
        return logits

    def forward(self, ids: Tensor, state: State = None) -> tuple[Tensor, State]:
        """See `Network.forward`: (B, T) are sequences of T tokens, of one segment. There is no state."""
        rows, time = ids.shape
        return self.hidden(ids.flatten(), lengths=[time] * rows).view(rows, time, -1), state

    def logits(self, hidden: Tensor) -> Tensor:
        """See `Network.logits`: those of the tokens at the places themselves."""
        return self.mlm_logits(hidden)


def _turns(theta: float, width: int, context: int) -> Tensor:
    """Cosines and sines of rotary positions as `turned` takes them, (2, T, W)."""
    cosines, sines = map(torch.from_numpy, rotary_table(theta, width, context))
    return torch.stack((torch.cat((cosines, cosines), dim=1), torch.cat((-sines, sines), dim=1)))


def _at(table: "Tensor | nn.Module", positions: Tensor) -> tuple[Tensor, Tensor]:
    """Cosines and sines at positions, (N, 1, W) each."""
    assert isinstance(table, Tensor)
    cosines, sines = table[:, positions].unsqueeze(2)
    return cosines, sines
