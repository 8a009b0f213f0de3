"""Log-probabilities of one distribution: normalised, tempered, ranked. Knows no model."""

from collections.abc import Iterator

import numpy as np

from lmkit.protocols import F64


def normalise(logs: F64) -> F64:
    """Log-probabilities that sum to one: l - log sum exp l, (V,). Values of any size are fine."""
    highest = logs.max(initial=-np.inf)
    if highest == -np.inf:
        return logs
    with np.errstate(over="ignore"):  # what lies further below than any float is impossible
        shifted = logs - highest
    normalised: F64 = shifted - np.log(np.exp(shifted).sum())
    return normalised


def softmax(logits: F64, temperature: float = 1.0) -> F64:
    """exp(l / T) over its sum, (V,); T = 0 gives all to the highest, of equal ones to the first."""
    if temperature == 0:
        probabilities = np.zeros(len(logits))
        probabilities[logits.argmax()] = 1
        return probabilities
    with np.errstate(over="ignore"):
        tempered = normalise((logits - logits.max(initial=-np.inf)) / temperature)
    return np.exp(tempered)


def surprisal(logits: F64, target: int) -> float:
    """-log softmax(l)[target] in nats: the cross-entropy of one target under logits (V,)."""
    return max(0.0, -float(normalise(logits)[target]))


def ranked(logs: F64, most: int | None) -> Iterator[int]:
    """Tokens by falling log-probability, ties by id; those of probability zero left out."""
    order = np.argsort(-logs, kind="stable")
    for token in order[:most].tolist():
        if logs[token] == -np.inf:
            return
        yield token
