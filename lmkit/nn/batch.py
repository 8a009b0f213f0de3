"""Texts side by side on a device: the steps that torch models do together; see `protocols.Rows`.

B rows, D width, V vocabulary.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lmkit.nn.kv_cache import KVCache
from lmkit.nn.network import ROW_AXIS, Network
from lmkit.protocols import F32


class WindowedRows:
    """Rows of a transformer: each remembers the keys and values of its window, until that is full and makes room."""

    def __init__(self, network: Network, context: int, stride: int, size: int) -> None:
        self._network, self._context, self._stride, self._size = network, context, stride, size
        self._seen: list[tuple[int, ...]] = []
        self._memory = KVCache(_transformer(network), 0, network.device)
        self._hidden = network.embed_tokens.weight[:0]  # (B, D)

    def __len__(self) -> int:
        return len(self._seen)

    def next(self) -> F32:
        """See `DecodingBatch.next`."""
        return distributions(self._network, self._hidden, self._size)

    @torch.inference_mode()
    def advance(self, tokens: Sequence[int]) -> None:
        """See `DecodingBatch.advance`."""
        full = [row for row, seen in enumerate(self._seen) if len(seen) == self._context]
        self._seen = [(*seen, int(token)) for seen, token in zip(self._seen, tokens, strict=True)]
        if full:  # their windows move on, and they are run again
            others = [row for row in range(len(self)) if row not in set(full)]
            seen = [self._seen[row][self._stride :] for row in full]
            places = np.argsort([*others, *full]).tolist()
            self.take(others)
            self._extend()
            self._join(seen)
            self.take(places)
        else:
            self._extend()

    def _extend(self) -> None:
        """Runs the last token of every row."""
        if self._seen:
            last = torch.tensor([[seen[-1]] for seen in self._seen], device=self._network.device)
            self._hidden = self._network(last, self._memory)[0][:, -1]

    @torch.inference_mode()
    def take(self, rows: Sequence[int]) -> None:
        """See `DecodingBatch.take`."""
        self._seen = [self._seen[row] for row in rows]
        self._memory.take(rows)
        self._hidden = self._hidden[list(rows)]

    def join(self, states: Sequence[Any]) -> None:
        """See `DecodingBatch.join`."""
        self._join([state.seen for state in states])

    @torch.inference_mode()
    def _join(self, several: Sequence[tuple[int, ...]]) -> None:
        """More rows, whose windows hold these tokens."""
        for seen in several:
            memory = KVCache(_transformer(self._network), 1, self._network.device, len(seen))
            hidden, _ = self._network(torch.tensor([seen], device=self._network.device), memory)
            self._memory.join(memory)
            self._seen.append(seen)
            self._hidden = torch.cat((self._hidden, hidden[:, -1]))


class StatefulRows:
    """Rows of a network whose state is all it needs of what went before."""

    def __init__(self, network: Network, size: int) -> None:
        self._network, self._size = network, size
        self._rows = 0
        self._hidden = network.embed_tokens.weight[:0]  # (B, D)
        self._state: Any = None

    def __len__(self) -> int:
        return self._rows

    def next(self) -> F32:
        """See `DecodingBatch.next`."""
        return distributions(self._network, self._hidden, self._size)

    @torch.inference_mode()
    def advance(self, tokens: Sequence[int]) -> None:
        """See `DecodingBatch.advance`."""
        ids = torch.tensor([[int(token)] for token in tokens], device=self._network.device)
        hidden, self._state = self._network(ids, self._state)
        self._hidden = hidden[:, -1]

    @torch.inference_mode()
    def take(self, rows: Sequence[int]) -> None:
        """See `DecodingBatch.take`."""
        self._rows = len(rows)
        if rows:
            index = torch.tensor(rows, device=self._network.device)
            self._hidden = self._hidden[index]
            self._state = each_tensor(lambda part: part.index_select(ROW_AXIS, index), self._state)

    @torch.inference_mode()
    def join(self, states: Sequence[Any]) -> None:
        """See `DecodingBatch.join`."""
        if not states:
            return
        hidden = torch.stack([state[0] for state in states])
        state = each_tensor(lambda *parts: torch.cat(parts, dim=ROW_AXIS), *(state[1] for state in states))
        if self._rows:
            hidden = torch.cat((self._hidden, hidden))
            state = each_tensor(lambda *parts: torch.cat(parts, dim=ROW_AXIS), self._state, state)
        self._hidden, self._state = hidden, state
        self._rows += len(states)


def each_tensor(function: Any, *states: Any) -> Any:
    """A function of states, of their parts where they have several."""
    if isinstance(states[0], tuple):
        return tuple(function(*parts) for parts in zip(*states, strict=True))
    return function(*states)


def _transformer(network: Network) -> Any:
    return network.settings


@torch.inference_mode()
def distributions(network: Network, hidden: Tensor, size: int) -> F32:
    """Log-probabilities of the first `size` tokens after hidden vectors, (B, D) to (B, size)."""
    logs: F32 = torch.log_softmax(network.logits(hidden).float(), dim=-1)[:, :size].cpu().numpy()
    return logs
