"""Small models for searches: tables of what follows the last tokens, and rows of them that round."""

import math
from types import MappingProxyType

import numpy as np

from lmkit.data.sequences import TextFormat
from lmkit.generation.batching import StateRows

UNK, BOS, EOS = 0, 1, 2


class Letters:
    """Ids 3 and up are letters."""

    kind = "char"
    accepts_any_bytes = False
    parses_specials = False
    separator = None
    local = False
    specials = MappingProxyType({"unk": UNK, "bos": BOS, "eos": EOS})

    def __init__(self, size):
        self.size = size

    def decode(self, ids):
        return bytes(96 + token - 2 for token in ids)


class Table:
    """log p(w | the last `order` tokens), each row drawn when it is first asked for."""

    normalised = True
    form = TextFormat("line", BOS, EOS)

    def __init__(self, size, order, draw):
        self.tokenizer = Letters(size)
        self.order = order
        self._draw, self._known = draw, {}

    def start(self):
        return (BOS,)

    def advance(self, state, token):
        return (*state, token)[-max(1, self.order) :]

    def next(self, state):
        key = state if self.order else ()
        if key not in self._known:
            weights = np.array([0.0, 0.0, *self._draw()])
            with np.errstate(divide="ignore"):
                self._known[key] = np.log(weights / weights.sum())
        return self._known[key]


class NoisyRows(StateRows):
    """Rows whose numbers are wrong by as much as is said."""

    def __init__(self, model, states):
        super().__init__(model.exact, states)
        self._noisy = model

    def next(self):
        logs = super().next()
        return logs + self._noisy.tolerance * self._noisy.rng.uniform(-1, 1, logs.shape)


class Noisy:
    """A model that does several steps at once, and wrongly."""

    def __init__(self, exact, tolerance, seed):
        self.exact, self.tolerance, self.rng = exact, tolerance, np.random.default_rng(seed)
        self.tokenizer, self.form = exact.tokenizer, exact.form
        self.start, self.advance, self.next = exact.start, exact.advance, exact.next
        self.singles = 0

    def rows(self, states):
        return NoisyRows(self, states)

    def follow(self, state, ids):
        return [state := self.exact.advance(state, token) for token in ids.tolist()]

    def next_many(self, states):
        return StateRows(self.exact, states).next()


def enumerated(model, most, alpha=0.0):
    """Every text of at most some tokens as (score, tokens, why it ended), best first, ties by lower ids."""
    found = []

    def grow(state, tokens, nats):
        for token, log in enumerate(model.next(state).tolist()):
            if log == -math.inf:
                continue
            longer, total = (*tokens, token), nats + log
            if token == EOS or len(longer) == most:
                reason = "eos" if token == EOS else "length"
                found.append((total / len(longer) ** alpha, longer, reason))
            else:
                grow(model.advance(state, token), longer, total)

    grow(model.start(), (), 0.0)
    return sorted(found, key=lambda text: (-text[0], text[1]))
