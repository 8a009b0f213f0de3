"""Tensors of transformers' encoder-decoders as ours and back: names, tables that are there once or several times.

BART's tables of positions begin with rows that are no position; the bias of the logits has an axis more.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from lmkit.architectures.huggingface.encoder_tensors import FLOATS
from lmkit.architectures.huggingface.seq2seq_configuration import BART, MARIAN, MT5, OFFSETS, T5
from lmkit.architectures.seq2seq_transformer import GATED, Seq2SeqTransformerConfig
from lmkit.checkpoint import Array, Stored
from lmkit.errors import CheckpointError

_BRANCHES = {"encoder": ("self_attn", "mlp"), "decoder": ("self_attn", "cross_attn", "mlp")}
_OF_T5 = {"self_attn": "SelfAttention", "cross_attn": "EncDecAttention", "mlp": "DenseReluDense"}
_OF_BART = {
    "self_attn.o_proj": "self_attn.out_proj", "self_attn_norm": "self_attn_layer_norm",
    "cross_attn.q_proj": "encoder_attn.q_proj", "cross_attn.k_proj": "encoder_attn.k_proj",
    "cross_attn.v_proj": "encoder_attn.v_proj", "cross_attn.o_proj": "encoder_attn.out_proj",
    "cross_attn_norm": "encoder_attn_layer_norm", "mlp.up_proj": "fc1", "mlp.down_proj": "fc2",
    "mlp_norm": "final_layer_norm",
}  # fmt: skip
HEAD = "lm_head.weight"
_POSITIONS = ("model.encoder.embed_positions.weight", "model.decoder.embed_positions.weight")
_CROSS_BIAS = "decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight"


def tables(kind: str, *, apart: bool) -> tuple[list[str], list[str]]:
    """The names in files of the table of targets, and of that of sources if it is another; the first are written."""
    prefix = "" if kind in (T5, MT5) else "model."
    encoder, decoder = (f"{prefix}{stack}.embed_tokens.weight" for stack in ("encoder", "decoder"))
    if apart:
        return [decoder], [encoder, "model.shared.weight"]
    return [f"{prefix}shared.weight", decoder, encoder], []


def _theirs(kind: str, settings: Seq2SeqTransformerConfig, name: str) -> str:
    """The name in a file of one of ours that is no table of embeddings."""
    if name in (HEAD, "lm_head.bias"):
        return HEAD if name == HEAD else "final_logits_bias"
    stack, _, inner = name.partition(".")
    is_t5 = kind in (T5, MT5)
    if not inner.startswith("layers."):
        if is_t5:
            norm, bias = "final_layer_norm.weight", "block.0.layer.0.SelfAttention.relative_attention_bias.weight"
            return f"{stack}.{norm if inner == 'norm.weight' else bias}"
        return f"model.{stack}.{inner.replace('embed_norm', 'layernorm_embedding')}"
    _, layer, inner = inner.split(".", 2)
    part, _, end = inner.rpartition(".")
    if not is_t5:
        return f"model.{stack}.layers.{layer}.{_OF_BART.get(part, part)}.{end}"
    branch = part.partition(".")[0].removesuffix("_norm")
    place = f"{stack}.block.{layer}.layer.{_BRANCHES[stack].index(branch)}"
    if part.endswith("_norm"):
        return f"{place}.layer_norm.{end}"
    gated = settings.activation in GATED
    maps = {"gate_proj": "wi_0", "up_proj": "wi_1" if gated else "wi", "down_proj": "wo"}
    own = part.partition(".")[2]
    return f"{place}.{_OF_T5[branch]}.{maps.get(own, own[0])}.{end}"


def ties(kind: str, settings: Seq2SeqTransformerConfig, stored: Mapping[str, Stored]) -> Seq2SeqTransformerConfig:
    """The settings, untied where a file has a head of its own that is not the table of embeddings."""
    head = stored.get(HEAD)
    target, _ = tables(kind, apart=not settings.shared)
    table = next((stored[name] for name in target if name in stored), None)
    same = head is None or table is None or bytes(head.data) == bytes(table.data)
    return settings if same else replace(settings, tied=False)


def _place(kind: str, settings: Seq2SeqTransformerConfig, name: str, stored: Mapping[str, Stored]) -> str:
    """The name in this file of one of ours."""
    target, source = tables(kind, apart=not settings.shared)
    if name in settings.tables():
        names = target if name == settings.target_table else source
        return next((one for one in names if one in stored), names[0])
    return _theirs(kind, settings, name)


def check(kind: str, settings: Seq2SeqTransformerConfig, stored: Mapping[str, Stored]) -> None:
    """Raises CheckpointError where tensors are absent, of another shape or type, or have no place in the model."""
    known = {HEAD, "final_logits_bias", "model.shared.weight", *_POSITIONS, _CROSS_BIAS}
    known |= {name for names in tables(kind, apart=False) for name in names}
    for name, shape in settings.shapes().items():
        place = _place(kind, settings, name, stored)
        known.add(place)
        tensor = stored.get(place)
        if tensor is None and name == "lm_head.bias":
            continue
        if name.endswith("embed_positions.weight"):
            shape = (shape[0] + OFFSETS.get(kind, 0), *shape[1:])
        shape = (1, *shape) if name == "lm_head.bias" else shape
        if tensor is None:
            raise CheckpointError(f"no tensor {place!r}, which its config.json asks for")
        if tensor.shape != shape:
            raise CheckpointError(f"tensor {place!r} is {list(tensor.shape)}, its config.json makes it {list(shape)}")
        if tensor.dtype not in FLOATS:
            raise CheckpointError(f"tensor {place!r} is of type {tensor.dtype}, lmkit reads {', '.join(FLOATS)}")
    for name in stored:
        if name not in known:
            raise CheckpointError(f"tensor {name!r} has no place in the model that its config.json describes")


def read(kind: str, settings: Seq2SeqTransformerConfig, stored: Mapping[str, Stored]) -> dict[str, Array]:
    """Our tensors, float32, after `check`; of float32 files they are views."""
    found: dict[str, Array] = {}
    for name, shape in settings.shapes().items():
        tensor = stored.get(_place(kind, settings, name, stored))
        array = np.zeros(shape, dtype=np.float32) if tensor is None else tensor.array().astype(np.float32, copy=False)
        offset = OFFSETS.get(kind, 0) if name.endswith("embed_positions.weight") else 0
        found[name] = array.reshape(shape) if name == "lm_head.bias" else array[offset:]
    return found


def write(kind: str, settings: Seq2SeqTransformerConfig, tensors: Mapping[str, Array]) -> dict[str, Array]:
    """The tensors of a file, float32; of shared stacks the decoder's branches are the encoder's once more."""
    written: dict[str, Array] = {}
    apart = replace(settings, shared_stacks=False)
    for name in apart.shapes():
        array = tensors[name if name in tensors else name.replace("decoder.", "encoder.", 1)]
        if name.endswith("embed_positions.weight") and OFFSETS.get(kind):
            array = np.concatenate((np.zeros((OFFSETS[kind], array.shape[1]), dtype=np.float32), array))
        written[_place(kind, settings, name, {})] = array[None] if name == "lm_head.bias" else array
    if kind in (MARIAN, BART) and "final_logits_bias" not in written:
        written["final_logits_bias"] = np.zeros((1, settings.vocabulary), dtype=np.float32)
    return written
