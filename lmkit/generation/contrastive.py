"""Contrastive search (Su et al. 2022, equation 5): probable tokens that do not make the text repeat itself.

    v = argmax over the k most probable of  (1 - alpha) p(v | x) - alpha max_j cos(h_v, h_j)

h_v is the hidden state after v, h_j the one after each token of prompt and text so far; with none before it
there is nothing to be like, and p alone counts. Equal scores: the lower id. Each text is run by single steps,
alone, so that nothing else that is run can change it. Penalties change p, which then need not sum to one.

Shapes: K candidates, T tokens so far, D numbers of a hidden state.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np

from lmkit.errors import CheckpointError
from lmkit.generation.engine import ActiveSequence, Step, attempted
from lmkit.generation.filters import Chain
from lmkit.generation.sampler import Sampler
from lmkit.protocols import F64, Floats, LanguageModel, State, compares_hidden_states


def most_probable(k: int) -> Chain:
    """The filter that leaves the k candidates, their log-probabilities as they are."""
    return Chain([("top-k", k)])


class Weighed(NamedTuple):
    """A candidate: its probability, how like the text its hidden state is at most, and its score."""

    token: int
    probability: float
    likeness: float
    score: float


@dataclass
class _Text:
    """A row, its state, and the directions of all hidden states before."""

    row: ActiveSequence
    state: State
    past: F64
    length: int

    def add(self, direction: F64) -> None:
        if self.length == len(self.past):
            self.past = np.concatenate((self.past, np.empty((max(16, self.length), self.past.shape[1]))))
        self.past[self.length] = direction
        self.length += 1


class Contrastive:
    """Steps of contrastive search; see `engine.Stepper`. The chooser's filter is `most_probable`.

    The model answers `protocols.ComparesHiddenStates`. Raises CheckpointError for one that does not.
    """

    def __init__(self, model: LanguageModel, chooser: Sampler, alpha: float, *, explain: bool = False) -> None:
        if not compares_hidden_states(model):
            raise CheckpointError(
                "the model has no hidden states, which contrastive search needs",
                hint="use --beam, which works with any model",
            )
        self._model, self._chooser, self._alpha, self._explain = model, chooser, alpha, explain
        self._texts: list[_Text] = []

    def join(self, rows: Sequence[ActiveSequence]) -> None:
        """See `Stepper.join`."""
        for row in rows:
            width = len(self._model.hidden(row.request.state))
            vectors = self._model.vectors(row.request.prompt) if len(row.request.prompt) else np.empty((0, width))
            self._texts.append(_Text(row, row.request.state, _directions(vectors), len(vectors)))

    def keep(self, rows: Sequence[int]) -> None:
        """See `Stepper.keep`."""
        self._texts = [self._texts[row] for row in rows]

    def step(self) -> list[Step]:
        """See `Stepper.step`."""
        return [attempted(partial(self._next, text)) for text in self._texts]

    def _next(self, text: _Text) -> list[int]:
        candidates = self._chooser.candidates(self._model.next(text.state)[None], [text.row.place])
        places = np.flatnonzero(candidates.logs[0] > -np.inf)
        tokens: list[int] = (places if candidates.ids is None else candidates.ids[0][places]).tolist()
        states = [self._model.advance(text.state, token) for token in tokens]
        directions = _directions(np.stack([self._model.hidden(state) for state in states]))
        likeness = (directions @ text.past[: text.length].T).max(axis=1) if text.length else np.zeros(len(tokens))
        probabilities = np.exp(candidates.logs[0][places].astype(np.float64))
        scores = (1 - self._alpha) * probabilities - self._alpha * likeness
        won = int(scores.argmax())
        if self._explain:
            columns = (tokens, probabilities.tolist(), likeness.tolist(), scores.tolist())
            weighed = [Weighed(*values) for values in zip(*columns, strict=True)]
            text.row.trace.append(sorted(weighed, key=lambda item: (-item.score, item.token)))
        text.state = states[won]
        text.add(directions[won])
        return [tokens[won]]


def _directions(vectors: Floats) -> F64:
    """Vectors of length one, (T, D); of none where there is none."""
    vectors = vectors.astype(np.float64)
    lengths = np.sqrt((vectors * vectors).sum(axis=1, keepdims=True))
    directions: F64 = vectors / np.where(lengths > 0, lengths, 1.0)
    return directions
