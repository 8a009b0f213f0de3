"""A transformer as a GGUF file that llama.cpp reads: the inverse of `gguf`. Opens no file."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from lmkit.architectures import gguf_layout
from lmkit.architectures.gguf import ARCHITECTURES, PRE_TOKENIZERS, name_of, row_order
from lmkit.architectures.huggingface.configuration import MISTRAL
from lmkit.architectures.huggingface.export import architecture_for
from lmkit.architectures.neural_model import LoadedModel
from lmkit.architectures.transformer import TransformerConfig
from lmkit.architectures.weight_formats import StoredMatrix, held
from lmkit.checkpoint import Array
from lmkit.data.sequences import ALWAYS
from lmkit.errors import CheckpointError
from lmkit.tokenization.formats import line_ends

_NORMAL, _CONTROL, _USER_DEFINED, _UNUSED = 1, 3, 4, 5
_KINDS = {name: kind for kind, name in gguf_layout.NAMES.items()}


def write(weights: LoadedModel) -> Iterator[bytes | memoryview]:
    """The bytes of the file, in pieces; matrices in the precision in which they are held.

    Raises CheckpointError where llama.cpp has no such model or tokenizer.
    """
    settings = weights.settings
    if not isinstance(settings, TransformerConfig):
        raise CheckpointError(f"a model of kind {settings.kind}, GGUF files of lmkit hold transformers")
    kinds = {theirs: own for own, theirs in ARCHITECTURES.items()}
    kinds[MISTRAL] = "llama"
    theirs = architecture_for(settings)
    if theirs not in kinds or settings.rope_scaling is not None:
        scaled = " with scaled rotary positions" if settings.rope_scaling is not None else ""
        raise CheckpointError(f"of architecture {theirs}{scaled}, lmkit writes {', '.join(ARCHITECTURES)} as GGUF")
    values = {**_settings(kinds[theirs], settings), **_tokenizer(weights)}
    entries = {
        name_of(name): _entry(held(weights.tensors, name), kinds[theirs], name, settings) for name in settings.shapes()
    }
    return gguf_layout.serialize(values, entries)


def _settings(kind: str, settings: TransformerConfig) -> dict[str, Any]:
    own = {
        "block_count": settings.layers, "context_length": settings.context, "embedding_length": settings.width,
        "feed_forward_length": settings.hidden, "attention.head_count": settings.heads,
        "attention.head_count_kv": settings.kv_heads, "attention.key_length": settings.head_width,
        "attention.value_length": settings.head_width, "rope.dimension_count": settings.head_width,
        "rope.freq_base": float(settings.rope_theta), "vocab_size": settings.vocabulary,
        "attention.layer_norm_rms_epsilon": float(settings.norm_epsilon),
    }  # fmt: skip
    return {"general.architecture": kind, **{f"{kind}.{key}": value for key, value in own.items()}}


def _tokenizer(weights: LoadedModel) -> dict[str, Any]:
    """Byte-level merges as llama.cpp has them. Raises CheckpointError for other tokenizers."""
    document = json.loads(line_ends.write(weights.tokenizer, weights.form.newline_id))
    model = document.get("model", {})
    pre = _pre_tokenizer(document)
    if model.get("type") != "BPE" or pre is None:
        known = ", ".join(PRE_TOKENIZERS)
        raise CheckpointError(f"its tokenizer is no byte-level BPE that llama.cpp splits text for: {known}")
    pieces = dict(model["vocab"])
    types = dict.fromkeys(pieces.values(), _NORMAL)
    for token in document.get("added_tokens", ()):
        pieces[token["content"]] = token["id"]
        types[token["id"]] = _CONTROL if token.get("special") else _USER_DEFINED
    names = {number: piece for piece, number in pieces.items()}
    size = range(weights.settings.vocabulary)
    merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in model["merges"]]
    values: dict[str, Any] = {
        "model": "gpt2", "pre": pre, "tokens": [names.get(number, f"[PAD{number}]") for number in size],
        "token_type": [types.get(number, _UNUSED) for number in size], "merges": merges, **_special_ids(weights),
        "add_bos_token": weights.form.bos == ALWAYS,
    }  # fmt: skip
    said = {f"tokenizer.ggml.{key}": value for key, value in values.items()}
    for name, template in weights.published.chat_templates.items():
        said["tokenizer.chat_template" + ("" if name == "default" else f".{name}")] = template
    return said


def _special_ids(weights: LoadedModel) -> dict[str, int]:
    """Tokens with roles; a start token is named where it is not the end of texts, which begins them else."""
    form, roles = weights.form, weights.tokenizer.specials
    ends = [*([] if form.document_end is None else [form.document_end]), *form.ends, form.start]
    found = {"eos": roles.get("eos", ends[0]), "unknown": roles.get("unk"), "bos": roles.get("bos")}
    if found["bos"] is None and found["eos"] != form.start:
        found["bos"] = form.start
    return {f"{role}_token_id": token for role, token in found.items() if token is not None}


def _pre_tokenizer(document: Mapping[str, Any]) -> str | None:
    """What llama.cpp calls the way in which a tokenizer.json splits text; None for others."""
    own = {key: _bare(document.get(key)) for key in ("pre_tokenizer", "normalizer")}
    for name, theirs in PRE_TOKENIZERS.items():
        if own == {key: _bare(theirs.get(key)) for key in own}:
            return name
    return None


def _bare(part: Any) -> Any:
    """A part of a tokenizer.json without what does not change how texts are split."""
    if isinstance(part, dict):
        found = {key: _bare(value) for key, value in part.items() if key not in ("trim_offsets", "invert")}
        if found.get("type") == "ByteLevel":
            found.setdefault("use_regex", True)
        if found.get("type") == "Sequence" and len(found.get("pretokenizers", ())) == 1:
            return found["pretokenizers"][0]
        return found
    return [_bare(one) for one in part] if isinstance(part, list) else part


def _entry(tensor: Array | StoredMatrix, kind: str, name: str, settings: TransformerConfig) -> gguf_layout.Entry:
    order = row_order(kind, name, settings)
    inverse = None if order is None else np.argsort(order)
    if isinstance(tensor, StoredMatrix):
        own = tensor if inverse is None else tensor.ordered(inverse)
        data = np.ascontiguousarray(own.data).reshape(-1).data
        return gguf_layout.Entry(_KINDS[own.precision.name], own.shape, data)
    array = np.ascontiguousarray(tensor if inverse is None else tensor[inverse], dtype="<f4")
    return gguf_layout.Entry(gguf_layout.F32, array.shape, array.reshape(-1).view(np.uint8).data)
