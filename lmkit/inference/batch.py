"""A batch of sequences decoded by a transformer, each in a window of its own. Knows no weights."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from lmkit.inference.kv_cache import RowCache, State, moves
from lmkit.protocols import F32, I32, I64


class RowDecoder(Protocol):
    """The arithmetic of rows that advance side by side; D numbers before the head."""

    @property
    def width(self) -> int:
        """D."""

    def next_rows(self, outputs: F32) -> F32:
        """Log-probabilities of what follows each of the rows, (B, D) to (B, V)."""

    def row_cache(self) -> RowCache:
        """A cache of no rows."""

    def step(self, cache: RowCache, ids: I32) -> F32:
        """What the head multiplies behind one more token of each of the first B rows, (B,) to (B, D)."""


class WindowDecoder(RowDecoder, Protocol):
    """The arithmetic of rows whose contexts are windows."""

    def begin(self, cache: RowCache, rows: I64, ids: I32) -> None:
        """Rows become windows of their own that begin with ids, (B, T)."""


class TransformerRows:
    """See `protocols.DecodingBatch`. The rows lie, in any order, in the first places of one cache.

    They may grow to `context` tokens.
    """

    def __init__(self, decoder: RowDecoder, states: Sequence[State], context: int) -> None:
        self._decoder, self._context = decoder, context
        self._cache = decoder.row_cache()
        self._places: list[int] = []
        self._outputs: F32 = np.zeros((0, decoder.width), dtype=np.float32)
        self.join(states)

    def __len__(self) -> int:
        return len(self._places)

    def next(self) -> F32:
        """See `DecodingBatch.next`."""
        return self._decoder.next_rows(self._outputs[self._places])

    def advance(self, tokens: Sequence[int]) -> None:
        """See `DecodingBatch.advance`."""
        count = len(self)
        if not count:
            return
        ids = np.empty(count, dtype=np.int32)
        ids[self._places] = tokens
        self._roll()
        self._cache.reserve(count, int(self._cache.lengths[:count].max()) + 1, self._context)
        self._outputs = self._decoder.step(self._cache, ids)

    def _roll(self) -> None:
        """Makes room in rows that are as long as the context."""

    def take(self, rows: Sequence[int]) -> None:
        """See `DecodingBatch.take`."""
        self._cache.reserve(len(rows), 0, self._context)
        outputs = self._outputs[[self._places[row] for row in rows]]
        self._places, copies = moves([self._places[row] for row in rows])
        if copies:
            self._cache.copy(*zip(*copies, strict=True))
        self._outputs = np.empty_like(outputs)
        self._outputs[self._places] = outputs

    def join(self, states: Sequence[State]) -> None:
        """See `DecodingBatch.join`."""
        if not states:
            return
        begin = len(self)
        longest = max(state.length for state in states)
        self._cache.reserve(begin + len(states), min(longest + 1, self._context), self._context)
        for place, state in enumerate(states, begin):
            self._cache.put(place, state)
        joined = np.stack([state.output for state in states])
        self._outputs = np.concatenate((self._outputs, joined))
        self._places += range(begin, begin + len(states))


class WindowedRows(TransformerRows):
    """Rows that outgrow the context: windows roll on as those of single states do.

    When the `context` is full, what is left of a window after `stride` tokens is run again, of all rows whose windows
    are full together, at most `batch_tokens` tokens at once.
    """

    def __init__(
        self, decoder: WindowDecoder, states: Sequence[State], context: int, stride: int, batch_tokens: int
    ) -> None:
        self._windows, self._stride, self._batch_tokens = decoder, stride, batch_tokens
        super().__init__(decoder, states, context)

    def _roll(self) -> None:
        """Begins the next window of those rows whose windows are full."""
        kept = self._context - self._stride
        full = np.flatnonzero(self._cache.lengths[: len(self)] == self._context)
        if not kept:
            self._cache.lengths[full] = 0
            return
        several = max(1, self._batch_tokens // kept)
        for begin in range(0, len(full), several):
            rows = full[begin : begin + several]
            self._windows.begin(self._cache, rows, self._cache.tokens[rows, self._stride : self._context])
