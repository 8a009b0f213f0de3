"""Floating-point operations of training: exact for a network, and 6 N D for any.

    forward     2 for each weight of the layers and the head, by token
                4 H W T for attention in each layer: T dot products with keys and T weighted values in H heads of W
    backward    twice the forward pass: gradients of the weights, and of what they are multiplied with
    training    (forward + backward) D, about 6 N D of N parameters and D tokens (Kaplan et al. 2020)

A multiplication and an addition are 2. Lookups, norms, activations and the softmax are left out, as in torch's counter.
"""

import math
from typing import NamedTuple

from lmkit.architectures.config import ModelConfig
from lmkit.architectures.encoder import EncoderConfig
from lmkit.architectures.recurrent import RNNConfig
from lmkit.architectures.transformer import TransformerConfig
from lmkit.errors import UsageError

FACTOR = 6.0
"""FLOPs of training for each parameter and token: 2 forward, 4 backward."""


class TokenFlops(NamedTuple):
    """FLOPs for one token, the mean over a full context."""

    layers: float
    """Products with the weights of the layers."""
    attention: float
    """Products of queries with keys, and of attention weights with values."""
    head: float
    """Products with the output layer; of an encoder its pooler, which reads one token."""

    @property
    def total(self) -> float:
        """All of them."""
        return math.fsum(self)


def forward(settings: ModelConfig, context: int | None = None, *, causal: bool = False) -> TokenFlops:
    """FLOPs of a forward pass for one token of a context of T tokens; the model's own T unless given.

    `causal`: attention counts the positions up to each token only, as kernels compute that skip the others, in a
    decoder: (T + 1) / 2 in the mean. Raises UsageError for a context that the model does not have.
    """
    length = context_length(settings, context)
    shapes = settings.shapes()
    layers = 2.0 * sum(math.prod(shapes[name]) for name in settings.matrices())
    if isinstance(settings, EncoderConfig):
        pooler = 2 * settings.width**2 / length if settings.pooler else 0.0
        return TokenFlops(layers, 4.0 * settings.layers * settings.width * length, pooler)
    head = settings.head.products if settings.head is not None else 0
    head += math.prod(shapes.get("direct.weight", (0,)))
    attention = 0.0
    if isinstance(settings, TransformerConfig):
        seen = (length + 1) / 2 if causal else length
        attention = 4.0 * settings.layers * settings.heads * settings.head_width * seen
    return TokenFlops(layers, attention, 2.0 * head)


def backward(settings: ModelConfig, context: int | None = None, *, causal: bool = False) -> TokenFlops:
    """FLOPs of the backward pass, as `forward`: twice as many.

    But the first state of a recurrent network, which is zero, needs no gradient.
    """
    once = forward(settings, context, causal=causal)
    layers = 2 * once.layers
    if isinstance(settings, RNNConfig):
        shapes = settings.shapes()
        of_states = sum(math.prod(shapes[name]) for name in settings.matrices() if name.endswith("_hh"))
        layers -= 2 * of_states / context_length(settings, context)
    return TokenFlops(layers, 2 * once.attention, 2 * once.head)


def context_length(settings: ModelConfig, context: int | None) -> int:
    """Return the context length to count with. Raises UsageError for one that the model does not have.

    A recurrent network is trained on stretches of 64 tokens unless the length is given.
    """
    own = None if settings.stateful else settings.context
    if context is not None and own is not None and context > own:
        raise UsageError(f"--context {context} is beyond the model's context of {own} tokens")
    return context or own or 64


def training(parameters: float, tokens: float, factor: float = FACTOR) -> float:
    """FLOPs of training: C = k N D."""
    return factor * parameters * tokens
