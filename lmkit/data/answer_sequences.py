"""Sequences of tokens some of which are answers, which alone are learned. Knows no model.

N tokens.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from lmkit.protocols import I32, Bool


class AnswerSequence(NamedTuple):
    """Ids, (N,), with the token that texts begin with, and which of them are learned, (N,): never the first."""

    ids: I32
    learned: Bool

    @property
    def inputs(self) -> int:
        """How many tokens a model reads: all but the last, which is only predicted."""
        return len(self.ids) - 1


def cut(sequence: AnswerSequence, limit: int, way: str, first: int) -> AnswerSequence | None:
    """Return a sequence of which a model reads `limit` tokens at most; None where no answer is left of it.

    A way is to `drop` longer ones, or to cut them at the `start` or the `end`.
    `first` tokens at the beginning are kept where the `start` is cut.
    """
    lost = sequence.inputs - limit
    if lost <= 0:
        return sequence
    if way == "end":
        found = AnswerSequence(sequence.ids[:-lost], sequence.learned[:-lost])
    else:
        found = AnswerSequence(
            np.concatenate((sequence.ids[:first], sequence.ids[first + lost :])),
            np.concatenate((sequence.learned[:first], sequence.learned[first + lost :])),
        )
        found.learned[: max(1, first)] = False
    return found if way != "drop" and found.learned.any() else None


def joined(parts: Sequence[tuple[I32, bool]]) -> AnswerSequence:
    """Return the sequence of stretches of tokens, each learned or not."""
    ids = np.concatenate([own for own, _ in parts]).astype(np.int32)
    learned = np.concatenate([np.full(len(own), is_learned) for own, is_learned in parts])
    return AnswerSequence(ids, learned)
