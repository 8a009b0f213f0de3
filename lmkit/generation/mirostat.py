"""Mirostat, which holds the surprise of a text's tokens near a target. Its state belongs to one text."""

import math

import numpy as np

from lmkit.generation import filters
from lmkit.generation.candidates import Candidates


class Mirostat:
    """Keeps tokens of surprise -log2 p <= m, one at least, and draws; then m <- m - rate (surprise - target).

    m begins at twice the target. Surprise is in bits, of the distribution before the cut: with penalties and
    temperature, if there are any. Basu et al. (2021), Mirostat 2.0.
    """

    def __init__(self, target: float, rate: float) -> None:
        self._target, self._rate = target, rate
        self.most = 2 * target
        self._given = Candidates(None, np.zeros((1, 0)))

    def keep(self, given: Candidates) -> Candidates:
        """What may come next of one row's candidates."""
        self._given = given
        return filters.epsilon(given, 2.0 ** -min(self.most, 1000.0))

    def add(self, token: int) -> None:
        """The token that was drawn of what was kept last."""
        ids, logs = self._given.ids, self._given.logs[0]
        highest = logs.max()
        total = highest + math.log(np.exp(logs - highest).sum(dtype=np.float64))
        log = logs[token] if ids is None else logs[ids[0] == token][0]
        self.most -= self._rate * (float(total - log) / math.log(2) - self._target)
