"""A transformer encoder-decoder as CTranslate2 has it: its specification, filled with weights and vocabularies.

Tokens are pieces as `lmkit bpe encode --as pieces` writes them. Needs the package ctranslate2, which saves it.
"""

import math
from typing import Any

import numpy as np

from lmkit.architectures.positions import sinusoidal_halves
from lmkit.architectures.seq2seq_model import LoadedSeq2Seq
from lmkit.architectures.seq2seq_transformer import GATED, Seq2SeqTransformerConfig
from lmkit.errors import CheckpointError
from lmkit.protocols import F32, Tokenizer

_ACTIVATIONS = {"relu": "RELU", "gelu": "GELU", "gelu_tanh": "GELUTanh", "silu": "SWISH"}


def specification(weights: LoadedSeq2Seq) -> Any:
    """The model as a `ctranslate2.specs.TransformerSpec`. Raises CheckpointError for shapes that it lacks."""
    from ctranslate2.specs import TransformerSpec, common_spec

    settings = weights.settings
    if not isinstance(settings, Seq2SeqTransformerConfig):
        raise CheckpointError(f"of kind {weights.kind}, which CTranslate2 does not know")
    if settings.positions == "none":
        raise CheckpointError("no positions, which CTranslate2 adds to all embeddings")
    if settings.head_width * settings.heads != settings.width:
        raise CheckpointError(f"head width {settings.head_width}: CTranslate2's is the width by the heads")
    if weights.source_form.target:
        raise CheckpointError("tokens that every target begins with, which CTranslate2 has no place for")
    made = TransformerSpec.from_config(
        (settings.layers, settings.decoder_layers), settings.heads, pre_norm=settings.norm == "pre",
        activation=common_spec.Activation[_ACTIVATIONS[settings.plain_activation]],
        ffn_glu=settings.activation in GATED, rms_norm=settings.normalisation == "rmsnorm",
        relative_attention_bias=settings.positions == "relative", layernorm_embedding=settings.embed_norm,
    )  # fmt: skip
    filling = _Filling(weights, settings)
    filling.stack(made.encoder, "encoder", made.encoder.embeddings[0], settings.source_table)
    filling.stack(made.decoder, "decoder", made.decoder.embeddings, settings.target_table)
    head = settings.target_table if settings.tied else "lm_head.weight"
    made.decoder.projection.weight = filling.array(head)
    if settings.logits_bias:
        made.decoder.projection.bias = filling.array("lm_head.bias")
    if settings.scaled_logits:
        made.decoder.scale_outputs = np.dtype("float32").type(settings.width**-0.5)
    _name_tokens(made, weights)
    made.config.layer_norm_epsilon = settings.norm_epsilon
    return made


def _name_tokens(made: Any, weights: LoadedSeq2Seq) -> None:
    """Registers both vocabularies, and the tokens around texts."""
    source = pieces(weights.source_tokenizer, weights.settings.source_vocabulary)
    target = pieces(weights.tokenizer, weights.settings.vocabulary)
    made.register_source_vocabulary(source)
    made.register_target_vocabulary(target)
    form = weights.source_form
    if form.before or len(form.after) != 1 or weights.form.newline_id is None:
        raise CheckpointError("sources with other tokens around them than an end, which CTranslate2 does not add")
    end = target[weights.form.newline_id]
    made.config.decoder_start_token = made.config.bos_token = target[weights.form.start]
    made.config.eos_token, made.config.add_source_eos = end, source[form.after[0]] == end
    made.config.unk_token = target[weights.tokenizer.specials.get("unk", weights.form.start)]


def pieces(tokenizer: Tokenizer, size: int) -> list[str]:
    """The tokens as texts, each another."""
    found: dict[str, None] = {}
    for token in range(size):
        name = tokenizer.written(token).decode(errors="replace") if token < tokenizer.size else ""
        found[name if name and name not in found else f"<unused {token}>"] = None
    return list(found)


class _Filling:
    """Weights that are put into a specification."""

    def __init__(self, weights: LoadedSeq2Seq, settings: Seq2SeqTransformerConfig) -> None:
        self._tensors, self._settings = weights.tensors, settings

    def array(self, *names: str) -> F32:
        """Tensors end to end; of shared stacks the encoder's."""
        own = [name if name in self._tensors else name.replace("decoder.", "encoder.", 1) for name in names]
        found: F32 = np.ascontiguousarray(np.concatenate([self._tensors[name] for name in own]))
        return found

    def linear(self, spec: Any, *names: str) -> None:
        """A linear map, or several as one."""
        spec.weight = self.array(*(f"{name}.weight" for name in names))
        if self._settings.bias:
            spec.bias = self.array(*(f"{name}.bias" for name in names))

    def norm(self, spec: Any, name: str) -> None:
        """A norm."""
        spec.gamma = self.array(f"{name}.weight")
        if self._settings.normalisation == "layernorm":
            spec.beta = self.array(f"{name}.bias")

    def stack(self, spec: Any, name: str, embeddings: Any, table: str) -> None:
        """An encoder or a decoder."""
        settings = self._settings
        embeddings.weight = self.array(table)
        spec.scale_embeddings = math.sqrt(settings.width) if settings.scaled_embeddings else False
        if settings.positions == "sinusoidal":
            spec.position_encodings.encodings = sinusoidal_halves(settings.context, settings.width)
        elif settings.positions == "learned":
            spec.position_encodings.encodings = self.array(f"{name}.embed_positions.weight")
        if settings.embed_norm:
            self.norm(spec.layernorm_embedding, f"{name}.embed_norm")
        if settings.norm == "pre":
            self.norm(spec.layer_norm, f"{name}.norm")
        for number, layer in enumerate(spec.layer):
            own = f"{name}.layers.{number}"
            self._attention(layer.self_attention, f"{own}.self_attn", "qkv", name)
            if name == "decoder":
                self._attention(layer.attention, f"{own}.cross_attn", "kv", name)
            gated = settings.activation in GATED
            self.linear(layer.ffn.linear_0, f"{own}.mlp.{'gate' if gated else 'up'}_proj")
            if gated:
                self.linear(layer.ffn.linear_0_noact, f"{own}.mlp.up_proj")
            self.linear(layer.ffn.linear_1, f"{own}.mlp.down_proj")
            self.norm(layer.ffn.layer_norm, f"{own}.mlp_norm")

    def _attention(self, spec: Any, name: str, joined: str, stack: str) -> None:
        """An attention; `joined` are the maps that are one."""
        self.norm(spec.layer_norm, f"{name}_norm")
        if not self._settings.scaled_queries:
            spec.queries_scale = np.dtype("float32").type(1)
        if joined == "kv":
            self.linear(spec.linear[0], f"{name}.q_proj")
        self.linear(spec.linear[-2], *(f"{name}.{part}_proj" for part in joined))
        self.linear(spec.linear[-1], f"{name}.o_proj")
        if self._settings.positions == "relative" and joined == "qkv":
            spec.relative_attention_bias = self.array(f"{stack}.relative.weight")
            spec.relative_attention_max_distance = np.dtype("int32").type(self._settings.distance)
