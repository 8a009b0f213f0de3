"""A model's next-token distributions as integers, made once for each state while there is room. Knows no text."""

import math
from collections.abc import Sequence

import numpy as np

from lmkit.protocols import F64, U64, LanguageModel, State
from lmkit.using.arithmetic import Coder

ROOM = 1 << 26  # bytes of distributions that are kept
_LOWEST = -60.0  # nats; what is less probable than e^-60 of the most probable gets its one part
_LN2 = 0.6931471805599453
_SHIFTED = 1.5 * 2.0**52  # adding it rounds to whole numbers, which then are the lowest bits
_TAYLOR = tuple(1.0 / factorial for factorial in (5040.0, 720.0, 120.0, 24.0, 6.0, 2.0, 1.0, 1.0))


def exponentials(logs: F64, bits: int) -> F64:
    """2^bits e^l for l <= 0, to a relative error of 10^-8.

    e^l = 2^k e^f with |f| <= ln 2 / 2, e^f by its Taylor series. Only sums, products and shifts,
    whose results are the same on every machine; exp is not the same in every library.
    """
    scaled = logs * (1.0 / _LN2)
    scaled += _SHIFTED
    exponents = scaled.view(np.int64) << 52
    scaled -= _SHIFTED
    scaled *= _LN2
    fraction = np.subtract(logs, scaled, out=scaled)
    result = np.full(len(logs), _TAYLOR[0])
    for coefficient in _TAYLOR[1:]:
        result *= fraction
        result += coefficient
    exponents += result.view(np.int64)
    result = exponents.view(np.float64)
    result *= 2.0**bits
    return result


def cumulated(logs: F64, unk: int | None) -> U64:
    """Ends of each token's parts, at least one each; the escape, `unk` or one more at the end, gets 2^-24 more."""
    highest = float(logs.max(initial=-np.inf))
    shifted = logs - highest if highest > -np.inf else np.zeros(len(logs))
    np.maximum(shifted, _LOWEST, out=shifted)
    bits = min(48, 62 - len(logs).bit_length())
    parts = exponentials(shifted, bits).astype(np.uint64)
    parts += np.uint64(1)
    if unk is None:
        parts = np.append(parts, np.uint64(0))
    parts[-1 if unk is None else unk] += np.uint64(1 << bits - 24)
    ends: U64 = np.cumsum(parts, out=parts)
    return ends


class Node:
    """A state, its distribution and the nodes that came after it; `ends` None until it is asked for."""

    __slots__ = ("_owner", "ends", "following", "state")

    def __init__(self, owner: "Distributions", state: State) -> None:
        self._owner = owner
        self.state = state
        self.ends: Sequence[int] | None = None
        self.following: dict[int, Node] = {}

    def choose(self, coder: Coder, token: int) -> int:
        """The next token, by the model's distribution; see `Coder.choose`."""
        if self.ends is None:
            self.ends = self._owner.distribution(self.state)
        return coder.choose(self.ends, token)

    def bits(self, token: int) -> float:
        """What the choice of a token cost."""
        ends = self.ends or (1,)
        return math.log2(ends[-1]) - math.log2(ends[token] - (ends[token - 1] if token else 0))


class Distributions:
    """Nodes of states; those met again are found again, until their distributions fill `ROOM`."""

    def __init__(self, model: LanguageModel) -> None:
        self._model = model
        self._unk = model.tokenizer.specials.get("unk")
        self._nodes: dict[State, Node] = {}
        self._room = ROOM

    def start(self) -> Node:
        """The beginning of a line."""
        return self._node(self._model.start())

    def after(self, node: Node, token: int) -> Node:
        """After one more token."""
        known = node.following.get(token)
        if known is None:
            known = self._node(self._model.advance(node.state, token))
            if known.state in self._nodes and self._nodes.get(node.state) is node:
                node.following[token] = known
        return known

    def _node(self, state: State) -> Node:
        try:
            known = self._nodes.get(state)
        except TypeError:  # a state that can't be a key
            return Node(self, state)
        if known is None:
            if self._room <= 0:
                self._forget()
            known = self._nodes[state] = Node(self, state)
            self._room -= 1 << 10
        return known

    def _forget(self) -> None:
        for node in self._nodes.values():
            node.following.clear()
        self._nodes.clear()
        self._room = ROOM

    def distribution(self, state: State) -> Sequence[int]:
        """The ends of each token's parts after a state."""
        ends = cumulated(self._model.next(state), self._unk)
        self._room -= ends.nbytes
        return memoryview(ends)
