"""Prefix language models in torch: the transformer under another mask; see `architectures.prefix_lm`.

B pairs, S tokens of the longest source, T of the longest target, D width.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from lmkit.architectures.prefix_lm import PrefixLMConfig
from lmkit.nn.kv_cache import UpdateKV
from lmkit.nn.network import State
from lmkit.nn.seq2seq import Seq2SeqNetwork
from lmkit.nn.transformer import TransformerNetwork


class Prefix(NamedTuple):
    """Sources, (B, S), of which (B,) tokens count; they are read together with the targets."""

    sources: Tensor
    lengths: Tensor


class PrefixMask:
    """What tokens of sources and targets see, (B, 1, S + T, S + T): sources all of their source, targets it and before.

    Positions of a target follow those of its source. See `kv_cache.AttentionContext`.
    """

    def __init__(self, prefix: Prefix) -> None:
        self._lengths, self._size = prefix.lengths, prefix.sources.shape[1]

    def begin(self, time: int) -> Tensor:
        """See `AttentionContext.begin`, of S + T tokens."""
        lengths, size = self._lengths, self._size
        all_places = torch.arange(time, device=lengths.device)
        inside = (all_places[:size] < lengths[:, None])[:, None].expand(-1, time, -1)
        after = torch.ones(time, time - size, dtype=torch.bool, device=lengths.device).tril(-size)
        self._mask = torch.cat((inside, after.expand(len(lengths), -1, -1)), dim=2)[:, None]
        behind = lengths[:, None] + all_places[: time - size]
        return torch.cat((all_places[:size].expand(len(lengths), -1), behind), dim=1)

    def of_layer(self, number: int) -> UpdateKV:
        """See `AttentionContext.of_layer`: no keys and values but those at hand."""
        return lambda keys, values: (keys, values, self._mask)


class PrefixLMNetwork(TransformerNetwork, Seq2SeqNetwork):
    """Embeddings, blocks, a head."""

    settings: PrefixLMConfig

    def encode(self, sources: Tensor, lengths: Tensor) -> Prefix:
        """See `Seq2SeqNetwork.encode`."""
        return Prefix(sources, lengths)

    def decode(self, inputs: Tensor, memory: Prefix) -> Tensor:
        """See `Seq2SeqNetwork.decode`."""
        return self.both(inputs, memory)[:, memory.sources.shape[1] :]

    def both(self, inputs: Tensor, memory: Prefix) -> Tensor:
        """Hidden vectors of sources and targets, (B, S + T, D)."""
        ids = torch.cat((memory.sources, inputs), dim=1)
        hidden, _ = TransformerNetwork.forward(self, ids, PrefixMask(memory))
        return hidden

    def forward(self, ids: Tensor, state: State = None) -> tuple[Tensor, State]:
        """See `Seq2SeqNetwork.forward`."""
        return self.decode(ids, state), state
