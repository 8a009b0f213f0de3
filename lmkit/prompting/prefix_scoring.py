"""Endings after prefixes under any model, each prefix run as little as the model's family allows. Knows no text.

Answers depend on a prefix and its endings alone, to the last bit: see `protocols.PrefixCache`.
"""

from collections.abc import Sequence

import numpy as np

from lmkit.protocols import (
    F64,
    I32,
    LanguageModel,
    PrefixCache,
    State,
    is_language_model,
    supports_batching,
    supports_prefix_cache,
)


def prefix_scorer_of(model: LanguageModel) -> PrefixCache:
    """Return the model's own prefix cache; states for others whose steps are arithmetic, else whole sentences."""
    if supports_prefix_cache(model):
        return model.trunk()
    looks_up = is_language_model(model) and not supports_batching(model)
    return SentencePrefixScorer(model) if looks_up else StatePrefixScorer(model)


class StatePrefixScorer:
    """The states after each token of the last prefix; others continue where they differ from it, by single steps."""

    def __init__(self, model: LanguageModel) -> None:
        self._model = model
        self._tokens: list[int] = []
        self._states: list[State] = [model.start()]

    def endings(self, prefix: I32, endings: Sequence[I32]) -> list[F64]:
        """See `PrefixCache.endings`."""
        tokens = prefix.tolist()
        kept = 0
        while kept < min(len(tokens), len(self._tokens)) and tokens[kept] == self._tokens[kept]:
            kept += 1
        del self._states[kept + 1 :]
        for token in tokens[kept:]:
            self._states.append(self._model.advance(self._states[-1], token))
        self._tokens = tokens
        first = self._model.next(self._states[-1])
        return [self._after(first, ending) for ending in endings]

    def _after(self, logs: F64, ending: I32) -> F64:
        nats, state = np.empty(len(ending)), self._states[-1]
        for place, token in enumerate(ending.tolist()):
            if place:
                state = self._model.advance(state, int(ending[place - 1]))
                logs = self._model.next(state)
            nats[place] = logs[token]
        return nats


class SentencePrefixScorer:
    """Remembers nothing: prefixes are scored with every ending, by a model that looks tokens up at little cost."""

    def __init__(self, model: LanguageModel) -> None:
        self._model = model

    def endings(self, prefix: I32, endings: Sequence[I32]) -> list[F64]:
        """See `PrefixCache.endings`."""
        texts = [np.concatenate((prefix, ending)) for ending in endings]
        ends = np.cumsum([len(text) for text in texts], dtype=np.int64)
        nats = self._model.score_many(np.concatenate([np.zeros(0, np.int32), *texts]).astype(np.int32), ends)
        return [nats[end - len(ending) : end] for end, ending in zip(ends.tolist(), endings, strict=True)]
