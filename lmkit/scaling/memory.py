"""Bytes that a transformer needs: to train with one copy of everything, and to serve.

    training    weights, gradients and the optimizer's averages in float32, activations in float32 or bfloat16
    serving     weights, and the keys and values of B contexts of T tokens

Activations are what a block keeps for the backward pass, 16 D numbers a token in GPT-2 (Korthikanti et al. 2022,
equation 1, without dropout masks), and logits with their gradient. Scores of attention are not kept, as in fused
kernels. What torch keeps is up to 12 % more, by how it computes norms.
"""

import math
from typing import NamedTuple

from lmkit.architectures.encoder import GATED, EncoderConfig
from lmkit.architectures.transformer import TransformerConfig

BYTES = {"fp32": 4, "bf16": 2}


class Memory(NamedTuple):
    """Bytes by what they hold; `training` and `serving` are sums."""

    weights: int
    gradients: int
    optimizer: int
    activations: int
    training: int
    kv_cache: int
    serving: int


def needed(
    settings: TransformerConfig | EncoderConfig, *, batch: int, context: int, optimizer: str, precision: str
) -> Memory:
    """Return the memory for `batch` sequences of `context` tokens.

    `optimizer`: `adamw`, two averages for each parameter, or `muon`, one for those of matrices. `precision`: of
    activations in training, and of weights and the cache in serving.
    """
    parameters, size = settings.parameters, BYTES[precision]
    shapes = settings.shapes()
    single = sum(math.prod(shapes[name]) for name in settings.matrices()) if optimizer == "muon" else 0
    averages = 4 * (2 * parameters - single)
    kept = batch * context * (settings.layers * _kept_by_block(settings) * size + _kept_by_head(settings))
    cache = 0
    if isinstance(settings, TransformerConfig):
        cache = 2 * settings.layers * settings.kv_heads * settings.head_width * batch * context * size
    return Memory(
        weights=4 * parameters, gradients=4 * parameters, optimizer=averages, activations=kept,
        training=8 * parameters + averages + kept, kv_cache=cache, serving=parameters * size + cache,
    )  # fmt: skip


def _kept_by_block(settings: TransformerConfig | EncoderConfig) -> int:
    """Numbers that a block keeps of a token: both norms' inputs and outputs, q, k, v, what W_o reads, the hidden layer.

    The hidden layer is kept before and after its activation; SwiGLU's two maps, its activation, and the product;
    queries and keys before and after rotary positions.
    """
    gated = settings.activation in GATED
    queries = keys = settings.width
    turned = 0
    if isinstance(settings, TransformerConfig):
        queries, keys = settings.heads * settings.head_width, settings.kv_heads * settings.head_width
        turned = queries + keys if settings.positions == "rope" else 0
    return 4 * settings.width + 2 * queries + 2 * keys + turned + (4 if gated else 2) * settings.hidden


def _kept_by_head(settings: TransformerConfig | EncoderConfig) -> int:
    """Bytes of a token's logits and their gradient, in float32."""
    return 8 * settings.vocabulary if settings.head is not None else 0
