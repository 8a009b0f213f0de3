"""Tensors of transformers' encoders as ours and back: names, ModernBERT's joined matrices, the order of pairs.

transformers' logits of pairs say first that the second text follows, ours last; RoBERTa's table of positions
begins with rows that are no position.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

from lmkit.architectures.config import Shapes
from lmkit.architectures.encoder import EncoderConfig
from lmkit.architectures.huggingface.encoder_configuration import (
    BERT,
    DISTILBERT,
    ELECTRA,
    MODERNBERT,
    ROBERTA,
    XLM_ROBERTA,
)
from lmkit.checkpoint import Array, Stored
from lmkit.errors import CheckpointError

FLOATS = ("F32", "F16", "BF16")
PREFIXES = {
    BERT: "bert.", DISTILBERT: "distilbert.", ROBERTA: "roberta.", XLM_ROBERTA: "roberta.", ELECTRA: "electra.",
    MODERNBERT: "model.",
}  # fmt: skip
"""What lies before the names of a body where a head is beside it."""
_ROWS_OF_BERT = {
    "embed_tokens": "embeddings.word_embeddings", "embed_positions": "embeddings.position_embeddings",
    "embed_segments": "embeddings.token_type_embeddings", "embed_norm": "embeddings.LayerNorm",
    "embed_proj": "embeddings_project", "pooler": "pooler.dense",
}  # fmt: skip
_LAYER_OF_BERT = {
    "self_attn.q_proj": "attention.self.query", "self_attn.k_proj": "attention.self.key",
    "self_attn.v_proj": "attention.self.value", "self_attn.o_proj": "attention.output.dense",
    "post_attention_layernorm": "attention.output.LayerNorm", "mlp.up_proj": "intermediate.dense",
    "mlp.down_proj": "output.dense", "post_mlp_layernorm": "output.LayerNorm",
}  # fmt: skip
_LAYER_OF_DISTILBERT = {
    "self_attn.q_proj": "attention.q_lin", "self_attn.k_proj": "attention.k_lin",
    "self_attn.v_proj": "attention.v_lin", "self_attn.o_proj": "attention.out_lin",
    "post_attention_layernorm": "sa_layer_norm", "mlp.up_proj": "ffn.lin1", "mlp.down_proj": "ffn.lin2",
    "post_mlp_layernorm": "output_layer_norm",
}  # fmt: skip
_LAYER_OF_MODERNBERT = {
    "input_layernorm": "attn_norm", "self_attn.q_proj": "attn.Wqkv", "self_attn.k_proj": "attn.Wqkv",
    "self_attn.v_proj": "attn.Wqkv", "self_attn.o_proj": "attn.Wo", "post_attention_layernorm": "mlp_norm",
    "mlp.gate_proj": "mlp.Wi", "mlp.up_proj": "mlp.Wi", "mlp.down_proj": "mlp.Wo",
}  # fmt: skip
_LAYERS = {
    DISTILBERT: ("transformer.layer.", _LAYER_OF_DISTILBERT), MODERNBERT: ("layers.", _LAYER_OF_MODERNBERT),
}  # fmt: skip
_OF_MODERNBERT = {"embed_tokens": "embeddings.tok_embeddings", "embed_norm": "embeddings.norm", "norm": "final_norm"}
_HEAD_OF_ROBERTA = {
    "mlm.transform": "lm_head.dense", "mlm.norm": "lm_head.layer_norm", "mlm.decoder.weight": "lm_head.decoder.weight",
    "mlm.decoder.bias": "lm_head.bias",
}  # fmt: skip
HEADS: Mapping[str, Mapping[str, str]] = {
    BERT: {
        "mlm.transform": "cls.predictions.transform.dense", "mlm.norm": "cls.predictions.transform.LayerNorm",
        "mlm.decoder.weight": "cls.predictions.decoder.weight", "mlm.decoder.bias": "cls.predictions.bias",
        "pair": "cls.seq_relationship",
    },
    DISTILBERT: {
        "mlm.transform": "vocab_transform", "mlm.norm": "vocab_layer_norm",
        "mlm.decoder.weight": "vocab_projector.weight", "mlm.decoder.bias": "vocab_projector.bias",
    },
    ROBERTA: _HEAD_OF_ROBERTA,
    XLM_ROBERTA: _HEAD_OF_ROBERTA,
    ELECTRA: {
        "mlm.transform": "generator_predictions.dense", "mlm.norm": "generator_predictions.LayerNorm",
        "mlm.decoder.weight": "generator_lm_head.weight", "mlm.decoder.bias": "generator_lm_head.bias",
        "discriminator.dense": "discriminator_predictions.dense",
        "discriminator.score": "discriminator_predictions.dense_prediction",
    },
    MODERNBERT: {
        "mlm.transform": "head.dense", "mlm.norm": "head.norm", "mlm.decoder.weight": "decoder.weight",
        "mlm.decoder.bias": "decoder.bias",
    },
}  # fmt: skip
"""Names of the heads' tensors; where ours has no `weight` or `bias` behind it, both have the same."""
_OLD = {".gamma": ".weight", ".beta": ".bias"}
_OTHER_BIASES = {"cls.predictions.decoder.bias": "cls.predictions.bias", "lm_head.decoder.bias": "lm_head.bias"}
_BUFFERS = ("embeddings.position_ids", "embeddings.token_type_ids")
_OTHER_HEADS = ("classifier.", "pre_classifier.", "qa_outputs.", "sequence_summary.")
"""Heads of other tasks, which are left out; ModernBERT's classifier reads the first maps of its `head`."""


_REVERSED = ("seq_relationship.weight", "seq_relationship.bias")


class Place(NamedTuple):
    """A tensor of a file: its name, ours that lie in it one behind another, and their shapes."""

    name: str
    ours: Shapes


def places(kind: str, settings: EncoderConfig) -> Iterator[Place]:
    """Every tensor of a file, with the full name that models with a head have."""
    joined: dict[str, Shapes] = {}
    for name, shape in settings.shapes().items():
        joined.setdefault(_theirs(kind, name), {})[name] = shape
    yield from (Place(name, ours) for name, ours in joined.items())


def _theirs(kind: str, name: str) -> str:
    """The name in a file of one of ours."""
    inner, _, end = name.rpartition(".")
    if name in HEADS[kind]:
        return HEADS[kind][name]
    if inner in HEADS[kind]:
        return f"{HEADS[kind][inner]}.{end}"
    prefix = PREFIXES[kind]
    if inner.startswith("layers."):
        _, layer, inner = inner.split(".", 2)
        begin, names = _LAYERS.get(kind, ("encoder.layer.", _LAYER_OF_BERT))
        return f"{prefix}{begin}{layer}.{names[inner]}.{end}"
    return f"{prefix}{(_OF_MODERNBERT if kind == MODERNBERT else _ROWS_OF_BERT)[inner]}.{end}"


def with_usual_names(kind: str, stored: Mapping[str, Stored]) -> dict[str, Stored]:
    """The tensors by their usual names: a body alone has no prefix, old files have `gamma` and `beta`.

    Tensors that are not learned, and heads of other tasks, are left out.
    """
    prefix = PREFIXES[kind]
    alone = not any(name.startswith(prefix) for name in stored)
    found = {}
    for name, tensor in stored.items():
        for old, new in _OLD.items():
            name = name.removesuffix(old) + new if name.endswith(old) else name
        if name in _OTHER_BIASES.values() and any(other in stored for other in _OTHER_BIASES):
            continue  # the decoder's own is what counts
        name = _OTHER_BIASES.get(name, name)
        name = f"{prefix}{name}" if alone and not name.startswith(tuple(HEADS[kind].values())) else name
        if not name.endswith(_BUFFERS) and not name.startswith(_OTHER_HEADS):
            found[name] = tensor
    return found


def task_of(kind: str, stored: Mapping[str, Stored]) -> tuple[str, bool]:
    """The task of the head that a file has, see `EncoderConfig.task`, and whether it has a pooler."""
    names = HEADS[kind]
    has = {
        ours: f"{names[ours]}.weight" in stored
        for ours in ("mlm.transform", "pair", "discriminator.dense")
        if ours in names
    }
    pooler = f"{PREFIXES[kind]}pooler.dense.weight" in stored
    if has.get("discriminator.dense"):
        return "discriminator", pooler
    if not has["mlm.transform"] or names["mlm.decoder.bias"] not in stored:
        return "none", pooler
    return ("mlm+pair" if has.get("pair") and pooler else "mlm"), pooler


def ties(kind: str, stored: Mapping[str, Stored]) -> bool:
    """Whether the decoder is absent or equal to the embeddings."""
    decoder = stored.get(HEADS[kind]["mlm.decoder.weight"])
    table = stored.get(_theirs(kind, "embed_tokens.weight"))
    return decoder is None or table is None or bytes(decoder.data) == bytes(table.data)


def check(kind: str, settings: EncoderConfig, stored: Mapping[str, Stored], offset: int) -> None:
    """Raises CheckpointError where tensors are absent, of another shape or type, or have no place in the model."""
    expected = {place.name: _shape(place, offset) for place in places(kind, settings)}
    for name, shape in expected.items():
        tensor = stored.get(name)
        if tensor is None:
            raise CheckpointError(f"no tensor {name!r}, which its config.json asks for")
        if tensor.shape != shape:
            raise CheckpointError(f"tensor {name!r} is {list(tensor.shape)}, its config.json makes it {list(shape)}")
        if tensor.dtype not in FLOATS:
            raise CheckpointError(f"tensor {name!r} is of type {tensor.dtype}, lmkit reads {', '.join(FLOATS)}")
    known = tuple(HEADS[kind].values())
    for name in stored:
        if name not in expected and not name.startswith(known):
            raise CheckpointError(f"tensor {name!r} has no place in the model that its config.json describes")


def _shape(place: Place, offset: int) -> tuple[int, ...]:
    shapes = list(place.ours.values())
    rows = sum(shape[0] for shape in shapes) + (offset if "embed_positions.weight" in place.ours else 0)
    return (rows, *shapes[0][1:])


def read(kind: str, settings: EncoderConfig, stored: Mapping[str, Stored], offset: int) -> dict[str, Array]:
    """Our tensors, float32, after `check`; of float32 files they are views."""
    tensors: dict[str, Array] = {}
    for place in places(kind, settings):
        array = stored[place.name].array().astype(np.float32, copy=False)
        begin = 0
        for name, shape in place.ours.items():
            if name == "embed_positions.weight":
                array = array[offset:]
            tensors[name] = array[::-1] if place.name.endswith(_REVERSED) else array[begin : begin + shape[0]]
            begin += shape[0]
    return tensors


def write(kind: str, settings: EncoderConfig, tensors: Mapping[str, Array], offset: int) -> dict[str, Array]:
    """The tensors of a file, float32."""
    written: dict[str, Array] = {}
    for place in places(kind, settings):
        own = [tensors[name] for name in place.ours]
        array = np.concatenate(own) if len(own) > 1 else own[0]
        if "embed_positions.weight" in place.ours and offset:
            array = np.concatenate((np.zeros((offset, array.shape[1]), dtype=np.float32), array))
        if not settings.tied:  # where nothing is tied, transformers reads the decoder's bias by another name
            others = {usual: other for other, usual in _OTHER_BIASES.items()}
            written |= {others[place.name]: array} if place.name in others else {}
        written[place.name] = array[::-1] if place.name.endswith(_REVERSED) else array
    return written
