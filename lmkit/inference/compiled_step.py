"""A transformer's step of one token in compiled code, where all its matrices are served as they are stored."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from lmkit.architectures.transformer import TransformerConfig
from lmkit.architectures.weight_formats import StoredMatrix
from lmkit.inference.compiled import kernels
from lmkit.inference.kv_cache import Cache
from lmkit.inference.stored_products import helpers
from lmkit.protocols import F32

_ATTENTION = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj")
PARTS = {
    "swiglu": (*_ATTENTION, "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"),
    "gelu": (*_ATTENTION, "mlp.up_proj", "mlp.up_proj", "mlp.down_proj"),  # of which the second is not used
}
UNIT = 16  # numbers in a head, in multiples of which they are handled


def fits(settings: TransformerConfig, tensors: Mapping[str, Any]) -> bool:
    """Whether there is such a step: the shapes of GPT-2, Llama and Qwen, all matrices stored in other precisions."""
    return (
        settings.norm == "pre"
        and settings.activation in PARTS
        and settings.residual
        and settings.head_width % UNIT == 0
        and settings.width % UNIT == 0
        and all(
            isinstance(tensors[f"layers.{layer}.{part}.weight"], StoredMatrix)
            for layer in range(settings.layers)
            for part in PARTS[settings.activation]
        )
        and kernels() is not None
    )


class CompiledStep:
    """All layers on one token after those of a cache; see `step_kernels`."""

    def __init__(self, settings: TransformerConfig, tensors: Mapping[str, Any], scale: float) -> None:
        from lmkit.inference import step_kernels

        self._run = step_kernels.token_step
        self._settings, self._scale = settings, np.float32(scale)
        self._held: list[object] = [tensors]  # what the addresses are in
        layers, parts = range(settings.layers), PARTS[settings.activation]
        self._table = np.array([[self._part(tensors, f"layers.{n}.{part}") for part in parts] for n in layers])
        self._shape = settings.normalisation == "layernorm", settings.activation == "swiglu"
        names = ("input_layernorm", "post_attention_layernorm")
        none = np.zeros(settings.width, dtype=np.float32)
        self._norms = np.stack(
            [
                [(tensors[f"layers.{n}.{name}.weight"], tensors.get(f"layers.{n}.{name}.bias", none)) for name in names]
                for n in layers
            ]
        )
        own = ("q_norm", "k_norm") if settings.query_key_norm else ()
        self._head_norms = np.zeros((0, 2, settings.head_width), dtype=np.float32)
        if own:
            self._head_norms = np.stack(
                [[tensors[f"layers.{n}.self_attn.{name}.weight"] for name in own] for n in layers]
            )
        rows = (settings.heads + 2 * settings.kv_heads) * settings.head_width
        sizes = settings.width, rows, settings.heads * settings.head_width, settings.width, 2 * settings.hidden
        self._buffers = [np.zeros(size, dtype=np.float32) for size in sizes]
        self._most = int(self._table[:, :, 4].max()), int(self._table[:, :, 3].max())

    def _part(self, tensors: Mapping[str, Any], name: str) -> list[int]:
        code, matrix, bias = kernels(), tensors[f"{name}.weight"], tensors.get(f"{name}.bias")
        if bias is not None:
            bias = np.ascontiguousarray(bias)
            self._held.append(bias)
        kind = getattr(code, matrix.precision.name.upper())
        rows, columns = matrix.shape
        place = 0 if bias is None else bias.ctypes.data
        return [kind, matrix.data.ctypes.data, matrix.data.shape[1], columns, rows, place]

    def __call__(self, x: F32, place: int, angles: F32, cache: Cache) -> F32:
        """The residual stream behind the token at a place, (D,) to (D,); there is room for it in the cache.

        `angles`: cosines and sines, (2, E / 2), or none, (0, 0).
        """
        made = np.array(x, dtype=np.float32)
        pool = helpers()
        with pool.lock:
            count = pool.ready(*self._most)
            shares = pool.control, pool.done, pool.staging, pool.inputs
            self._run(
                shares, count, self._table, self._norms, self._head_norms, self._shape, self._settings.norm_epsilon,
                made, angles, cache.keys, cache.values, place, self._scale, self._room(place + 1),
            )  # fmt: skip
        return made

    def _room(self, seen: int) -> tuple[F32, ...]:
        """What is worked out in between, and scores of so many tokens, in whole registers."""
        if len(self._buffers) < 6 or len(self._buffers[5]) < seen + 8:
            self._buffers[5:] = [np.zeros(2 * seen + 8, dtype=np.float32)]
        return tuple(self._buffers)
