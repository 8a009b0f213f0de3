"""States of a text that grows by turns: what it shares with the text before is not run again. Knows no messages."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from lmkit.generation.prompt_encoding import state_after
from lmkit.protocols import I32, LanguageModel, State, supports_batching

CHUNK = 256
"""Tokens that are run together; between them a caller may end the work."""


class _Known(NamedTuple):
    ids: I32
    state: State


class StateReuse:
    """States at the ends of turns, each of a text that begins with the one before; they hold one KV cache."""

    def __init__(self, model: LanguageModel, between: Callable[[], None] = lambda: None) -> None:
        """`between` is called between chunks of tokens; what it raises leaves the states in order."""
        self._model, self._between = model, between
        self._known: list[_Known] = []
        self.run = 0
        """Tokens that the last text took, beside those that were known."""

    def after(self, ids: I32) -> State:
        """The state after a text's ids, from the longest known text that it begins with.

        It is that of `state_after`, but for rounding.
        """
        while self._known and not _begins(ids, self._known[-1].ids):
            self._known.pop()
        if not self._known:
            first = ids[:CHUNK] if supports_batching(self._model) else ids
            self.keep(first, state_after(self._model, first))
            self.run = len(first)
        else:
            self.run = 0
        while len(rest := ids[len(self._known[-1].ids) :]):
            self._between()
            self._extend(rest[:CHUNK])
        return self._known[-1].state

    def _extend(self, ids: I32) -> None:
        before, state = self._known[-1]
        if supports_batching(self._model):
            state = self._model.follow(state, ids)[-1]
        else:
            for token in ids.tolist():
                state = self._model.advance(state, token)
        self.run += len(ids)
        self.keep(np.concatenate((before, ids)), state)

    def keep(self, ids: I32, state: State) -> None:
        """Take the state after some ids, which begin with those of the last one that is known."""
        self._known.append(_Known(ids, state))

    def clear(self) -> None:
        """Forget all states."""
        self._known.clear()


def _begins(ids: I32, first: I32) -> bool:
    return len(first) <= len(ids) and bool(np.array_equal(ids[: len(first)], first))
