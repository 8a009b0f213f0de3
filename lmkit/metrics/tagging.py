"""Predicted labels of tokens against right ones: precision, recall and F1 of spans, and accuracy of tokens.

A span is right where its type and both its ends are. What is 0 / 0 is 0. S sentences, K types, B samples.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from lmkit.metrics.bootstrap import Sampling, least_p
from lmkit.metrics.comparison import Comparison, Sample, of_samples
from lmkit.metrics.span_extraction import Span
from lmkit.protocols import F64, I64

ACCURACY = "accuracy"
MEASURES = ("precision", "recall", "f1", ACCURACY)
Labels = Sequence[Sequence[str]]
"""Labels of each sentence's tokens."""
FindSpans = Callable[[Sequence[str]], list[Span]]


@dataclass(frozen=True)
class Counts:
    """What the measures are made of: by sentence and type, (S, K), spans that are right, predicted, and in the gold.

    And by sentence, (S,), tokens whose label is right, and all tokens.
    """

    types: tuple[str, ...]
    both: I64
    predicted: I64
    gold: I64
    right_tokens: I64
    tokens: I64


def count(gold: Labels, predicted: Labels, spans: FindSpans) -> Counts:
    """Count the spans of S sentences."""
    found = [(set(spans(right)), set(spans(guess))) for right, guess in zip(gold, predicted, strict=True)]
    types = tuple(sorted({span.type for sides in found for side in sides for span in side}))
    places = {name: place for place, name in enumerate(types)}
    counts = np.zeros((3, len(found), len(types)), dtype=np.int64)
    for sentence, (right, guess) in enumerate(found):
        for row, side in zip(counts, (right & guess, guess, right), strict=True):
            for span in side:
                row[sentence, places[span.type]] += 1
    hits = [sum(map(str.__eq__, right, guess)) for right, guess in zip(gold, predicted, strict=True)]
    sizes = np.array([len(labels) for labels in gold], dtype=np.int64)
    return Counts(types, counts[0], counts[1], counts[2], np.array(hits, dtype=np.int64), sizes)


def _ratio(part: F64, whole: F64, empty: float) -> F64:
    found: F64 = np.divide(part, whole, out=np.full(part.shape, empty), where=whole != 0)
    return found


def measured(found: Counts, counts: I64, empty: float = 0.0) -> dict[str, F64]:
    """Each of MEASURES, (B,), of samples that have each sentence (B, S) times; `empty` is what 0 / 0 is."""
    columns = [found.both.sum(1), found.predicted.sum(1), found.gold.sum(1), found.right_tokens, found.tokens]
    both, predicted, gold, right, tokens = (counts.astype(np.float64) @ np.stack(columns, axis=1)).T
    return {
        "precision": _ratio(both, predicted, empty),
        "recall": _ratio(both, gold, empty),
        "f1": _ratio(2 * both, predicted + gold, empty),
        "accuracy": _ratio(right, tokens, empty),
    }


def values(found: Counts) -> dict[str, float]:
    """Each of MEASURES of the sentences as they are."""
    ones = np.ones((1, len(found.tokens)), dtype=np.int64)
    return {name: value.item() for name, value in measured(found, ones).items()}


def compare(
    systems: Sequence[Counts], sampling: Sampling, differing: int, names: Sequence[str] = MEASURES
) -> Comparison:
    """Compare some of MEASURES of a system, or of two that differ in the labels of `differing` sentences."""
    ones = np.ones(len(systems[0].tokens), dtype=np.int64)

    def measures(one: Counts, counts: I64) -> dict[str, F64]:
        found = measured(one, counts, np.nan)
        return {name: found[name] for name in names}

    def sample(one: Counts) -> Sample:
        found = values(one)
        return Sample({name: found[name] for name in names}, lambda counts: measures(one, counts), ones)

    return of_samples([sample(one) for one in systems], sampling, dict.fromkeys(names, least_p(differing)))


@dataclass(frozen=True)
class Type:
    """How well spans of one type are found; `support`: how many there are."""

    type: str
    precision: float
    recall: float
    f1: float
    support: int


def types(found: Counts) -> list[Type]:
    """How well the spans of each type are found."""
    both, predicted, gold = (part.sum(axis=0).astype(np.float64) for part in (found.both, found.predicted, found.gold))
    columns = _ratio(both, predicted, 0.0), _ratio(both, gold, 0.0), _ratio(2 * both, predicted + gold, 0.0)
    rows = zip(found.types, *(column.tolist() for column in columns), gold.astype(int).tolist(), strict=True)
    return [Type(*row) for row in rows]
