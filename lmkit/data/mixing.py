"""Mixtures of corpora: weights, epochs of each source, and the order in which sources are drawn. Knows no files."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Share:
    """What a mixture plans for one source."""

    source: str
    weight: float
    """As it was given."""
    proportion: float
    """The weights' sum being 1."""
    tokens: float
    """weight x tokens wanted."""
    epochs: float | None
    """Times that the source is read at its weight, weight x tokens wanted / size; None where its size is not known."""


def tempered(weights: Mapping[str, float], temperature: float) -> dict[str, float]:
    """Return the weights to the power of 1/T, with sum 1: above 1 small sources gain (Raffel et al. 2020, 3.5.2)."""
    largest = max(weights.values())
    powers = {name: (weight / largest) ** (1 / temperature) if weight else 0.0 for name, weight in weights.items()}
    total = math.fsum(powers.values())
    return {name: power / total for name, power in powers.items()}


def plan(weights: Mapping[str, float], tokens: float, sizes: Mapping[str, float]) -> list[Share]:
    """Return the share of each source in a mixture of so many tokens.

    Tokens and epochs follow the weights as they are given; published ones may sum to 1.01.
    """
    total = math.fsum(weights.values())
    shares = []
    for name, weight in weights.items():
        size = sizes.get(name)
        epochs = None if size is None else weight * tokens / size if size else math.inf if weight else 0.0
        shares.append(Share(name, weight, weight / total, weight * tokens, epochs))
    return shares


class Schedule:
    """Draws sources such that each has its proportion of the tokens at any time, to within a document.

    The next document comes from the source whose middle is due first: the lowest (tokens so far + half of the
    document) / proportion.
    """

    def __init__(self, proportions: Mapping[str, float]) -> None:
        self._proportions = {name: share for name, share in proportions.items() if share > 0}
        self.tokens = dict.fromkeys(self._proportions, 0)

    def draw(self, documents: Mapping[str, Iterator[tuple[int, bytes]]], wanted: float) -> Iterator[tuple[str, bytes]]:
        """Yield sources and documents, given as sizes and contents, until the tokens wanted are reached.

        Sources must not end; a document counts for at least one token.
        """
        ahead = {name: next(documents[name]) for name in self._proportions}
        total = 0
        while total < wanted:
            name = min(self._proportions, key=lambda one: self._due(one, ahead[one][0]))
            size, content = ahead[name]
            self.tokens[name] += max(1, size)
            total += max(1, size)
            yield name, content
            if total < wanted:
                ahead[name] = next(documents[name])

    def _due(self, name: str, size: int) -> float:
        return (self.tokens[name] + max(1, size) / 2) / self._proportions[name]
