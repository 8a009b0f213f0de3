"""Keys and values of what several texts have seen, one row each, so that a transformer can continue them.

B rows, T time, S places, L layers, K heads of keys and values, W head width.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from torch import Tensor

from lmkit.architectures.transformer import TransformerConfig

UpdateKV = Callable[[Tensor, Tensor], tuple[Tensor, Tensor, Tensor]]
"""From new keys and values, (B, K, T, W), to all, (B, K, S, W), and which of them each may see, (B, 1, T, S)."""
CAPACITY = 64  # places at first


class AttentionContext(Protocol):
    """What tokens see beside themselves and where they are: `begin` is asked once for all layers."""

    def begin(self, time: int) -> Tensor:
        """Return the places of T more tokens of each row, (B, T)."""

    def of_layer(self, number: int) -> UpdateKV:
        """Return how a layer's keys and values become those that are seen."""


class KVCache:
    """Keys and values, (L, B, K, capacity, W), of which the first `lengths[b]` of row b count; changed in place."""

    def __init__(self, settings: TransformerConfig, rows: int, device: torch.device, capacity: int = CAPACITY) -> None:
        self._settings = settings
        shape = (settings.layers, rows, settings.kv_heads, capacity, settings.head_width)
        self.keys = torch.zeros(shape, device=device)
        self.values = torch.zeros(shape, device=device)
        self.lengths = torch.zeros(rows, dtype=torch.long, device=device)

    def begin(self, time: int) -> Tensor:
        """Makes room for T more of each row; gives their places, (B, T)."""
        self._places = self.lengths[:, None] + torch.arange(time, device=self.lengths.device)
        self.lengths = self.lengths + time
        self._end = int(self.lengths.max())
        self._reserve(self._end)
        seen = torch.arange(self._end, device=self.lengths.device)
        self._mask = (seen <= self._places[:, :, None])[:, None]
        return self._places

    def of_layer(self, number: int) -> UpdateKV:
        """How a layer remembers what was begun."""

        def remember(keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            index = self._places[:, None, :, None].expand_as(keys)
            self.keys[number].scatter_(2, index, keys)
            self.values[number].scatter_(2, index, values)
            return self.keys[number, :, :, : self._end], self.values[number, :, :, : self._end], self._mask

        return remember

    def take(self, rows: Sequence[int]) -> None:
        """Keep only these rows, in this order."""
        index = torch.tensor(rows, dtype=torch.long, device=self.lengths.device)
        self.keys, self.values = self.keys[:, index], self.values[:, index]
        self.lengths = self.lengths[index]

    def join(self, other: "KVCache") -> None:
        """Append the rows of another."""
        size = max(self.keys.shape[3], other.keys.shape[3])
        self._reserve(size)
        other._reserve(size)
        self.keys = torch.cat((self.keys, other.keys), dim=1)
        self.values = torch.cat((self.values, other.values), dim=1)
        self.lengths = torch.cat((self.lengths, other.lengths))

    def _reserve(self, size: int) -> None:
        capacity = self.keys.shape[3]
        if size > capacity:
            more = max(size, 2 * capacity) - capacity
            self.keys = torch.nn.functional.pad(self.keys, (0, 0, 0, more))
            self.values = torch.nn.functional.pad(self.values, (0, 0, 0, more))
