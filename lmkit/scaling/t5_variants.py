"""The architectures that the T5 study compares, at the size of T5-base. Raffel et al. (2020), section 3.2.

A block has 4 D^2 weights of self-attention and 2 D F of its feed-forward branch, 12 D^2 with F = 4 D; a decoder's block
4 D^2 more of cross-attention. Counted without these, an encoder-decoder has twice the weights of a language model
of as many layers, at the same cost: each token passes the blocks of one side only.
"""

from typing import NamedTuple

WIDTH, HIDDEN, HEADS, BUCKETS, VOCABULARY, LAYERS = 768, 3072, 12, 32, 32128, 12
BLOCK, CROSS = 4 * WIDTH**2 + 2 * WIDTH * HIDDEN, 4 * WIDTH**2


class Variant(NamedTuple):
    """Layers of encoder and decoder, whether they share weights, and masks: of the encoder, decoder, and between."""

    encoder: int
    decoder: int
    mask: str
    shared: bool = False


VARIANTS = {
    "encoder-decoder": Variant(LAYERS, LAYERS, "full, causal, cross"),
    "shared": Variant(LAYERS, LAYERS, "full, causal, cross", shared=True),
    "six-layer": Variant(LAYERS // 2, LAYERS // 2, "full, causal, cross"),
    "lm": Variant(0, LAYERS, "causal"),
    "prefix-lm": Variant(0, LAYERS, "prefix"),
}


class Sizes(NamedTuple):
    """Parameters by part, and FLOPs of a forward pass for one token, source or target."""

    layers: int
    """Weights of self-attention and feed-forward branches."""
    cross_attention: int
    embeddings: int
    """One table, which is the head too."""
    other: int
    """Norms, and the biases of relative positions."""
    parameters: int
    flops_per_token: int
    """By the weights of `layers`."""
    cross_flops_per_token: int
    """By those of cross-attention: keys and values of source tokens, queries and outputs of target tokens."""


def sizes(variant: Variant) -> Sizes:
    """Return the sizes of a variant."""
    blocks = variant.decoder if variant.shared else variant.encoder + variant.decoder
    crossed = variant.decoder if variant.encoder else 0
    stacks = 2 if variant.encoder and not variant.shared else 1
    other = (2 * blocks + crossed + stacks) * WIDTH + stacks * BUCKETS * HEADS
    layers, cross, embeddings = blocks * BLOCK, crossed * CROSS, VOCABULARY * WIDTH
    return Sizes(
        layers, cross, embeddings, other, layers + cross + embeddings + other, 2 * variant.decoder * BLOCK,
        2 * crossed * CROSS // 2,
    )  # fmt: skip
