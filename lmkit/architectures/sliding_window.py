"""Scoring texts of any length with a limited context: each token once, with most of the context that fits.

The inputs of a document are its start token, if it has one, and all its ids but the last. Window k holds T inputs
from place k S on, for context T and stride S; the first window scores all its tokens, each later
one its last S. So a token sees between T - S + 1 and T inputs, or all there are. Knows no model.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import numpy as np

from lmkit.protocols import F64, I32, I64

POOL = 1 << 16  # tokens in windows that are sorted by length before they are run
UNSCORED = -1


class Window(NamedTuple):
    """Inputs and what follows each, (t,); tokens before `first` were scored by the window before."""

    inputs: I32
    targets: I32
    first: int


Run = Callable[[I32, I32], F64]
"""From inputs and targets, both (B, T), targets UNSCORED where not wanted, to nats (B, T)."""


def windows(start: int | None, parts: Iterable[I32], context: int, stride: int) -> Iterator[Window]:
    """The windows of one document whose ids come in parts; without a start token the first id is not predicted."""
    inputs = np.array([] if start is None else [start], dtype=np.int32)
    first = 0
    for ids in parts:
        inputs = np.concatenate((inputs, ids))
        begin = 0
        while len(inputs) - begin > context:
            yield Window(inputs[begin : begin + context], inputs[begin + 1 : begin + context + 1], first)
            first = context - stride
            begin += stride
        inputs = inputs[begin:]
    if len(inputs) - 1 > first:
        yield Window(inputs[:-1], inputs[1:], first)


def score(run: Run, several: Iterable[Window], batch_tokens: int) -> Iterator[F64]:
    """Nats of the scored tokens of each window, in order; windows of like length are run together."""
    pool: list[Window] = []
    held = 0
    for window in several:
        pool.append(window)
        held += len(window.inputs)
        if held >= POOL:
            yield from _score_pool(run, pool, batch_tokens)
            pool, held = [], 0
    yield from _score_pool(run, pool, batch_tokens)


def _score_pool(run: Run, pool: list[Window], batch_tokens: int) -> list[F64]:
    """The same for a few windows. Padding comes last, where a causal model does not see it."""
    nats: list[F64] = [np.zeros(0)] * len(pool)
    order = sorted(range(len(pool)), key=lambda place: -len(pool[place].inputs))
    while order:
        longest = len(pool[order[0]].inputs)
        rows, order = order[: max(1, batch_tokens // longest)], order[max(1, batch_tokens // longest) :]
        inputs = np.zeros((len(rows), longest), dtype=np.int32)
        targets = np.full((len(rows), longest), UNSCORED, dtype=np.int32)
        for row, place in enumerate(rows):
            window = pool[place]
            inputs[row, : len(window.inputs)] = window.inputs
            targets[row, window.first : len(window.targets)] = window.targets[window.first :]
        found = run(inputs, targets)
        for row, place in enumerate(rows):
            nats[place] = found[row, pool[place].first : len(pool[place].targets)]
    return nats


def score_sentences(
    run: Run, start: int | None, ids: I32, ends: I64, context: int, stride: int, batch_tokens: int
) -> F64:
    """Nats of the tokens of many documents laid end to end, (N,); 0 for a first one that is not predicted."""

    def several() -> Iterator[Window]:
        begin = 0
        for end in ends.tolist():
            yield from windows(start, [ids[begin:end]], context, stride)
            begin = end

    nats = np.concatenate([np.zeros(0), *score(run, several(), batch_tokens)])
    if start is not None:
        return nats
    begins = np.concatenate((np.zeros(1, np.int64), ends[:-1]))
    predicted = np.ones(len(ids), dtype=np.bool_)
    predicted[begins[begins < ends]] = False
    all_nats = np.zeros(len(ids))
    all_nats[predicted] = nats
    return all_nats
