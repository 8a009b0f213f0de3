"""Scores of hypotheses: of finished ones, and bounds for unfinished ones.

score = nats / length ** alpha
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from lmkit.generation.beam_hypotheses import Exact, Hypothesis, doubtful

SLACK = 1e-9  # nats by which sums may rise, as models round


@dataclass
class Group:
    """Texts that compete with one another: unfinished ones, by rising ids, and finished ones."""

    width: int
    kept: int
    """How many ended ones count."""
    live: list[Hypothesis]
    greedy: bool = False
    """Whether it is over when the first text ends."""
    ended: list[Hypothesis] = field(default_factory=list)
    count: int = 0
    """How many have ended, the forgotten ones too."""

    def end(self, texts: Sequence[Hypothesis]) -> None:
        """Adds texts that have ended."""
        self.ended += texts
        self.count += len(texts)


class BeamScorer:
    """Scores of texts of at most `most` tokens, and bounds of them where sums may be wrong."""

    def __init__(self, alpha: float, most: int, exact: Exact, patience: float = 0.0) -> None:
        self._alpha, self._most, self._exact, self._patience = alpha, most, exact, patience

    def _weight(self, length: int) -> float:
        return float(length**self._alpha)

    def score(self, text: Hypothesis, sign: int = 0) -> float:
        """A text's score; the highest or lowest that it may be by `sign`."""
        return (text.nats + sign * text.error) / self._weight(text.length)

    def bound(self, text: Hypothesis) -> float:
        """The highest score that a continuation of this text can have: no token raises nats.

        By length a score is monotone, so that the shortest or the longest has the best.
        """
        most = text.nats + text.error + SLACK
        return max(most / self._weight(text.length + 1), most / self._weight(self._most))

    def best(self, texts: Iterable[Hypothesis]) -> float:
        """The best score of texts, at least."""
        return max((self.score(text, -1) for text in texts), default=-np.inf)

    def _worst(self, group: Group) -> float:
        """What a score has to reach to be among those of a group that count, at least."""
        if len(group.ended) < group.kept:
            return -np.inf
        return sorted(self.score(text, -1) for text in group.ended)[-group.kept]

    def prune(self, group: Group) -> None:
        """Forgets ended texts that surely do not count."""
        if len(group.ended) > group.kept:
            worst = self._worst(group)
            group.ended = [text for text in group.ended if self.score(text, 1) >= worst]

    def decided(self, group: Group) -> bool:
        """Whether no unfinished text can still count, or as many have ended as patience asks for."""
        if self._patience and group.count >= max(group.kept, self._patience * group.width):
            return True
        worst = self._worst(group)
        return all(self.bound(text) < worst for text in group.live)

    def in_order(self, texts: Sequence[Hypothesis]) -> list[Hypothesis]:
        """By falling score, of equal ones by ids; those whose order is in doubt are settled."""
        while True:
            ordered = sorted(texts, key=lambda text: (-self.score(text), text.tokens()))
            values = np.array([self.score(text) for text in ordered])
            errors = np.array([text.error / self._weight(text.length) for text in ordered])
            if not errors.any():
                return ordered
            near = {place for cut in range(1, len(ordered)) for place in doubtful(values, errors, cut).tolist()}
            unsure = [ordered[place] for place in sorted(near) if errors[place]]
            if not unsure:
                return ordered
            for text in unsure:
                self._exact.settle(text)
