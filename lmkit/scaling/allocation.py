"""Whether a model's training data suit its size, and how often sources of data are seen.

Chinchilla's rule: about 20 tokens per parameter are compute-optimal (Hoffmann et al. 2022, tables 1 and 3).
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

RATIO = 20.0
"""Tokens per parameter."""
BALANCE = 2.0
"""How many times more or fewer still count as balanced."""


class TrainedModel(NamedTuple):
    """A model and the tokens that it was trained on."""

    name: str
    parameters: float
    tokens: float


class Source(NamedTuple):
    """A source of training data: its tokens, and its weight in the mix."""

    name: str
    tokens: float
    weight: float


PUBLISHED: Sequence[TrainedModel] = (
    TrainedModel("lamda", 137e9, 168e9),
    TrainedModel("gpt3", 175e9, 300e9),
    TrainedModel("jurassic", 178e9, 300e9),
    TrainedModel("gopher", 280e9, 300e9),
    TrainedModel("mt-nlg", 530e9, 270e9),
    TrainedModel("chinchilla", 70e9, 1.4e12),
)
"""Hoffmann et al. (2022), table 1."""
MIXES: Mapping[str, tuple[float, Sequence[Source]]] = {
    "gpt3": (
        300e9,
        (
            Source("common-crawl", 410e9, 0.60),
            Source("webtext2", 19e9, 0.22),
            Source("books1", 12e9, 0.08),
            Source("books2", 55e9, 0.08),
            Source("wikipedia", 3e9, 0.03),
        ),
    )
}
"""Training tokens and sources by name: Brown et al. (2020), table 2.2, whose rounded weights sum to 1.01."""


def verdict(ratio: float, best: float = RATIO) -> str:
    """Return `under-trained`, `balanced` or `over-trained` for a number of tokens per parameter.

    Over-trained models cost more to train than larger ones of the same loss, and less to serve.
    """
    if ratio < best / BALANCE:
        return "under-trained"
    return "over-trained" if ratio > best * BALANCE else "balanced"


def epochs(source: Source, tokens: float) -> float:
    """Return how often a source is seen in `tokens` of training: its share of them over its size."""
    return source.weight * tokens / source.tokens
