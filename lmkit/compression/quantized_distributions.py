"""A model's next-token distributions as integers, made once for each state while there is room. Knows no text.

In a backoff model with a large vocabulary most tokens after a state are as probable as at the
beginning of a line but for a common factor. Where that is found to be so, a distribution is kept
as what differs: a choice between tokens that do and those that don't, and one among either.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from lmkit.compression.arithmetic_coder import Coder
from lmkit.protocols import F64, I64, U64, LanguageModel, State

ROOM = 1 << 26  # bytes of nodes that are kept, roughly
_NODE, _EDGE = 1 << 10, 1 << 7  # of which for a node and for a way from one to another
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


def parts(logs: F64, bits: int) -> U64:
    """2^bits e^l, rounded down, and one more: no token is impossible."""
    whole = exponentials(np.maximum(logs, _LOWEST), bits).astype(np.uint64)
    whole += np.uint64(1)
    return whole


class Distribution(Protocol):
    """A distribution over tokens, and the escape."""

    size: int
    """Bytes of memory that it takes, roughly."""

    def choose(self, coder: Coder, token: int) -> int:
        """Codes a token and returns it; see `Coder.choose`."""


class Dense:
    """Each token's parts one after the other."""

    def __init__(self, whole: U64) -> None:
        np.cumsum(whole, out=whole)
        self._ends: Sequence[int] = memoryview(whole)  # type: ignore[arg-type]
        self.size = whole.nbytes

    def choose(self, coder: Coder, token: int) -> int:
        """See `Distribution`."""
        return coder.choose(self._ends, token)

    def __getitem__(self, token: int) -> int:
        """Where the parts of a token end."""
        return self._ends[token]

    def __len__(self) -> int:
        return len(self._ends)


class _Without(Sequence[int]):
    """The ends of a distribution's parts without those of some tokens."""

    def __init__(self, whole: Dense, tokens: Sequence[int], gone: Sequence[int]) -> None:
        """`gone`: how many parts the first of `tokens` have, the first two, and so on."""
        self._whole, self._tokens, self._gone = whole, tokens, gone

    def __getitem__(self, token):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN204
        """Where the parts of a token end now."""
        token = token if token >= 0 else len(self._whole) + token
        before = bisect_right(self._tokens, token)
        return self._whole[token] - (self._gone[before - 1] if before else 0)

    def __len__(self) -> int:
        return len(self._whole)


class Sparse:
    """Tokens with probabilities of their own, and all others in the proportions of another distribution."""

    def __init__(self, common: Dense, tokens: I64, own: U64, common_parts: U64, factor: float) -> None:
        self._tokens: Sequence[int] = memoryview(tokens)  # type: ignore[arg-type]
        gone = np.cumsum(common_parts[tokens])
        self._others = _Without(common, self._tokens, memoryview(gone))  # type: ignore[arg-type]
        self._ends: Sequence[int] = memoryview(np.cumsum(own))  # type: ignore[arg-type]
        self._groups = (self._ends[-1], self._ends[-1] + 1 + int(self._others[-1] * factor))
        self.size = 3 * tokens.nbytes

    def choose(self, coder: Coder, token: int) -> int:
        """See `Distribution`."""
        place = bisect_left(self._tokens, token)
        own = place < len(self._tokens) and self._tokens[place] == token
        if coder.choose(self._groups, int(not own)):
            return coder.choose(self._others, token)
        return self._tokens[coder.choose(self._ends, place)]


class Quantizer:
    """Makes integers of distributions over one vocabulary; the first one it meets is what others may share."""

    LARGE = 1 << 10  # tokens; below, sharing gains nothing
    SAME = 1e-9  # nats

    def __init__(self, tokens: int, unk: int | None) -> None:
        self._unk = unk
        self._bits = min(48, 62 - tokens.bit_length())
        self._escape = np.uint64(1 << self._bits - 24)
        self._large = tokens >= self.LARGE
        self._logs: F64 | None = None
        self._difference = np.empty(tokens)

    def integers(self, logs: F64) -> Distribution:
        """A distribution that is within 10^-8 bits of the log-probabilities; works in `logs`."""
        highest = float(logs.max(initial=-np.inf))
        if highest > -np.inf:
            logs -= highest
        if self._logs is not None:
            shared = self._shared(logs)
            if shared is not None:
                return shared
        whole = parts(logs, self._bits)
        if self._unk is None:
            whole = np.append(whole, self._escape)
        else:
            whole[self._unk] += self._escape
        if not self._large or self._logs is not None:
            return Dense(whole)
        self._logs, self._parts = logs, whole.copy()
        self._common = Dense(whole)
        return self._common

    def _shared(self, logs: F64) -> Sparse | None:
        """The distribution as what differs from the first; None where most does."""
        assert self._logs is not None
        with np.errstate(invalid="ignore"):  # of tokens impossible in both
            difference = np.subtract(logs, self._logs, out=self._difference)
        shift = self._shift(difference)
        difference -= shift
        np.abs(difference, out=difference)
        differs = difference > self.SAME
        escape = len(logs) if self._unk is None else self._unk
        if self._unk is not None:
            differs[self._unk] = True
        tokens = np.flatnonzero(differs)
        if len(tokens) > len(logs) // 4:
            return None
        own = parts(logs[tokens], self._bits)
        if self._unk is None:
            tokens, own = np.append(tokens, escape), np.append(own, np.uint64(0))
        own[np.searchsorted(tokens, escape)] += self._escape
        factor = float(exponentials(np.array([min(max(shift, _LOWEST), -_LOWEST)]), 0)[0])
        return Sparse(self._common, tokens, own, self._parts, factor)

    @staticmethod
    def _shift(difference: F64) -> float:
        """What most tokens differ by, as some of them tell; 0 where they have nothing to say."""
        probes = difference[:: max(1, len(difference) // 31)]
        told = sorted(probes[np.isfinite(probes)].tolist())
        return told[len(told) // 2] if told else 0.0


class Node:
    """A state, its distribution and the nodes that came after it; no distribution until it is asked for."""

    __slots__ = ("_distribution", "_owner", "following", "kept", "state")

    def __init__(self, owner: "Distributions", state: State, *, kept: bool) -> None:
        self._owner = owner
        self._distribution: Distribution | None = None
        self.state = state
        self.kept = kept
        self.following: dict[int, Node] = {}

    def choose(self, coder: Coder, token: int) -> int:
        """The next token, by the model's distribution; see `Coder.choose`."""
        if self._distribution is None:
            self._distribution = self._owner.distribution(self.state)
        return self._distribution.choose(coder, token)


class Distributions:
    """Nodes of states; those met again are found again, until they fill `ROOM`."""

    def __init__(self, model: LanguageModel) -> None:
        self._model = model
        self._rounding = Quantizer(model.tokenizer.size, model.tokenizer.specials.get("unk"))
        self._rounding.integers(model.next(model.start()))
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
            if node.kept and known.kept:
                node.following[token] = known
                self._room -= _EDGE
        return known

    def _node(self, state: State) -> Node:
        try:
            known = self._nodes.get(state)
        except TypeError:  # a state that can't be a key
            return Node(self, state, kept=False)
        if known is None:
            if self._room <= 0:
                self._forget()
            known = self._nodes[state] = Node(self, state, kept=True)
            self._room -= _NODE
        return known

    def _forget(self) -> None:
        """Drops all nodes; those in use elsewhere hold on to no others."""
        for node in self._nodes.values():
            node.kept = False
            node.following.clear()
        self._nodes.clear()
        self._room = ROOM

    def distribution(self, state: State) -> Distribution:
        """What may follow a state."""
        made = self._rounding.integers(self._model.next(state))
        self._room -= made.size
        return made
