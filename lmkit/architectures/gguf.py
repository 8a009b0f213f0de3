"""What a GGUF file says as a model: llama.cpp's keys, names of tensors and tokenizers. Opens no file.

llama.cpp turns neighbouring numbers of queries and keys of a Llama by one angle, and so keeps
their rows in another order than ours, which are i and i + head_width/2.
"""

import json
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

from lmkit.architectures import published_settings
from lmkit.architectures.huggingface.configuration import LLAMA, QWEN2, QWEN3, settings_of
from lmkit.architectures.neural_model import LoadedModel
from lmkit.architectures.transformer import TransformerConfig
from lmkit.architectures.weight_formats import StoredMatrix, Weights
from lmkit.checkpoint import Array
from lmkit.data.sequences import ALONE, ALWAYS, TextFormat
from lmkit.errors import CheckpointError
from lmkit.protocols import Tokenizer
from lmkit.tokenization.formats import tokenizer_json

ARCHITECTURES = {"llama": LLAMA, "qwen2": QWEN2, "qwen3": QWEN3}
_KEYS = {
    "num_hidden_layers": "block_count", "hidden_size": "embedding_length", "intermediate_size": "feed_forward_length",
    "num_attention_heads": "attention.head_count", "num_key_value_heads": "attention.head_count_kv",
    "max_position_embeddings": "context_length", "head_dim": "attention.key_length",
}  # fmt: skip
_WHOLE = {"embed_tokens": "token_embd", "norm": "output_norm", "lm_head": "output"}
_IN_BLOCK = {
    "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm", "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output",
    "self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm", "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
}  # fmt: skip
_LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}
_CONTROL, _USER_DEFINED = 3, 4
_WITH_START = ("llama-bpe",)
"""Tokenizers that put the start token in front where a file does not say, as in llama.cpp."""


class Tensor(Protocol):
    """A tensor whose numbers are there when asked for."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Rows first."""

    @property
    def stored(self) -> StoredMatrix | None:
        """The matrix as it is stored, where it is one in another precision."""

    def numbers(self) -> Array:
        """The numbers, float32."""


def read(values: Mapping[str, Any], tensors: Mapping[str, Any]) -> LoadedModel:
    """The model of a file. Raises CheckpointError naming what can't be run exactly, or is absent."""
    architecture = values.get("general.architecture")
    if architecture not in ARCHITECTURES:
        raise CheckpointError(f"architecture {architecture!r} is not one of {', '.join(ARCHITECTURES)}")
    settings = _settings(str(architecture), values, tensors)
    tokenizer = _tokenizer(values)
    arrays = {
        name: _array(name, shape, settings, str(architecture), tensors) for name, shape in settings.shapes().items()
    }
    form = _form(values, tokenizer.size)
    if tokenizer.size > settings.vocabulary:
        raise CheckpointError(f"its tokenizer has {tokenizer.size} tokens, its model {settings.vocabulary}")
    return LoadedModel(settings, form, tokenizer, Weights(arrays), published=published_settings.in_gguf(values))


def _form(values: Mapping[str, Any], size: int) -> TextFormat:
    """How the model reads text. Raises CheckpointError where no text could begin."""
    start = values.get("tokenizer.ggml.bos_token_id", values.get("tokenizer.ggml.eos_token_id"))
    if type(start) is not int or not 0 <= start < size:
        raise CheckpointError("no token to begin texts with")
    adds = values.get("tokenizer.ggml.add_bos_token", values.get("tokenizer.ggml.pre") in _WITH_START)
    ends = published_settings.ends_in_gguf(values, size)
    return TextFormat("stream", start, None, ends=ends, bos=ALWAYS if adds else ALONE)


def _settings(architecture: str, values: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> TransformerConfig:
    def said(key: str, otherwise: object = None) -> Any:
        return values.get(f"{architecture}.{key}", otherwise)

    table = tensors.get("token_embd.weight")
    if table is None:
        raise CheckpointError("no tensor 'token_embd.weight'")
    if said("rope.scaling.type", "none") != "none" or "rope_freqs.weight" in tensors:
        raise CheckpointError("its rotary positions are scaled, which lmkit does not read from GGUF files")
    config = {theirs: said(ours) for theirs, ours in _KEYS.items()}
    config |= {
        "architectures": [ARCHITECTURES[architecture]], "vocab_size": table.shape[0],
        "rope_theta": _short(said("rope.freq_base", 10000.0)), "tie_word_embeddings": "output.weight" not in tensors,
        "rms_norm_eps": _short(said("attention.layer_norm_rms_epsilon")),
        "use_sliding_window": said("attention.sliding_window") is not None,
        "sliding_window": said("attention.sliding_window"),
    }  # fmt: skip
    settings = settings_of(config)
    if said("rope.dimension_count", settings.head_width) != settings.head_width:
        raise CheckpointError("its rotary positions turn only a part of each head, which lmkit does not run")
    return settings


def _short(number: Any) -> Any:
    """A float32 as the shortest decimal that is it: 1e-05 and not 9.999999747378752e-06."""
    return float(str(np.float32(number))) if isinstance(number, float) else number


def _array(
    name: str, shape: tuple[int, ...], settings: TransformerConfig, architecture: str, tensors: Mapping[str, Any]
) -> Array | StoredMatrix:
    """One of our tensors."""
    theirs = name_of(name)
    tensor: Tensor | None = tensors.get(theirs)
    if tensor is None:
        raise CheckpointError(f"no tensor {theirs!r}")
    if tensor.shape != shape:
        raise CheckpointError(f"tensor {theirs!r} is {list(tensor.shape)}, its settings make it {list(shape)}")
    order = row_order(architecture, name, settings)
    if tensor.stored is not None:
        return tensor.stored if order is None else tensor.stored.ordered(order)
    array: Array = np.ascontiguousarray(tensor.numbers(), dtype=np.float32)
    return array if order is None else array[order]


def row_order(architecture: str, name: str, settings: TransformerConfig) -> Array | None:
    """Which of llama.cpp's rows each of ours is; None where they are the same."""
    if architecture != "llama" or not name.endswith(("q_proj.weight", "k_proj.weight")):
        return None
    rows = (settings.heads if "q_proj" in name else settings.kv_heads) * settings.head_width
    return np.arange(rows).reshape(-1, settings.head_width // 2, 2).swapaxes(1, 2).reshape(-1)


def name_of(name: str) -> str:
    """What llama.cpp calls one of our tensors."""
    inner, _, end = name.rpartition(".")
    if not inner.startswith("layers."):
        return f"{_WHOLE[inner]}.{end}"
    _, layer, inner = inner.split(".", 2)
    return f"blk.{layer}.{_IN_BLOCK[inner]}.{end}"


def _split(digits: int) -> dict[str, Any]:
    numbers = r"\p{N}" if digits == 1 else rf"\p{{N}}{{1,{digits}}}"
    pattern = {"Regex": tokenizer_json.GPT4 % numbers}
    own = {"type": "Split", "pattern": pattern, "behavior": "Isolated", "invert": False}
    return {"type": "Sequence", "pretokenizers": [own, {**_LEVEL, "use_regex": False}]}


_GPT2 = {**_LEVEL, "use_regex": True}
_DIGITS = {"type": "Digits", "individual_digits": True}
PRE_TOKENIZERS: Mapping[str, Mapping[str, Any]] = {
    "gpt-2": {"pre_tokenizer": _GPT2},
    "smollm": {"pre_tokenizer": {"type": "Sequence", "pretokenizers": [_DIGITS, _GPT2]}},
    "llama-bpe": {"pre_tokenizer": _split(3)},
    "qwen2": {"pre_tokenizer": _split(1), "normalizer": {"type": "NFC"}},
}


def _tokenizer(values: Mapping[str, Any]) -> Tokenizer:
    """The file's byte-level merges as a tokenizer. Raises CheckpointError for other kinds."""

    def said(key: str) -> Any:
        return values.get(f"tokenizer.ggml.{key}")

    kind, pre, tokens, merges = (said(key) for key in ("model", "pre", "tokens", "merges"))
    if kind != "gpt2" or pre not in PRE_TOKENIZERS:
        raise CheckpointError(
            f"its tokenizer ({kind}, {pre}) is not merges of gpt2 with one of {', '.join(PRE_TOKENIZERS)}"
        )
    if not isinstance(tokens, list) or not isinstance(merges, list):
        raise CheckpointError("its tokenizer has no tokens or no merges")
    types = said("token_type") or []
    plain = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    added = [
        {"id": number, "content": tokens[number], "special": one == _CONTROL, **plain}
        for number, one in enumerate(types[: len(tokens)])
        if one in (_CONTROL, _USER_DEFINED)
    ]
    model = {
        "type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
        "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "ignore_merges": pre == "llama-bpe",
        "vocab": {token: number for number, token in enumerate(tokens)}, "merges": merges,
    }  # fmt: skip
    document = {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": added, "normalizer": None,
        "post_processor": None, "decoder": {**_LEVEL, "use_regex": True}, "model": model, **PRE_TOKENIZERS[pre],
    }  # fmt: skip
    roles = {"unk": "unknown", "bos": "bos", "eos": "eos"}
    named = {
        f"{role}_token": tokens[number]
        for role, key in roles.items()
        if type(number := said(f"{key}_token_id")) is int and 0 <= number < len(tokens)
    }
    return tokenizer_json.read(json.dumps(document).encode(), json.dumps(named).encode())
