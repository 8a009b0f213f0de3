"""Sizes of models, exactly, as whole numbers."""

import math
from collections.abc import Mapping

from lmkit.architectures.config import ModelConfig
from lmkit.architectures.encoder import EncoderConfig
from lmkit.architectures.transformer import TransformerConfig

PARTS = ("embeddings", "attention", "feed_forward", "norms", "head")


def ngram_parameters(vocabulary: int, order: int) -> int:
    """Probabilities in a full table of n-grams over V words: V^n; the uniform 0-gram model has 1."""
    return int(vocabulary**order)


def ngram_free_parameters(vocabulary: int, order: int) -> int:
    """Those that can be chosen freely, each distribution summing to one: V^(n-1) (V - 1); 0 for the 0-gram."""
    return int(vocabulary ** (order - 1) * (vocabulary - 1)) if order else 0


def parameters_by_part(settings: ModelConfig) -> Mapping[str, int]:
    """How many parameters each of PARTS of a transformer has; together they are `settings.parameters`.

    The head of a tied model has none of its own; an encoder's is its pooler.
    """
    found = dict.fromkeys(PARTS, 0)
    for name, shape in settings.shapes().items():
        found[_part(name)] += math.prod(shape)
    return found


def _part(name: str) -> str:
    if "norm" in name:
        return "norms"
    if name.startswith("embed_"):
        return "embeddings"
    if ".self_attn." in name:
        return "attention"
    return "feed_forward" if ".mlp." in name else "head"


def forward_flops(settings: TransformerConfig | EncoderConfig) -> int:
    """Floating-point operations of one pass for one token, in the mean over a full context of T.

    2 for each weight of the matrices and of a decoder's head, and 4 for each number of the heads of q
    and each position that a token sees, in products with k and v: (T + 1) / 2 of them where it sees
    those before it, T in an encoder. What is no matrix product, and an encoder's pooler, is left out.
    """
    shapes = settings.shapes()
    weights = sum(math.prod(shapes[name]) for name in settings.matrices())
    if isinstance(settings, EncoderConfig):
        return 2 * weights + 4 * settings.layers * settings.width * settings.context
    queries = settings.heads * settings.head_width
    head = settings.vocabulary * settings.width
    return 2 * (weights + head) + 2 * settings.layers * queries * (settings.context + 1)
