"""The arithmetic of a decoder-only transformer in numpy; see `architectures.transformer`. Knows no text and no windows.

Shapes: ... any leading axes, T tokens, S tokens that are seen, D width, H heads, G heads of keys and values,
E numbers in a head, V vocabulary.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from lmkit.architectures import positions
from lmkit.architectures.neural_model import LoadedModel
from lmkit.architectures.transformer import TransformerConfig
from lmkit.architectures.weight_formats import StoredMatrix
from lmkit.inference import decoding_products, functional, thread_pool
from lmkit.inference.compiled_step import CompiledStep, fits
from lmkit.inference.kv_cache import CAPACITY, Cache, RowCache
from lmkit.inference.linear import LMHead, linear_map
from lmkit.inference.stored_products import served
from lmkit.protocols import F32, I32, I64, AttentionParts, Bool

QUERIES = 128  # queries whose scores are worked out at once
FEW = 1 << 12  # positions whose tables are made at first

Attend = Callable[[int, F32, F32, F32], F32]
"""From a layer's number, queries (..., T, H, E), keys and values (..., T, G, E) to outputs (..., T, H E)."""


class Block:
    """One layer: attention and feed-forward, and how both join the residual stream."""

    def __init__(self, weights: LoadedModel, number: int) -> None:
        settings = self._settings = _settings(weights)
        tensors = weights.tensors
        begin = f"layers.{number}."

        def joint(*names: str) -> Callable[[F32], F32]:
            biases = [tensors[f"{begin}{name}.bias"] for name in names if f"{begin}{name}.bias" in tensors]
            return linear_map([tensors[f"{begin}{name}.weight"] for name in names], biases)

        self._number = number
        self._norm_of_attention = Norm(weights, f"{begin}input_layernorm")
        self._norm_of_feed = Norm(weights, f"{begin}post_attention_layernorm")
        self._projections = joint("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj")
        self._output = joint("self_attn.o_proj")
        gated = settings.activation == "swiglu"
        self._up = joint("mlp.gate_proj", "mlp.up_proj") if gated else joint("mlp.up_proj")
        self._down = joint("mlp.down_proj")
        self._activation: Callable[[F32], F32] = _swiglu if gated else getattr(functional, settings.activation)
        self._head_norms = self._norms_of_heads(weights, f"{begin}self_attn.")
        self._way, self._residual = settings.norm, settings.residual
        self._queries = settings.heads
        self._scored = settings.heads + settings.kv_heads
        self._shape = settings.heads + 2 * settings.kv_heads, settings.head_width

    @staticmethod
    def _norms_of_heads(weights: LoadedModel, begin: str) -> F32 | None:
        """The norms' weights of every head of queries and keys, (H + G, E), if they have some."""
        settings = _settings(weights)
        if not settings.query_key_norm:
            return None
        queries = np.tile(weights.tensors[f"{begin}q_norm.weight"], (settings.heads, 1))
        keys = np.tile(weights.tensors[f"{begin}k_norm.weight"], (settings.kv_heads, 1))
        return np.concatenate((queries, keys))

    def __call__(self, x: F32, turns: tuple[F32, F32] | None, attend: Attend) -> F32:
        """The residual stream behind the block, (..., T, D) to (..., T, D)."""
        pre = self._way == "pre"
        made = self._attention(self._norm_of_attention(x) if pre else x, turns, attend)
        x = self._joined(x, made, self._norm_of_attention)
        made = self._down(self._activation(self._up(self._norm_of_feed(x) if pre else x)))
        return self._joined(x, made, self._norm_of_feed)

    def _joined(self, x: F32, made: F32, norm: "Norm") -> F32:
        """What a branch made, and the residual stream before it."""
        if self._way == "course":
            made = norm(made)
        if self._residual:
            made += x
        return norm(made) if self._way == "post" else made

    def _attention(self, x: F32, turns: tuple[F32, F32] | None, attend: Attend) -> F32:
        rows = self._projections(x).reshape(x.shape[:-1] + self._shape)
        both, values = rows[..., : self._scored, :], rows[..., self._scored :, :]
        if self._head_norms is not None:
            both = functional.rms_norm(both, self._head_norms, self._settings.norm_epsilon)
        if turns is not None:
            both = functional.turn(both, *turns)
        return self._output(attend(self._number, both[..., : self._queries, :], both[..., self._queries :, :], values))


def _settings(weights: LoadedModel) -> TransformerConfig:
    assert isinstance(weights.settings, TransformerConfig)
    return weights.settings


class Norm:
    """A layernorm or an rmsnorm with its weights, if they are not folded into what follows."""

    def __init__(self, weights: LoadedModel, name: str) -> None:
        settings = _settings(weights)
        self._weight = weights.tensors.get(f"{name}.weight")
        self._bias = weights.tensors.get(f"{name}.bias")
        self._epsilon = settings.norm_epsilon
        self._is_layernorm = settings.normalisation == "layernorm"

    def __call__(self, x: F32) -> F32:
        """Of each (..., D)."""
        if self._is_layernorm:
            return functional.layer_norm(x, self._weight, self._bias, self._epsilon)
        normed = functional.rms_norm(x, self._weight, self._epsilon)
        if self._bias is not None:  # of a layernorm whose means are zero
            normed += self._bias
        return normed


def _swiglu(both: F32) -> F32:
    half = both.shape[-1] // 2
    return functional.swiglu(both[..., :half], both[..., half:])


class Decoder:
    """All layers between tokens and what the head multiplies."""

    def __init__(self, weights: LoadedModel) -> None:
        settings = _settings(weights)
        tensors: Mapping[str, Any] = served(weights.tensors)
        weights = replace(weights, tensors=tensors)
        self._settings = settings
        self.width = settings.width
        self._grouped = settings.kv_heads, settings.heads // settings.kv_heads, settings.head_width
        embeddings: F32 | StoredMatrix = tensors["embed_tokens.weight"]
        self._embedded = embeddings.rows if isinstance(embeddings, StoredMatrix) else embeddings.__getitem__
        self._blocks = [Block(weights, number) for number in range(settings.layers)]
        self._last = Norm(weights, "norm") if settings.norm == "pre" else None
        self._scale = np.array(1 / math.sqrt(settings.head_width), dtype=np.float32)
        self._learned: F32 | None = tensors.get("embed_positions.weight")
        self._tables: tuple[F32, ...] = ()
        self._compiled = CompiledStep(settings, tensors, float(self._scale)) if fits(settings, tensors) else None
        head = embeddings if settings.tied else tensors["lm_head.weight"]
        self.head = LMHead(head, None, weights.tokenizer.size)

    def cache(self) -> Cache:
        """An empty cache."""
        settings = self._settings
        return Cache(settings.layers, settings.kv_heads, settings.head_width, min(CAPACITY, settings.context))

    def row_cache(self) -> RowCache:
        """A cache of no rows."""
        settings = self._settings
        return RowCache(settings.layers, settings.kv_heads, settings.head_width)

    def _table(self, end: int) -> tuple[F32, ...]:
        """What encodes positions up to `end` at least: rows to add, or factors of `turn`; nothing if not needed."""
        settings = self._settings
        if settings.positions == "none":
            return ()
        if not self._tables or len(self._tables[0]) < end:
            size = min(settings.context, max(FEW, 2 * end))
            if settings.positions == "rope":
                kept, crossed = functional.turning(*positions.rotary(settings, 0, size))
                self._tables = kept[:, None], crossed[:, None]
            elif self._learned is not None:
                self._tables = (self._learned,)
            else:
                table = positions.sinusoidal(np.arange(size, dtype=np.float64), settings.width)
                self._tables = (table.astype(np.float32),)
        return self._tables

    def _run(self, ids: Any, places: Any, end: int, attend: Attend, vectors: F32 | None = None) -> F32:
        """What the head multiplies, ids (...) to (..., D), for ids at `places`, which are below `end`.

        `vectors`, (..., D), are in place of the embeddings of ids.
        """
        x: F32 = self._embedded(ids) if vectors is None else vectors
        tables = self._table(end)
        turns = None
        if len(tables) == 2:
            turns = tables[0][places], tables[1][places]
        elif tables:
            x = x + tables[0][places]
        for block in self._blocks:
            x = block(x, turns, attend)
        return x if self._last is None else self._last(x)

    def _begun(self, token: int, place: int) -> tuple[F32, int, F32]:
        """What `CompiledStep` begins with: the token's vector, its place, and the angles' cosines and sines."""
        x: F32 = self._embedded(token)
        tables = self._table(place + 1)
        if len(tables) == 2:
            return x, place, np.stack((tables[0][place, 0, 0], tables[1][place, 0, 1]))
        return x + tables[0][place] if tables else x, place, np.zeros((0, 0), dtype=np.float32)

    def whole(self, ids: I32) -> F32:
        """What the head multiplies at every token of windows of their own, (B, T) to (B, T, D)."""

        def attend(_layer: int, queries: F32, keys: F32, values: F32) -> F32:
            return self._attend(queries, np.swapaxes(keys, -2, -3), np.swapaxes(values, -2, -3))

        with np.errstate(all="ignore"):
            return self._run(ids, slice(ids.shape[-1]), ids.shape[-1], attend)

    def attention(self, ids: I32) -> AttentionParts:
        """What attention gives each token of a window from each, (T,)."""
        settings, length = self._settings, len(ids)
        shared = settings.kv_heads
        found = np.empty((settings.layers, settings.heads, length, length), dtype=np.float32)
        sides = np.empty((2, settings.layers, settings.heads, length, settings.head_width), dtype=np.float32)

        def attend(layer: int, queries: F32, keys: F32, values: F32) -> F32:
            sides[0, layer] = np.swapaxes(queries, 0, 1) * self._scale
            sides[1, layer] = np.repeat(np.swapaxes(keys, 0, 1), settings.heads // shared, axis=0)
            grouped = np.moveaxis(queries.reshape(length, shared, -1, settings.head_width), 0, -2)
            keys, values = np.swapaxes(keys, 0, 1)[:, None], np.swapaxes(values, 0, 1)[:, None]
            mask = functional.causal(length, length)
            outputs, weights = functional.attention(grouped, keys, values, float(self._scale), mask)
            found[layer] = weights.reshape(settings.heads, length, length)
            return np.moveaxis(outputs, -2, 0).reshape(length, -1).astype(np.float32)

        with np.errstate(over="ignore", invalid="ignore"):
            self._run(ids, slice(length), length, attend)
        return AttentionParts(found, *sides)

    def extend(self, cache: Cache, ids: I32, *, both_ways: bool = False, vectors: F32 | None = None) -> F32:
        """What the head multiplies behind each of ids, (T,) to (T, D); their keys and values go into the cache.

        `both_ways`: each of them sees all of them, not only those before it. `vectors`, (T, D): see `_run`.
        """
        begin, end = cache.filled, cache.filled + len(ids)
        cache.reserve(end)
        cache.tokens[begin:end] = ids
        cache.filled = end
        all_keys, all_values = cache.keys[:, :, :end], cache.values[:, :, :end]
        turned, scale = all_keys.swapaxes(2, 3), self._scale

        def attend(layer: int, queries: F32, keys: F32, values: F32) -> F32:
            all_keys[layer, :, begin:] = np.swapaxes(keys, 0, 1)
            all_values[layer, :, begin:] = np.swapaxes(values, 0, 1)
            return self._attend(queries, all_keys[layer], all_values[layer], both_ways=both_ways)

        def attend_once(layer: int, queries: Any, keys: Any, values: Any) -> Any:
            all_keys[layer, :, begin] = keys
            all_values[layer, :, begin] = values
            queries *= scale
            scores = queries.reshape(self._grouped) @ turned[layer]
            return (functional.softmax(scores) @ all_values[layer]).reshape(-1)

        with np.errstate(all="ignore"):
            if len(ids) == 1 and vectors is None and self._compiled is not None:
                x = self._compiled(*self._begun(int(ids[0]), begin), cache)
                return (x if self._last is None else self._last(x))[None]
            if len(ids) == 1 and vectors is None:
                return self._run(int(ids[0]), begin, end, attend_once)[None]
            return self._run(ids, slice(begin, end), end, attend, vectors)

    def branch(self, cache: Cache, ids: I32, places: I64, seen: Bool) -> F32:
        """What the head multiplies behind tokens of several branches that continue a cache, (T,) to (T, D).

        `seen` says which of them each sees beside the cache, (T, T), and `places` the position of each in its text. The
        cache is afterwards as it was before.
        """
        begin, end = cache.filled, cache.filled + len(ids)
        cache.reserve(end)
        all_keys, all_values = cache.keys[:, :, :end], cache.values[:, :, :end]
        mask = np.concatenate((np.ones((len(ids), begin), dtype=np.bool_), seen), axis=1)

        def attend(layer: int, queries: F32, keys: F32, values: F32) -> F32:
            all_keys[layer, :, begin:] = np.swapaxes(keys, 0, 1)
            all_values[layer, :, begin:] = np.swapaxes(values, 0, 1)
            return self._attend(queries, all_keys[layer], all_values[layer], mask)

        with np.errstate(all="ignore"):
            return self._run(ids, places, int(places.max()) + 1, attend)

    def step(self, cache: RowCache, ids: I32) -> F32:
        """What the head multiplies behind one more token of each of the first B rows, (B,) to (B, D).

        The rows have room for it; afterwards they have it.
        """
        count = len(ids)
        rows, lengths = np.arange(count), cache.lengths[:count].copy()
        end = int(lengths.max()) + 1
        cache.tokens[rows, lengths] = ids
        cache.lengths[:count] += 1
        all_keys, all_values = cache.keys[:, :count, :, :end], cache.values[:, :count, :, :end]
        turned = all_keys.swapaxes(3, 4)
        parts = thread_pool.row_blocks(count, thread_pool.thread_count())
        unseen: F32 | None = None
        at: Any = np.s_[:, :, end - 1]
        if int(lengths.min()) + 1 < end:
            at = rows, slice(None), lengths
            unseen = np.where(np.arange(end) > lengths[:, None], np.float32(-np.inf), np.float32(0))[:, None, None]

        def attend(layer: int, queries: Any, keys: Any, values: Any) -> Any:
            all_keys[layer][at] = keys
            all_values[layer][at] = values
            scaled = (queries * self._scale).reshape(count, *self._grouped)
            made = np.empty_like(scaled)

            def look(some: slice) -> None:
                scores = scaled[some] @ turned[layer, some]
                if unseen is not None:
                    scores += unseen[some]
                np.matmul(functional.softmax(scores), all_values[layer, some], out=made[some])

            thread_pool.run([partial(look, some) for some in parts])
            return made.reshape(count, -1)

        with np.errstate(all="ignore"), decoding_products.step(self._settings.parameters):
            return self._run(ids, lengths, end, attend)

    def next_rows(self, outputs: F32) -> F32:
        """Log-probabilities of what follows each of the rows of a batch, (B, D) to (B, V)."""
        with decoding_products.step(self._settings.parameters):
            return self.head.next_many(outputs)

    def begin(self, cache: RowCache, rows: I64, ids: I32) -> None:
        """Rows become windows of their own that begin with ids, (B, T), for which there is room."""
        length = ids.shape[1]
        cache.tokens[rows, :length] = ids
        cache.lengths[rows] = length

        def attend(layer: int, queries: F32, keys: F32, values: F32) -> F32:
            keys, values = np.swapaxes(keys, 1, 2), np.swapaxes(values, 1, 2)
            cache.keys[layer, rows, :, :length] = keys
            cache.values[layer, rows, :, :length] = values
            return self._attend(queries, keys, values)

        with np.errstate(all="ignore"):
            self._run(ids, slice(length), length, attend)

    def _attend(
        self, queries: Any, keys: Any, values: Any, mask: Bool | None = None, *, both_ways: bool = False
    ) -> F32:
        """Attention of the last T tokens in parts: (..., T, H, E) over (..., G, S, E) to (..., T, H E).

        Each sees the positions before it, or what a mask says, (T, S), or with `both_ways` all.
        """
        *leading, length, heads, width = queries.shape
        shared, seen = keys.shape[-3], keys.shape[-2]
        grouped = np.moveaxis(queries.reshape(*leading, length, shared, heads // shared, width), -4, -2)
        outputs = np.empty((*leading, length, shared, heads // shared, width), dtype=np.float32)
        keys, values = keys[..., None, :, :], values[..., None, :, :]
        for begin in range(0, length, QUERIES):
            end = min(begin + QUERIES, length)
            until = seen if both_ways else seen - length + end
            visible = None if both_ways else functional.causal(end - begin, until)
            if mask is not None:
                visible = mask[begin:end, :until]
            found, _ = functional.attention(
                grouped[..., begin:end, :], keys[..., :until, :], values[..., :until, :], float(self._scale), visible
            )
            outputs[..., begin:end, :, :, :] = np.moveaxis(found, -2, -4)
        return outputs.reshape(*leading, length, heads * width)
