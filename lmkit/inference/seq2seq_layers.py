"""The arithmetic of a transformer encoder-decoder in numpy; see `architectures.seq2seq_transformer`. Knows no text.

Sequences lie end to end and are not padded. A source is run once: what a decoder needs of it are the keys and values
of cross-attention, which all texts after it share.

Shapes: N tokens, B rows, T tokens of a target, S of a source, D width, H heads, W numbers in a head, V vocabulary.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from lmkit.architectures.positions import relative_buckets, sinusoidal_halves
from lmkit.architectures.seq2seq_transformer import GATED, Seq2SeqTransformerConfig
from lmkit.checkpoint import Array
from lmkit.errors import DataError
from lmkit.inference import functional
from lmkit.inference.encoder import ACTIVATIONS, by_rows, linear_maps, norm, runs
from lmkit.inference.kv_cache import RowCache
from lmkit.inference.linear import FusedLinear, LMHead
from lmkit.inference.source_memory import Memory, SourceCache, SourceRows, mix
from lmkit.protocols import F32, I32, AttentionParts

SCORES = 1 << 22  # numbers in the attention scores that are made at once
_FEW = 256  # positions whose table is made at first

Attend = Callable[[int, F32, F32, F32], F32]
"""From a layer's number, queries, keys and values, each (N, H, W), to outputs, (N, H W)."""
Look = Callable[[int, F32], F32]
"""The same of queries alone, (N, H, W), into memories."""
Tensors = Mapping[str, Array]


class Relative:
    """What relative positions add to the scores of one stack."""

    def __init__(self, settings: Seq2SeqTransformerConfig, table: F32, *, both: bool) -> None:
        self._settings, self._table, self._both = settings, table, both
        self._reach = 0
        self._by_place: F32 = np.zeros((settings.heads, 0), dtype=np.float32)

    def of(self, relative: Any) -> F32:
        """The number of each head for relative positions j - i, any shape (...) to (H, ...)."""
        far = int(np.abs(relative).max(initial=0))
        if far >= self._reach:
            self._reach = max(_FEW, 2 * far + 1)
            places = np.arange(-self._reach, self._reach + 1)
            settings = self._settings
            buckets = relative_buckets(places, settings.buckets, settings.distance, both=self._both)
            self._by_place = np.ascontiguousarray(self._table[buckets].T)
        found: F32 = self._by_place[:, relative + self._reach]
        return found


class Maps:
    """The branches of a block that are maps of tokens; attention itself is done by who calls."""

    def __init__(self, settings: Seq2SeqTransformerConfig, tensors: Tensors, begin: str, own: str) -> None:
        """`begin` is before the names of cross-attention, `own` before those of the other branches."""
        self._settings = settings
        self._is_pre = settings.norm == "pre"
        self._shape = (settings.heads, settings.head_width)
        self._scale = np.float32(settings.head_width**-0.5 if settings.scaled_queries else 1.0)
        self._qkv = linear_maps(tensors, *(f"{own}self_attn.{part}_proj" for part in "qkv"))
        self._out = linear_maps(tensors, f"{own}self_attn.o_proj")
        self._gated = settings.activation in GATED
        names = ("mlp.gate_proj", "mlp.up_proj") if self._gated else ("mlp.up_proj",)
        self._up = linear_maps(tensors, *(f"{own}{name}" for name in names))
        self._down = linear_maps(tensors, f"{own}mlp.down_proj")
        self._act = ACTIVATIONS[settings.plain_activation]
        self._own_norm = norm(settings, tensors, f"{own}self_attn_norm")
        self._mlp_norm = norm(settings, tensors, f"{own}mlp_norm")
        if f"{begin}cross_attn.q_proj.weight" in tensors:
            self._queries = linear_maps(tensors, f"{begin}cross_attn.q_proj")
            self._mixed = linear_maps(tensors, f"{begin}cross_attn.o_proj")
            self._cross_norm = norm(settings, tensors, f"{begin}cross_attn_norm")

    @property
    def keeps_bits(self) -> bool:
        """Whether sequences side by side can have the bits that each has alone."""
        return self._up.keeps_bits and self._down.keeps_bits and self._qkv.keeps_bits and self._out.keeps_bits

    def attention(self, x: F32, number: int, attend: Attend, alike: int | None = None) -> F32:
        """The residual stream behind self-attention, (N, D) to (N, D).

        Here and below `alike` is the length of sequences that are all as long: each then has the bits it has alone.
        """
        parts = _mapped(self._qkv, self._own_norm(x) if self._is_pre else x, alike).reshape(len(x), 3, *self._shape)
        made = _mapped(self._out, attend(number, parts[:, 0] * self._scale, parts[:, 1], parts[:, 2]), alike)
        return self._joined(x, made, self._own_norm)

    def cross(self, x: F32, number: int, look: Look) -> F32:
        """The residual stream behind cross-attention, (N, D) to (N, D)."""
        queries = self._queries(self._cross_norm(x) if self._is_pre else x).reshape(len(x), *self._shape)
        return self._joined(x, self._mixed(look(number, queries * self._scale)), self._cross_norm)

    def feed(self, x: F32, alike: int | None = None) -> F32:
        """The residual stream behind the feed-forward branch, (N, D) to (N, D)."""
        up = _mapped(self._up, self._mlp_norm(x) if self._is_pre else x, alike)
        if self._gated:
            half = up.shape[1] // 2
            inner = by_rows(self._act, up[:, :half])
            inner *= up[:, half:]
        else:
            inner = by_rows(self._act, up)
        return self._joined(x, _mapped(self._down, inner, alike), self._mlp_norm)

    def _joined(self, x: F32, made: F32, norm: Callable[[Any], Any]) -> F32:
        made += x
        joined: F32 = made if self._is_pre else norm(made)
        return joined


def _mapped(linear: FusedLinear, x: F32, alike: int | None) -> F32:
    """W x + b of each token, (N, I) to (N, M)."""
    if alike is None:
        return linear(x)
    return linear(x.reshape(-1, alike, x.shape[1])).reshape(len(x), -1)


class Stack:
    """The blocks of an encoder or a decoder, and what is before and behind them."""

    def __init__(self, settings: Seq2SeqTransformerConfig, tensors: Tensors, name: str, count: int, own: str) -> None:
        """`own` names the stack whose self-attention and feed-forward branches it has."""
        self._settings = settings
        self.blocks = [
            Maps(settings, tensors, f"{name}.layers.{number}.", f"{own}.layers.{number}.") for number in range(count)
        ]
        self._positions: F32 | None = tensors.get(f"{name}.embed_positions.weight")
        if settings.positions == "sinusoidal":
            self._positions = sinusoidal_halves(settings.context, settings.width)
        self.relative = (
            Relative(settings, tensors[f"{name}.relative.weight"], both=name == "encoder")
            if settings.positions == "relative"
            else None
        )
        self._embed_norm = norm(settings, tensors, f"{name}.embed_norm") if settings.embed_norm else None
        self._last = norm(settings, tensors, f"{name}.norm") if settings.norm == "pre" else None
        self._factor = np.float32(math.sqrt(settings.width) if settings.scaled_embeddings else 1.0)

    def begin(self, x: F32, places: Any, end: int) -> F32:
        """Embedded tokens, (N, D), with their positions, (N,), below `end`. Raises DataError beyond a table."""
        x = x * self._factor
        if self._positions is not None:
            if end > len(self._positions):
                raise DataError(
                    f"a text of {end} tokens, special ones too, where the model has {len(self._positions)} positions"
                )
            x += self._positions[places]
        normed: F32 = x if self._embed_norm is None else self._embed_norm(x)
        return normed

    def end(self, x: F32) -> F32:
        """What the blocks made, normed."""
        normed: F32 = x if self._last is None else self._last(x)
        return normed


class EncoderDecoder:
    """Both stacks between tokens and what the head multiplies."""

    def __init__(self, settings: Seq2SeqTransformerConfig, tensors: Tensors, size: int) -> None:
        self.settings, self.width = settings, settings.width
        self._embeddings: F32 = tensors[settings.target_table]
        self._sources: F32 = tensors[settings.source_table]
        self._encoder = Stack(settings, tensors, "encoder", settings.layers, "encoder")
        shared = "encoder" if settings.shared_stacks else "decoder"
        self._decoder = Stack(settings, tensors, "decoder", settings.decoder_layers, shared)
        crossed = [f"decoder.layers.{number}.cross_attn." for number in range(settings.decoder_layers)]
        self._memory = [linear_maps(tensors, f"{begin}k_proj", f"{begin}v_proj") for begin in crossed]
        self._logit_scale = np.float32(settings.width**-0.5 if settings.scaled_logits else 1.0)
        table = self._embeddings if settings.tied else tensors["lm_head.weight"]
        self.head = LMHead(table, tensors.get("lm_head.bias"), size)

    # Sources.

    def hidden(self, sources: Sequence[I32], alike: int | None = None) -> F32:
        """The encoder's vectors of the tokens of sources, 1 at least each, end to end, (N, D)."""
        lengths = [len(source) for source in sources]
        places = np.concatenate([np.arange(length) for length in lengths])
        stack = self._encoder

        def attend(_layer: int, queries: F32, keys: F32, values: F32) -> F32:
            return self._within(lengths, queries, keys, values, stack.relative, causal=False)

        return self._encoded(np.concatenate(sources), places, max(lengths), attend, alike)

    def _encoded(self, ids: Any, places: Any, end: int, attend: Attend, alike: int | None = None) -> F32:
        """The encoder's vectors of ids, (N,) to (N, D), at `places`, which are below `end`."""
        stack = self._encoder
        with np.errstate(over="ignore"):
            x = stack.begin(self._sources[ids], places, end)
            for number, block in enumerate(stack.blocks):
                x = block.feed(block.attention(x, number, attend, alike), alike)
            return stack.end(x)

    def memories(self, sources: Sequence[I32]) -> list[Memory]:
        """The memory of each source; sources of one length are run side by side."""
        order = sorted(range(len(sources)), key=lambda one: len(sources[one]))
        hidden = self.hidden([sources[one] for one in order])
        both = self._keys_and_values(hidden, None)
        found: dict[int, Memory] = {}
        begin = 0
        for one in order:
            end = begin + len(sources[one])
            keys = np.stack([part[begin:end, 0].transpose(1, 2, 0) for part in both])
            values = np.stack([part[begin:end, 1].swapaxes(0, 1) for part in both])
            found[one] = Memory(np.ascontiguousarray(keys), np.ascontiguousarray(values))
            begin = end
        return [found[one] for one in range(len(sources))]

    def exact_memories(self, sources: Sequence[I32]) -> list[Memory]:
        """The memory of each source, with the same bits whatever the others are."""
        found: dict[int, Memory] = {}
        for some in self._alike([len(source) for source in sources]):
            length = len(sources[some[0]])
            hidden = self.hidden([sources[one] for one in some], length)
            shape = (len(some), length, 2, self.settings.heads, self.settings.head_width)
            both = [part.reshape(shape) for part in self._keys_and_values(hidden, length)]
            keys = np.stack([np.ascontiguousarray(part[:, :, 0].transpose(0, 2, 3, 1)) for part in both])
            values = np.stack([np.ascontiguousarray(part[:, :, 1].swapaxes(1, 2)) for part in both])
            found |= {one: Memory(keys[:, row], values[:, row]) for row, one in enumerate(some)}
        return [found[one] for one in range(len(sources))]

    def _alike(self, lengths: Sequence[int]) -> list[list[int]]:
        """Sequences of so many tokens, by their numbers, in groups of one length that are run side by side."""
        together = all(block.keeps_bits for block in self._encoder.blocks) and all(
            maps.keeps_bits for maps in self._memory
        )
        groups: dict[tuple[int, int], list[int]] = {}
        counts: dict[int, int] = {}
        for one, length in enumerate(lengths):
            counts[length] = number = counts.get(length, -1) + 1
            most = max(1, SCORES // (self.settings.heads * length * length)) if together else 1
            groups.setdefault((length, number // most), []).append(one)
        return list(groups.values())

    def _keys_and_values(self, hidden: F32, alike: int | None) -> list[F32]:
        """What decoders' layers see of sources end to end, (N, D) to (N, 2, H, W) each."""
        settings = self.settings
        shape = (len(hidden), 2, settings.heads, settings.head_width)
        return [_mapped(maps, hidden, alike).reshape(shape) for maps in self._memory]

    def _within(
        self, lengths: Sequence[int], queries: F32, keys: F32, values: F32, relative: Relative | None, *, causal: bool
    ) -> F32:
        """Attention within sequences that lie end to end, each (N, H, W), to (N, H W)."""
        mixed = np.empty((len(queries), queries.shape[1] * queries.shape[2]), dtype=np.float32)
        for begin, rows, length in runs(lengths):
            some = slice(begin, begin + rows * length)
            q, k, v = (
                one[some].reshape(rows, length, *one.shape[1:]).swapaxes(1, 2) for one in (queries, keys, values)
            )
            step = max(1, SCORES // (rows * self.settings.heads * length))  # scores grow with length squared
            found = [
                mix(q[:, :, at : at + step], k.swapaxes(2, 3), v, _bias(relative, at, at + step, length, causal))
                for at in range(0, length, step)
            ]
            mixed[some] = np.concatenate(found, axis=2).swapaxes(1, 2).reshape(rows * length, -1)
        return mixed

    # Targets.

    def whole(self, memories: Sequence[Memory], targets: Sequence[I32]) -> F32:
        """What the head multiplies at every token of targets, each behind a memory, end to end, (N, D)."""
        lengths = [len(target) for target in targets]
        places = np.concatenate([np.arange(length) for length in lengths])
        ends = np.cumsum(lengths).tolist()

        def attend(_layer: int, queries: F32, keys: F32, values: F32) -> F32:
            return self._within(lengths, queries, keys, values, self._decoder.relative, causal=True)

        def look(layer: int, queries: F32) -> F32:
            mixed = np.empty(queries.shape, dtype=np.float32)
            for memory, end, length in zip(memories, ends, lengths, strict=True):
                some = slice(end - length, end)
                own = queries[some].swapaxes(0, 1)
                mixed[some] = mix(own, memory.keys[layer], memory.values[layer]).swapaxes(0, 1)
            return mixed.reshape(len(mixed), -1)

        return self._run(np.concatenate(targets), places, max(lengths), attend, look)

    def weights(self, memory: Memory, target: I32) -> F32:
        """What each token of a target takes from each of the source, (T,) to (layers, H, T, S)."""
        found: list[F32] = []

        def attend(_layer: int, queries: F32, keys: F32, values: F32) -> F32:
            return self._within([len(target)], queries, keys, values, self._decoder.relative, causal=True)

        def look(layer: int, queries: F32) -> F32:
            found.append(functional.softmax(queries.swapaxes(0, 1) @ memory.keys[layer]))
            mixed: F32 = (found[-1] @ memory.values[layer]).swapaxes(0, 1).reshape(len(queries), -1)
            return mixed

        self._run(target, np.arange(len(target)), len(target), attend, look)
        return np.stack(found)

    def encoder_attention(self, source: I32) -> AttentionParts:
        """What each token of a source, (S,), takes from each."""
        found: list[tuple[F32, F32, F32]] = []
        attend = _noted(found, self._encoder.relative, causal=False)
        self._encoded(source, np.arange(len(source)), len(source), attend)
        return AttentionParts(*(np.stack(part) for part in zip(*found, strict=True)))

    def decoder_attention(self, memory: Memory, target: I32) -> AttentionParts:
        """What each token of a target, (T,), takes from those before it."""
        found: list[tuple[F32, F32, F32]] = []

        def look(layer: int, queries: F32) -> F32:
            mixed: F32 = mix(queries.swapaxes(0, 1), memory.keys[layer], memory.values[layer])
            return mixed.swapaxes(0, 1).reshape(len(queries), -1)

        attend = _noted(found, self._decoder.relative, causal=True)
        self._run(target, np.arange(len(target)), len(target), attend, look)
        return AttentionParts(*(np.stack(part) for part in zip(*found, strict=True)))

    def _run(self, ids: Any, places: Any, end: int, attend: Attend, look: Look) -> F32:
        """What the head multiplies, (N,) to (N, D), of ids at `places`, which are below `end`."""
        stack = self._decoder
        with np.errstate(all="ignore"):
            x = stack.begin(self._embeddings[ids], places, end)
            for number, block in enumerate(stack.blocks):
                x = block.feed(block.cross(block.attention(x, number, attend), number, look))
            x = stack.end(x)
            if self.settings.scaled_logits:
                x = x * self._logit_scale
        return x

    # Steps of one target.

    def begun(self, memories: Sequence[Memory], prefix: I32) -> list[tuple[SourceCache, F32]]:
        """A cache behind each source, with the first tokens of targets, (T,), and what the head multiplies then, (D,).

        All are run side by side, and so their last digits depend on what the others are.
        """
        count, length = len(memories), len(prefix)
        caches = [self.cache(memory) for memory in memories]
        groups: dict[int, list[int]] = {}
        for one, memory in enumerate(memories):
            groups.setdefault(memory.length, []).append(one)
        stacks = [(some, *_side_by_side([memories[one] for one in some])) for some in groups.values()]

        def attend(layer: int, queries: F32, keys: F32, values: F32) -> F32:
            for row, cache in enumerate(caches):
                part = slice(row * length, (row + 1) * length)
                cache.keys[layer, :, :length] = keys[part].swapaxes(0, 1)
                cache.values[layer, :, :length] = values[part].swapaxes(0, 1)
            return self._within([length] * count, queries, keys, values, self._decoder.relative, causal=True)

        def look(layer: int, queries: F32) -> F32:
            own = queries.reshape(count, length, self.settings.heads, -1).swapaxes(1, 2)  # (B, H, T, W)
            mixed = np.empty((count, length, queries.shape[1] * queries.shape[2]), dtype=np.float32)
            for some, keys, values in stacks:
                mixed[some] = mix(own[some], keys[layer], values[layer]).swapaxes(1, 2).reshape(len(some), length, -1)
            return mixed.reshape(len(queries), -1)

        outputs = self._run(np.tile(prefix, count), np.tile(np.arange(length), count), length, attend, look)
        for cache in caches:
            cache.tokens[:length], cache.filled = prefix, length
        return list(zip(caches, outputs[length - 1 :: length], strict=True))

    def cache(self, memory: Memory) -> SourceCache:
        """An empty cache behind a source."""
        settings = self.settings
        return SourceCache(memory, settings.decoder_layers, settings.heads, settings.head_width, _FEW // 4)

    def extend(self, cache: SourceCache, ids: I32) -> F32:
        """What the head multiplies behind each of ids, (T,) to (T, D); their keys and values go into the cache."""
        begin, end = cache.filled, cache.filled + len(ids)
        cache.reserve(end)
        cache.tokens[begin:end] = ids
        cache.filled = end
        all_keys, all_values = cache.keys[:, :, :end], cache.values[:, :, :end]
        bias = _bias(self._decoder.relative, begin, end, end, causal=True)

        def attend(layer: int, queries: F32, keys: F32, values: F32) -> F32:
            all_keys[layer, :, begin:] = keys.swapaxes(0, 1)
            all_values[layer, :, begin:] = values.swapaxes(0, 1)
            mixed: F32 = mix(queries.swapaxes(0, 1), all_keys[layer].swapaxes(1, 2), all_values[layer], bias)
            return mixed.swapaxes(0, 1).reshape(len(ids), -1)

        def look(layer: int, queries: F32) -> F32:
            mixed: F32 = mix(queries.swapaxes(0, 1), cache.memory.keys[layer], cache.memory.values[layer])
            return mixed.swapaxes(0, 1).reshape(len(ids), -1)

        return self._run(ids, np.arange(begin, end), end, attend, look)

    # Steps of many.

    def next_rows(self, outputs: F32) -> F32:
        """See `batch.RowDecoder.next_rows`."""
        return self.head.next_many(outputs)

    def row_cache(self) -> SourceRows:
        """A cache of no rows."""
        settings = self.settings
        return SourceRows(settings.decoder_layers, settings.heads, settings.head_width)

    def step(self, cache: RowCache, ids: I32) -> F32:
        """What the head multiplies behind one more token of each of the first B rows, (B,) to (B, D).

        The rows have room for it; afterwards they have it.
        """
        assert isinstance(cache, SourceRows)
        count = len(ids)
        rows, lengths = np.arange(count), cache.lengths[:count].copy()
        end = int(lengths.max()) + 1
        cache.tokens[rows, lengths] = ids
        cache.lengths[:count] += 1
        all_keys, all_values = cache.keys[:, :count, :, :end], cache.values[:, :count, :, :end]
        turned = all_keys.swapaxes(3, 4)
        bias = self._step_bias(lengths, end)

        def attend(layer: int, queries: F32, keys: F32, values: F32) -> F32:
            all_keys[layer][rows, :, lengths] = keys
            all_values[layer][rows, :, lengths] = values
            mixed: F32 = mix(queries[:, :, None], turned[layer], all_values[layer], bias)
            return mixed.reshape(count, -1)

        return self._run(ids, lengths, end, attend, cache.groups(count).look)

    def _step_bias(self, lengths: Any, end: int) -> Any:
        """What is added to the scores of one more token of each row, (B, 1 or H, 1, end); None: nothing."""
        relative = np.arange(end) - lengths[:, None]
        unseen = relative > 0
        table = self._decoder.relative
        if table is not None:
            bias: Any = table.of(relative).swapaxes(0, 1)[:, :, None]
            return np.where(unseen[:, None, None], np.float32(-np.inf), bias)
        if not unseen.any():
            return None
        return np.where(unseen, np.float32(-np.inf), np.float32(0))[:, None, None]


def _noted(found: list[tuple[F32, F32, F32]], relative: Relative | None, *, causal: bool) -> Attend:
    """Attention within one sequence, whose weights, (H, N, N), queries and keys, (H, N, W), are noted."""

    def attend(_layer: int, queries: F32, keys: F32, values: F32) -> F32:
        q, k, v = (np.ascontiguousarray(one.swapaxes(0, 1)) for one in (queries, keys, values))
        bias = _bias(relative, 0, len(queries), len(queries), causal)
        scores: Any = q @ k.swapaxes(1, 2)
        weights: F32 = functional.softmax(scores if bias is None else scores + bias)
        found.append((weights, q, k))
        mixed: F32 = (weights @ v).swapaxes(0, 1).reshape(len(queries), -1)
        return mixed

    return attend


def _side_by_side(memories: Sequence[Memory]) -> tuple[F32, F32]:
    """Keys, (layers, B, H, W, S), and values of sources of one length."""
    return np.stack([one.keys for one in memories], axis=1), np.stack([one.values for one in memories], axis=1)


def _bias(relative: Relative | None, begin: int, end: int, length: int, causal: bool) -> Any:
    """What is added to the scores of tokens `begin` to `end` of `length`, (1 or H, T, length); None: nothing."""
    end = min(end, length)
    if relative is None and (not causal or end - begin == 1 == length - begin):
        return None
    places = np.arange(length) - np.arange(begin, end)[:, None]
    bias: Any = np.zeros((1, *places.shape), dtype=np.float32) if relative is None else relative.of(places)
    return np.where(places > 0, np.float32(-np.inf), bias) if causal else bias
