"""The feed-forward n-gram model in numpy; see `architectures.feedforward` for its formula. Knows no files."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from lmkit.architectures.feedforward import FFNConfig
from lmkit.architectures.neural_model import BATCH_TOKENS, LoadedModel, NeuralModel
from lmkit.inference.functional import linear
from lmkit.inference.linear import LMHead, tolerance
from lmkit.protocols import F32, F64, I32, I64

State = tuple[int, ...]
"""The last n tokens; start tokens before the first."""


class FeedForwardModel(NeuralModel):
    """A LanguageModel that sees the last n tokens."""

    settings: FFNConfig

    def __init__(self, weights: LoadedModel, *, stride: int | None = None, batch_tokens: int = BATCH_TOKENS) -> None:
        super().__init__(weights, stride=stride, batch_tokens=batch_tokens)
        tensors = weights.tensors
        self.tolerance = tolerance(1, self.settings.context * self.settings.width)
        self._embeddings: F32 = tensors["embed_tokens.weight"]
        self._hidden: tuple[F32, F32] = tensors["hidden.weight"], tensors["hidden.bias"]
        self._direct: F32 | None = tensors.get("direct.weight")
        head: F32 = tensors["lm_head.weight"]
        joined = head if self._direct is None else np.concatenate((head, self._direct), axis=1)
        self.head = LMHead(joined, tensors["lm_head.bias"], self.tokenizer.size)

    def outputs(self, contexts: I32) -> F32:
        """What the head multiplies: tanh(d + H x), and x where it is wanted, for contexts (..., n)."""
        x: F32 = self._embeddings[contexts].reshape(*contexts.shape[:-1], self.settings.context * self.settings.width)
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
        return self.head.next(self.outputs(np.array(state, dtype=np.int32)))

    def logits(self, state: State) -> F64:
        """What `next` normalises, (V,)."""
        return self.head.logits(self.outputs(np.array(state, dtype=np.int32)))

    # Several steps at once.

    def rows(self, states: Sequence[State]) -> "FeedForwardRows":
        """See `SupportsBatching.rows`."""
        return FeedForwardRows(self, states)

    def follow(self, state: State, ids: I32) -> list[State]:
        """See `SupportsBatching.follow`."""
        history = (*state, *ids.tolist())
        return [history[place : place + len(state)] for place in range(1, len(ids) + 1)]

    def next_many(self, states: Sequence[State]) -> F32:
        """See `SupportsBatching.next_many`."""
        return self.rows(states).next()

    # Many tokens at a time.

    def _score(self, padded: I32, places: I64, targets: I32) -> F64:
        """Nats of tokens whose contexts end before `places` in `padded`."""
        nats = np.empty(len(targets))
        back = np.arange(-self.settings.context, 0)
        for begin in range(0, len(targets), self.batch_tokens):
            some = slice(begin, begin + self.batch_tokens)
            nats[some] = self.head.score(self.outputs(padded[places[some, None] + back]), targets[some])
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
        """See `HasHiddenStates.hidden`."""
        return self.outputs(np.array(state, dtype=np.int32))[: self.settings.hidden]

    def vectors(self, ids: I32) -> F32:
        """See `HasEmbeddings.vectors`: the hidden layer, (N, H)."""
        if not len(ids):
            return np.zeros((0, self.settings.hidden), dtype=np.float32)
        width = self.settings.context
        padded = np.concatenate((np.full(width, self.form.start, dtype=np.int32), ids))
        places = np.arange(width + 1, len(padded) + 1)
        return self.outputs(padded[places[:, None] + np.arange(-width, 0)])[:, : self.settings.hidden]


class FeedForwardRows:
    """The last n tokens of several texts, (B, n); see `protocols.Rows`."""

    def __init__(self, model: FeedForwardModel, states: Sequence[State]) -> None:
        self._model = model
        self._contexts: I32 = np.zeros((0, model.settings.context), dtype=np.int32)
        self.join(states)

    def __len__(self) -> int:
        return len(self._contexts)

    def next(self) -> F32:
        """See `DecodingBatch.next`."""
        return self._model.head.next_many(self._model.outputs(self._contexts))

    def advance(self, tokens: Sequence[int]) -> None:
        """See `DecodingBatch.advance`."""
        new = np.array(tokens, dtype=np.int32)[:, None]
        self._contexts = np.concatenate((self._contexts[:, 1:], new), axis=1)

    def state(self, row: int) -> State:
        """See `HasExactStates.state`."""
        return tuple(self._contexts[row].tolist())

    def take(self, rows: Sequence[int]) -> None:
        """See `DecodingBatch.take`."""
        self._contexts = self._contexts[np.array(rows, dtype=np.int64)]

    def join(self, states: Sequence[State]) -> None:
        """See `DecodingBatch.join`."""
        if states:
            self._contexts = np.concatenate((self._contexts, np.array(states, dtype=np.int32)))
