"""Keys and values of tokens run so far: of one history, shared by its states, and of many rows. Knows no arithmetic.

Shapes: B rows, S tokens, D width, G heads of keys and values, E numbers in a head.
"""

import weakref
from collections.abc import Sequence

import numpy as np

from lmkit.protocols import F32, I32, I64

CAPACITY = 64  # tokens that a cache has room for at first


class Cache:
    """Tokens run so far in one window and their keys and values, (layers, G, capacity, E), shared by states."""

    def __init__(self, layers: int, heads: int, width: int, capacity: int = CAPACITY) -> None:
        self.keys = np.empty((layers, heads, capacity, width), dtype=np.float32)
        self.values = np.empty_like(self.keys)
        self.tokens = np.empty(capacity, dtype=np.int32)
        self.filled = 0
        self._states: list[weakref.ref[State]] = []

    def reserve(self, size: int) -> None:
        """Makes room for `size` tokens in all, for twice as many as before at least."""
        capacity = len(self.tokens)
        if size > capacity:
            self._take(self, self.filled, max(size, 2 * capacity))

    def held(self, state: "State") -> "State":
        """Remembers, as long as it lives, that a state needs its tokens; states come by rising lengths."""
        self._states.append(weakref.ref(state))
        return state

    def behind(self, state: "State") -> "Cache":
        """The cache to continue with after one of its states: itself where no longer one is left, else a copy."""
        states = self._states
        while states and (last := states[-1]()) is None:
            states.pop()
        if states and last is not None and last.length > state.length:
            return self._branch(state.length)
        self.filled = state.length
        return self

    def empty(self) -> "Cache":
        """A cache of the same kind without room."""
        layers, heads, _, width = self.keys.shape
        return Cache(layers, heads, width, 0)

    def _branch(self, length: int) -> "Cache":
        """A cache of its own that begins with the first `length` tokens."""
        made = self.empty()
        made._take(self, length, max(CAPACITY, length + length // 2))
        return made

    def _take(self, other: "Cache", length: int, capacity: int) -> None:
        layers, heads, _, width = other.keys.shape
        bigger = Cache(layers, heads, width, capacity)
        bigger.keys[:, :, :length] = other.keys[:, :, :length]
        bigger.values[:, :, :length] = other.values[:, :, :length]
        bigger.tokens[:length] = other.tokens[:length]
        self.keys, self.values, self.tokens, self.filled = bigger.keys, bigger.values, bigger.tokens, length


class State:
    """The first `length` tokens of a cache, and the last one's output, (D,).

    A cache is shared by the states along one history: positions from `length` on do not belong to a state.
    No key, as it is too big to be kept by those who keep what they meet.
    """

    __slots__ = ("__weakref__", "cache", "length", "output")
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, cache: Cache, length: int, output: F32) -> None:
        self.cache, self.length, self.output = cache, length, output


class RowCache:
    """Keys and values of rows side by side, (layers, B, G, capacity, E), each row filled up to a length of its own.

    What lies behind a row's length is of no meaning, but finite: zeros or what once was there.
    """

    def __init__(self, layers: int, heads: int, width: int, capacity: int = CAPACITY) -> None:
        """`capacity`: tokens that a row has room for at first."""
        self._capacity = capacity
        self.keys: F32 = np.zeros((layers, 0, heads, 0, width), dtype=np.float32)
        self.values: F32 = np.zeros_like(self.keys)
        self.tokens: I32 = np.zeros((0, 0), dtype=np.int32)
        self.lengths: I64 = np.zeros(0, dtype=np.int64)

    def reserve(self, rows: int, length: int, most: int) -> None:
        """Makes room for rows, and for `length` tokens in each; for twice as many as before, up to `most`."""
        has_rows, has_length = self.tokens.shape
        if rows <= has_rows and length <= has_length:
            return
        rows = has_rows if rows <= has_rows else max(rows, has_rows + has_rows // 2)
        length = has_length if length <= has_length else min(most, max(length, self._capacity, 2 * has_length))
        layers, _, heads, _, width = self.keys.shape
        filled = int(self.lengths.max(initial=0))
        for name in ("keys", "values"):
            bigger = np.zeros((layers, rows, heads, length, width), dtype=np.float32)
            bigger[:, :has_rows, :, :filled] = getattr(self, name)[:, :, :, :filled]
            setattr(self, name, bigger)
        self.tokens = np.pad(self.tokens, ((0, rows - has_rows), (0, length - has_length)))
        self.lengths = np.pad(self.lengths, (0, rows - has_rows))

    def put(self, row: int, state: State) -> None:
        """A row becomes what a state has seen."""
        length, cache = state.length, state.cache
        self.keys[:, row, :, :length] = cache.keys[:, :, :length]
        self.values[:, row, :, :length] = cache.values[:, :, :length]
        self.tokens[row, :length] = cache.tokens[:length]
        self.lengths[row] = length

    def copy(self, rows: Sequence[int], targets: Sequence[int]) -> None:
        """Rows become the same as others, none of which is a target."""
        own, others = np.array(rows, dtype=np.int64), np.array(targets, dtype=np.int64)
        length = int(self.lengths[own].max(initial=0))
        self.keys[:, others, :, :length] = self.keys[:, own, :, :length]
        self.values[:, others, :, :length] = self.values[:, own, :, :length]
        self.tokens[others, :length] = self.tokens[own, :length]
        self.lengths[others] = self.lengths[own]


def moves(wanted: Sequence[int]) -> tuple[list[int], list[tuple[int, int]]]:
    """How the places named, some several times, come to lie in the first len(wanted) places with few copies.

    Gives the place where each of `wanted` is in the end, and the copies, (from, to), to be made in order.
    A place below len(wanted) that is wanted stays where it is.
    """
    free = sorted(set(range(len(wanted))) - set(wanted), reverse=True)
    found: list[int] = []
    copies: list[tuple[int, int]] = []
    met: set[int] = set()
    for place in wanted:
        if place < len(wanted) and place not in met:
            found.append(place)
        else:
            found.append(free.pop())
            copies.append((place, found[-1]))
        met.add(place)
    return found, copies
