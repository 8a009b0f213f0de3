"""Steps of several states at once, with any model: fast where it can, one by one where it can't."""

from collections.abc import Sequence

import numpy as np

from lmkit.protocols import F64, I32, DecodingBatch, Floats, LanguageModel, State, supports_batching

WIDEST = 100.0  # nats


class StateRows:
    """Rows of a model that knows but single states; see `protocols.DecodingBatch`."""

    def __init__(self, model: LanguageModel, states: Sequence[State]) -> None:
        self._model = model
        self.states = list(states)

    def __len__(self) -> int:
        return len(self.states)

    def state(self, row: int) -> State:
        """See `HasExactStates.state`."""
        return self.states[row]

    def next(self) -> Floats:
        """See `DecodingBatch.next`."""
        return np.stack([self._model.next(state) for state in self.states])

    def advance(self, tokens: Sequence[int]) -> None:
        """See `DecodingBatch.advance`."""
        self.states = [self._model.advance(state, int(token)) for state, token in zip(self.states, tokens, strict=True)]

    def take(self, rows: Sequence[int]) -> None:
        """See `DecodingBatch.take`."""
        self.states = [self.states[row] for row in rows]

    def join(self, states: Sequence[State]) -> None:
        """See `DecodingBatch.join`."""
        self.states.extend(states)


def errors(model: LanguageModel, logs: Floats) -> F64:
    """How far log-probabilities of several steps at once may be from those of single steps, in nats: (B, V) to (B,).

    It grows with what they span, from the least to the most probable token; what is less probable than any
    token that is ever drawn does not count.
    """
    if not supports_batching(model):
        return np.zeros(len(logs))
    least = logs.min(axis=1)
    if not np.isfinite(least).all():  # impossible tokens span nothing
        least = np.where(np.isfinite(logs), logs, np.inf).min(axis=1)
    spans: F64 = (logs.max(axis=1) - least).astype(np.float64)
    return np.clip(spans, 1.0, WIDEST) * float(model.tolerance)


def rows_of(model: LanguageModel, states: Sequence[State]) -> DecodingBatch:
    """Return the states as rows of one batch."""
    return model.rows(states) if supports_batching(model) else StateRows(model, states)


def follow(model: LanguageModel, state: State, ids: I32) -> list[State]:
    """The states after each of some tokens."""
    if supports_batching(model):
        return model.follow(state, ids)
    found = []
    for token in ids.tolist():
        state = model.advance(state, token)
        found.append(state)
    return found


def next_many(model: LanguageModel, states: Sequence[State]) -> Floats:
    """Log-probabilities after each state, (B, V)."""
    if supports_batching(model):
        return model.next_many(states)
    return StateRows(model, states).next()


def score_after(model: LanguageModel, state: State, ids: Sequence[int]) -> F64:
    """Nats of each of some tokens after a state, (N,): the same whatever else is run."""
    several = max(1, (1 << 22) // model.tokenizer.size)
    found = [np.zeros(0)]
    for begin in range(0, len(ids), several):
        some = np.array(ids[begin : begin + several], dtype=np.int32)
        states = [state, *follow(model, state, some)]
        logs = next_many(model, states[:-1])
        found.append(logs[np.arange(len(some)), some].astype(np.float64))
        state = states[-1]
    return np.concatenate(found)
