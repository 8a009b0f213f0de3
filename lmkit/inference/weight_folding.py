"""Weights of a small transformer rewritten, so that the same function takes fewer operations. Knows no texts.

With `norm` "pre" whatever reads the residual stream reads it through a norm, so that

    N's g and b go into the maps behind it:   W (g n + b) + c = (W g) n + (W b + c)
    the mean of a layernorm's x has no effect: it is taken from all that is added to x, and the layernorm is an rmsnorm
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from lmkit.architectures.neural_model import LoadedModel
from lmkit.architectures.transformer import TransformerConfig
from lmkit.protocols import F32

SMALL = 1 << 22
"""Numbers in the weights that are copied for this; in larger models the products are all that counts."""

_READERS = {
    "input_layernorm": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    "post_attention_layernorm": ("mlp.gate_proj", "mlp.up_proj"),
}
_WRITERS = ("self_attn.o_proj", "mlp.down_proj")


def folded(weights: LoadedModel) -> LoadedModel:
    """Weights of the same function: norms of layers have none of their own, and layernorms are rmsnorms.

    The sums are those of float64, rounded once. Models that are big, have no residual stream, or norms elsewhere,
    stay as they are; so do layernorms where sinusoidal positions are added, whose mean is not zero.
    """
    settings = weights.settings
    assert isinstance(settings, TransformerConfig)
    if settings.norm != "pre" or not settings.residual or settings.parameters > SMALL:
        return weights
    tensors = dict(weights.tensors)
    for layer in range(settings.layers):
        for norm, readers in _READERS.items():
            _put_into(tensors, f"layers.{layer}.{norm}", [f"layers.{layer}.{name}" for name in readers])
    if settings.normalisation == "layernorm" and settings.positions != "sinusoidal":
        if settings.tied:
            tensors["lm_head.weight"] = tensors["embed_tokens.weight"]
        _take_means(tensors, [f"layers.{layer}.{name}" for layer in range(settings.layers) for name in _WRITERS])
        settings = replace(settings, normalisation="rmsnorm", tied=False)
    return replace(weights, settings=settings, tensors=tensors)


def _put_into(tensors: dict[str, Any], norm: str, readers: Iterable[str]) -> None:
    """A norm's weights become part of the maps that read it."""
    gain, shift = tensors.pop(f"{norm}.weight").astype(np.float64), tensors.pop(f"{norm}.bias", None)
    for name in readers:
        if (weight := tensors.get(f"{name}.weight")) is None:
            continue
        if shift is not None:
            tensors[f"{name}.bias"] = _rounded(weight @ shift.astype(np.float64) + tensors.get(f"{name}.bias", 0.0))
        tensors[f"{name}.weight"] = _rounded(weight * gain)


def _take_means(tensors: dict[str, Any], writers: Iterable[str]) -> None:
    """Whatever is added to the residual stream has a mean of zero."""
    for name in ("embed_tokens.weight", "embed_positions.weight"):
        if name in tensors:
            tensors[name] = _rounded(tensors[name] - tensors[name].mean(axis=1, keepdims=True, dtype=np.float64))
    for writer in writers:
        for name in (f"{writer}.weight", f"{writer}.bias"):
            if name in tensors:
                tensors[name] = _rounded(tensors[name] - tensors[name].mean(axis=0, dtype=np.float64))


def _rounded(numbers: Any) -> F32:
    found: F32 = numbers.astype(np.float32)
    return found
