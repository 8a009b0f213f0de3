"""The encoder-only transformer in numpy: for a few lines of text, where loading torch takes longer than they do.

Formulas: see `architectures.encoder`. Sequences lie end to end and are not padded; attention runs over
sequences of one length side by side.

N tokens, S sequences, M places, D width, H heads, W head width, V vocabulary.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

import numpy as np

from lmkit.architectures.encoder import GATED, EncoderConfig
from lmkit.architectures.encoder_model import EncoderBase, LoadedEncoder
from lmkit.architectures.positions import rotary_table
from lmkit.architectures.seq2seq_transformer import Seq2SeqTransformerConfig
from lmkit.checkpoint import Array
from lmkit.errors import DataError
from lmkit.inference import functional
from lmkit.inference.linear import NEAR, FusedLinear, products
from lmkit.protocols import F32, I32, AttentionParts, Floats

ACTIVATIONS: Mapping[str, Callable[[Floats], Floats]] = {
    "gelu": functional.gelu_erf,
    "gelu_tanh": functional.gelu,
    "relu": functional.relu,
    "silu": functional.silu,
}
SCORES = 1 << 22  # numbers in the attention scores that are made at once


class EncoderModel(EncoderBase):
    """An encoder in numpy."""

    def __init__(self, weights: LoadedEncoder) -> None:
        super().__init__(weights)
        self._layers = [_Layer(weights, number) for number in range(self.settings.layers)]
        self._turns = _rotary(self.settings)

    def hidden_states(self, ids: I32, segments: I32, lengths: Sequence[int]) -> F32:
        """See `Encoder.hidden_states`."""
        with np.errstate(over="ignore"):
            x = self._embedded(ids, segments, lengths)
            for layer in self._layers:
                x = layer(x, lengths, self._turns.get(layer.is_global))
            return self._norm("norm", x) if self.settings.norm == "pre" else x

    def attention(self, ids: I32) -> AttentionParts:
        """What each token of one sequence, (N,), special ones among them, takes from each.

        Raises DataError for more tokens than the context.
        """
        if len(ids) > self.context:
            raise DataError(f"{len(ids)} tokens with the special ones, the model takes {self.context}")
        found = []
        with np.errstate(over="ignore"):
            x = self._embedded(ids, np.zeros(len(ids), dtype=np.int32), [len(ids)])
            for layer in self._layers:
                turns = self._turns.get(layer.is_global)
                found.append(layer.attention(x, turns))
                x = layer(x, [len(ids)], turns)
        return AttentionParts(*(np.stack(part) for part in zip(*found, strict=True)))

    def _embedded(self, ids: I32, segments: I32, lengths: Sequence[int]) -> F32:
        tensors, settings = self.weights.tensors, self.settings
        x: F32 = tensors["embed_tokens.weight"][ids].astype(np.float32)
        if settings.segments:
            x += tensors["embed_segments.weight"][np.minimum(segments, settings.segments - 1)]
        if settings.positions == "learned":
            x += np.concatenate([tensors["embed_positions.weight"][:length] for length in lengths])
        x = self._norm("embed_norm", x)
        return linear_maps(tensors, "embed_proj")(x) if "embed_proj.weight" in tensors else x

    def _norm(self, name: str, x: F32) -> F32:
        normed: F32 = norm(self.settings, self.weights.tensors, name)(x)
        return normed

    def log_probabilities(self, hidden: F32) -> F32:
        """See `Encoder.log_probabilities`. Raises CheckpointError where it has no head for that."""
        tensors = self.weights.tensors
        self.check_fills()
        act = ACTIVATIONS[self.settings.plain_activation]
        with np.errstate(over="ignore"):
            x = self._norm("mlm.norm", act(linear_maps(tensors, "mlm.transform")(hidden)))
        table = tensors["embed_tokens.weight" if self.settings.tied else "mlm.decoder.weight"]
        logits: Any = products(x, [table], tensors["mlm.decoder.bias"])
        found: F32 = functional.log_softmax(logits)[:, : self.tokenizer.size]
        return found

    def pooled(self, first: F32) -> F32:
        """tanh(W h + b) of the hidden vectors of first tokens, (S, D) to (S, D)."""
        return np.tanh(linear_maps(self.weights.tensors, "pooler")(first))

    def pair_logits(self, pooled: F32) -> F32:
        """Logits, (S, 2), that the second text does not follow the first, and that it does, of `pooled`, (S, D)."""
        return linear_maps(self.weights.tensors, "pair")(pooled)

    def discriminator_logits(self, hidden: F32) -> F32:
        """Logits that tokens were replaced, (N,), of hidden vectors, (N, D)."""
        tensors, act = self.weights.tensors, ACTIVATIONS[self.settings.plain_activation]
        inner: Any = act(linear_maps(tensors, "discriminator.dense")(hidden))
        return linear_maps(tensors, "discriminator.score")(inner)[:, 0]


def norm(
    settings: EncoderConfig | Seq2SeqTransformerConfig, tensors: Mapping[str, Array], name: str
) -> Callable[[Any], Any]:
    """A norm by its name."""
    weight, bias, epsilon = tensors[f"{name}.weight"], tensors.get(f"{name}.bias"), settings.norm_epsilon
    if settings.normalisation == "rmsnorm":
        return lambda x: functional.rms_norm(x, weight, epsilon)
    return lambda x: functional.layer_norm(x, weight, bias, epsilon)


def linear_maps(tensors: Mapping[str, Array], *names: str) -> FusedLinear:
    """Linear maps by their names, with the biases that they have."""
    biases = [tensors[f"{name}.bias"] for name in names if f"{name}.bias" in tensors]
    return FusedLinear([tensors[f"{name}.weight"] for name in names], biases)


class _Layer:
    """One block."""

    def __init__(self, weights: LoadedEncoder, number: int) -> None:
        settings = weights.settings
        prefix = f"layers.{number}."
        tensors = {name.removeprefix(prefix): part for name, part in weights.tensors.items() if name.startswith(prefix)}
        self._settings = settings
        self.is_global = settings.is_global(number)
        self._reach = None if self.is_global else settings.local_window // 2
        self._qkv = linear_maps(tensors, *(f"self_attn.{part}_proj" for part in "qkv"))
        self._out = linear_maps(tensors, "self_attn.o_proj")
        self._gated = settings.activation in GATED
        self._up = linear_maps(tensors, *(("mlp.gate_proj", "mlp.up_proj") if self._gated else ("mlp.up_proj",)))
        self._down = linear_maps(tensors, "mlp.down_proj")
        self._act = ACTIVATIONS[settings.plain_activation]
        self._scales = [tensors.get(f"self_attn.{part}_norm.weight") for part in "qk"]
        self._before = norm(settings, tensors, "input_layernorm") if "input_layernorm.weight" in tensors else _same
        self._between = norm(settings, tensors, "post_attention_layernorm")
        self._after = norm(settings, tensors, "post_mlp_layernorm") if settings.norm == "post" else _same

    def __call__(self, x: F32, lengths: Sequence[int], turns: tuple[F32, F32] | None) -> F32:
        """From (N, D) to (N, D)."""
        if self._settings.norm == "post":
            x = self._between(x + self._attention(x, lengths, turns))
            after: F32 = self._after(x + self._mlp(x))
            return after
        x = x + self._attention(self._before(x), lengths, turns)
        return x + self._mlp(self._between(x))

    def _mlp(self, x: F32) -> F32:
        up = self._up(x)
        if not self._gated:
            return self._down(by_rows(self._act, up))
        gate, up = up[:, : self._settings.hidden], up[:, self._settings.hidden :]
        inner: F32 = by_rows(self._act, gate)
        inner *= up
        return self._down(inner)

    def _attention(self, x: F32, lengths: Sequence[int], turns: tuple[F32, F32] | None) -> F32:
        heads, width = self._settings.heads, self._settings.head_width
        parts = self._qkv(x).reshape(len(x), 3, heads, width)
        mixed = np.empty((len(x), heads * width), dtype=np.float32)
        for begin, rows, length in runs(lengths):
            some = slice(begin, begin + rows * length)
            q, k, v = (parts[some, one].reshape(rows, length, heads, width).swapaxes(1, 2) for one in range(3))
            q, k = (self._placed(one, scale, length, turns) for one, scale in zip((q, k), self._scales, strict=True))
            step = max(1, SCORES // (rows * heads * length))  # queries at a time: scores grow with length squared
            out = np.concatenate(
                [
                    functional.attention(q[:, :, at : at + step], k, v, mask=self._mask(length, at, at + step))[0]
                    for at in range(0, length, step)
                ],
                axis=2,
            )
            mixed[some] = out.swapaxes(1, 2).reshape(rows * length, -1)
        return self._out(mixed)

    def attention(self, x: F32, turns: tuple[F32, F32] | None) -> tuple[F32, F32, F32]:
        """Weights, (H, N, N), scaled queries and keys, (H, N, W), of one sequence, (N, D)."""
        heads, width = self._settings.heads, self._settings.head_width
        seen = x if self._settings.norm == "post" else self._before(x)
        parts = self._qkv(seen).reshape(len(x), 3, heads, width)
        q, k, v = (parts[:, one].swapaxes(0, 1) for one in range(3))
        q, k = (self._placed(one, scale, len(x), turns) for one, scale in zip((q, k), self._scales, strict=True))
        found: F32 = functional.attention(q, k, v, mask=self._mask(len(x), 0, len(x)))[1]
        return found, q / np.float32(math.sqrt(width)), k

    def _placed(self, x: Any, scale: F32 | None, length: int, turns: tuple[F32, F32] | None) -> Any:
        """Queries or keys, (R, H, L, W), normed and turned."""
        if scale is not None:
            x = functional.rms_norm(x, scale, self._settings.norm_epsilon)
        return x if turns is None else functional.rotate(x, turns[0][:length], turns[1][:length])

    def _mask(self, length: int, begin: int, end: int) -> Any:
        """Which tokens those at some places see; None: all."""
        if self._reach is None or length <= self._reach + 1:
            return None
        places = np.arange(length)
        return np.abs(places[begin:end, None] - places) <= self._reach


def by_rows(function: Callable[[Any], Any], x: F32) -> F32:
    """A function of each number, some rows at a time, which stay in a near cache meanwhile."""
    found = np.empty(x.shape, dtype=np.float32)
    step = max(1, NEAR // x.shape[1])
    for begin in range(0, len(x), step):
        found[begin : begin + step] = function(x[begin : begin + step])
    return found


def _same(x: F32) -> F32:
    return x


def _rotary(settings: EncoderConfig) -> dict[bool, tuple[F32, F32]]:
    """Cosines and sines of every position, by whether a layer is global."""
    if settings.positions != "rope":
        return {}
    thetas = {True: settings.rope_theta, False: settings.local_rope_theta}
    return {far: rotary_table(theta, settings.head_width, settings.context) for far, theta in thetas.items()}


def runs(lengths: Sequence[int]) -> Iterator[tuple[int, int, int]]:
    """Sequences of one length that lie side by side: the first token, how many sequences, how long each is."""
    begin = 0
    for length, alike in groupby(lengths):
        rows = len(list(alike))
        yield begin, rows, length
        begin += rows * length
