"""What decoders keep of sources, and the targets behind them: a source's keys are there once for all texts after it.

Shapes: B rows, U sources, K rows of a source, T tokens of a target, S of a source, H heads, W numbers in a head.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from lmkit.inference import functional
from lmkit.inference.kv_cache import Cache, RowCache, State
from lmkit.protocols import F32

FULL = 0.8  # share of the sources of a stack that are still needed, below which it is made anew
CAPACITY = 16  # tokens of a target that a row has room for at first


class Memory(NamedTuple):
    """A source as decoders see it: keys, (layers, H, W, S), and values, (layers, H, S, W), of cross-attention."""

    keys: F32
    values: F32

    @property
    def length(self) -> int:
        """S."""
        return len(self.values[0, 0])


def mix(queries: Any, turned_keys: Any, values: Any, bias: Any = None) -> Any:
    """softmax(q K + bias) V: (..., T, W), (..., W, S) and (..., S, W) to (..., T, W)."""
    scores = queries @ turned_keys
    if bias is not None:
        scores += bias
    return functional.softmax(scores) @ values


class SourceCache(Cache):
    """A cache of target tokens behind one source."""

    def __init__(self, memory: Memory, layers: int, heads: int, width: int, capacity: int) -> None:
        super().__init__(layers, heads, width, capacity)
        self.memory = memory

    def empty(self) -> "SourceCache":
        """See `Cache.empty`."""
        layers, heads, _, width = self.keys.shape
        return SourceCache(self.memory, layers, heads, width, 0)


class SourceRows(RowCache):
    """Rows of target tokens, each behind its source."""

    def __init__(self, layers: int, heads: int, width: int) -> None:
        super().__init__(layers, heads, width, CAPACITY)
        self._memories: list[Memory] = []
        self._groups: SourceGroups | None = None
        self._stack: SourceStack | None = None

    def put(self, row: int, state: State) -> None:
        """See `RowCache.put`."""
        super().put(row, state)
        assert isinstance(state.cache, SourceCache)
        self._set(row, state.cache.memory)

    def copy(self, rows: Sequence[int], targets: Sequence[int]) -> None:
        """See `RowCache.copy`."""
        super().copy(rows, targets)
        for row, target in zip(rows, targets, strict=True):
            self._set(target, self._memories[row])

    def _set(self, row: int, memory: Memory) -> None:
        if row == len(self._memories):
            self._memories.append(memory)
        elif self._memories[row] is not memory:
            self._memories[row] = memory
        else:
            return
        self._groups = None

    def groups(self, count: int) -> "SourceGroups":
        """The first rows by their sources."""
        if self._groups is None or len(self._memories) != count:
            del self._memories[count:]
            stack = self._stack
            live = {id(memory) for memory in self._memories}
            if stack is None or len(live) < FULL * len(stack.places) or not live <= stack.places.keys():
                stack = self._stack = SourceStack(list({id(memory): memory for memory in self._memories}.values()))
            self._groups = SourceGroups(self._memories, stack)
        return self._groups


class SourceStack:
    """Sources side by side: keys, (layers, U, H, W, S), values, and what is added to scores behind their ends.

    Of a stack some may be no longer needed.
    """

    def __init__(self, memories: Sequence[Memory]) -> None:
        self.memories = memories  # as long as they are held, nothing else has their identity
        self.places = {id(memory): place for place, memory in enumerate(memories)}
        self.keys, self.values, self.unseen = _stacked(memories)


class SourceGroups:
    """The rows of a batch by their sources, of which each is run over once, whatever the number of its rows."""

    def __init__(self, memories: Sequence[Memory], stack: SourceStack) -> None:
        slots: list[list[int]] = [[] for _ in stack.memories]
        for row, memory in enumerate(memories):
            slots[stack.places[id(memory)]].append(row)
        most = max(map(len, slots))
        self._slots = np.zeros((len(slots), most), dtype=np.int64)  # (U, K)
        self._places = np.zeros(len(memories), dtype=np.int64)
        for number, rows in enumerate(slots):
            self._slots[number, : len(rows)] = rows
            self._places[rows] = number * most + np.arange(len(rows))
        self._keys, self._values, self._unseen = stack.keys, stack.values, stack.unseen

    def look(self, layer: int, queries: F32) -> F32:
        """What rows take from their sources, (B, H, W) to (B, H W)."""
        grouped = queries[self._slots].swapaxes(1, 2)  # (U, H, K, W)
        mixed = mix(grouped, self._keys[layer], self._values[layer], self._unseen).swapaxes(1, 2)
        found: F32 = mixed.reshape(-1, queries.shape[1] * queries.shape[2])[self._places]
        return found


def _stacked(memories: Sequence[Memory]) -> tuple[F32, F32, F32 | None]:
    """Keys, (layers, U, H, W, S), and values of several sources, and what is added to scores, (U, 1, 1, S)."""
    if len(memories) == 1:
        return memories[0].keys[:, None], memories[0].values[:, None], None
    longest = max(memory.length for memory in memories)
    layers, heads, width, _ = memories[0].keys.shape
    keys = np.zeros((layers, len(memories), heads, width, longest), dtype=np.float32)
    values = np.zeros((layers, len(memories), heads, longest, width), dtype=np.float32)
    unseen = np.zeros((len(memories), 1, 1, longest), dtype=np.float32)
    for number, memory in enumerate(memories):
        keys[:, number, :, :, : memory.length] = memory.keys
        values[:, number, :, : memory.length] = memory.values
        unseen[number, :, :, memory.length :] = -np.inf
    return keys, values, unseen if unseen.any() else None
