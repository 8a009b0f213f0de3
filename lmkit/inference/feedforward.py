"""The feed-forward n-gram model in numpy; see `families.feedforward` for its formula. Knows no files."""

from collections.abc import Iterable, Iterator

import numpy as np

from lmkit.families.feedforward import FeedForward
from lmkit.families.model import BATCH_TOKENS, NeuralModel, Weights
from lmkit.inference.formulas import linear
from lmkit.inference.linear import Head
from lmkit.protocols import F32, F64, I32, I64

State = tuple[int, ...]
"""The last n tokens; start tokens before the first."""


class FeedForwardModel(NeuralModel):
    """A LanguageModel that sees the last n tokens."""

    settings: FeedForward

    def __init__(self, weights: Weights, *, stride: int | None = None, batch_tokens: int = BATCH_TOKENS) -> None:
        super().__init__(weights, stride=stride, batch_tokens=batch_tokens)
        tensors = weights.tensors
        self._embeddings: F32 = tensors["embed_tokens.weight"]
        self._hidden: tuple[F32, F32] = tensors["hidden.weight"], tensors["hidden.bias"]
        self._direct: F32 | None = tensors.get("direct.weight")
        head: F32 = tensors["lm_head.weight"]
        joined = head if self._direct is None else np.concatenate((head, self._direct), axis=1)
        self._head = Head(joined, tensors["lm_head.bias"], self.tokenizer.size)

    def _run(self, contexts: I32) -> F32:
        """What the head multiplies: tanh(d + H x), and x where it is wanted, for contexts (..., n)."""
        x: F32 = self._embeddings[contexts].reshape(*contexts.shape[:-1], -1)
        with np.errstate(all="ignore"):
            hidden: F32 = np.tanh(linear(x, *self._hidden))
        return hidden if self._direct is None else np.concatenate((hidden, x), axis=-1)

    # One token at a time.

    def start(self) -> State:
        """Start tokens only."""
        return (self.form.start,) * self.settings.context

    def advance(self, state: State, token: int) -> State:
        """See `LanguageModel.advance`."""
        return (*state[1:], token)

    def after(self, ids: I32) -> State:
        """See `NeuralModel.after`."""
        return (*self.start(), *ids.tolist())[-self.settings.context :]

    def next(self, state: State) -> F64:
        """See `LanguageModel.next`."""
        return self._head.next(self._run(np.array(state, dtype=np.int32)))

    # Many tokens at a time.

    def _score(self, padded: I32, places: I64, targets: I32) -> F64:
        """Nats of tokens whose contexts end before `places` in `padded`."""
        nats = np.empty(len(targets))
        back = np.arange(-self.settings.context, 0)
        for begin in range(0, len(targets), self.batch_tokens):
            some = slice(begin, begin + self.batch_tokens)
            nats[some] = self._head.score(self._run(padded[places[some, None] + back]), targets[some])
        return nats

    def score_many(self, ids: I32, ends: I64) -> F64:
        """See `LanguageModel.score_many`."""
        lengths = np.diff(ends, prepend=0)
        document = np.repeat(np.arange(len(ends)), lengths)
        places = np.arange(len(ids)) + self.settings.context * (document + 1)
        padded = np.full(len(ids) + self.settings.context * len(ends), self.form.start, dtype=np.int32)
        padded[places] = ids
        return self._score(padded, places, ids)

    def score_document(self, parts: Iterable[I32]) -> Iterator[F64]:
        """See `NeuralModel.score_document`."""
        width = self.settings.context
        before = np.full(width, self.form.start, dtype=np.int32)
        for ids in parts:
            padded = np.concatenate((before, ids))
            yield self._score(padded, np.arange(width, len(padded)), ids)
            before = padded[-width:]

    # What is inside.

    def hidden(self, state: State) -> F32:
        """See `Hidden.hidden`."""
        return self._run(np.array(state, dtype=np.int32))[: self.settings.hidden]

    def vectors(self, ids: I32) -> F32:
        """See `Embedding.vectors`: the hidden layer, (N, H)."""
        if not len(ids):
            return np.zeros((0, self.settings.hidden), dtype=np.float32)
        width = self.settings.context
        padded = np.concatenate((np.full(width, self.form.start, dtype=np.int32), ids))
        places = np.arange(width + 1, len(padded) + 1)
        return self._run(padded[places[:, None] + np.arange(-width, 0)])[:, : self.settings.hidden]
