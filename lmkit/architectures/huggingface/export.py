"""A transformer as the files of a folder that transformers loads with no code of its own."""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from lmkit.architectures.config import ModelConfig
from lmkit.architectures.huggingface import tensors
from lmkit.architectures.huggingface.configuration import ACTIVATIONS, GPT2, KINDS, LLAMA, MISTRAL, QWEN2, QWEN3
from lmkit.architectures.huggingface.folder import OWN, TOKENIZER, WEIGHTS
from lmkit.architectures.neural_model import LoadedModel
from lmkit.architectures.published_settings import CONFIG, GENERATION, first_tokens, to_folder
from lmkit.architectures.published_settings import TOKENIZER as TOKENIZER_CONFIG
from lmkit.architectures.transformer import TransformerConfig
from lmkit.checkpoint import serialize_tensors
from lmkit.data.sequences import ALWAYS, TextFormat
from lmkit.errors import CheckpointError
from lmkit.protocols import Tokenizer
from lmkit.tokenization.formats import line_ends


def architecture_for(settings: ModelConfig) -> str:
    """The architecture whose shape a model has. Raises CheckpointError naming the setting that none has."""
    if not isinstance(settings, TransformerConfig) or settings.kind != TransformerConfig.kind:
        raise CheckpointError(f"of kind {settings.kind}: only transformers have a shape that transformers knows")
    if not settings.residual:
        raise CheckpointError("it has no residual stream (residual false), and no architecture of transformers is so")
    if settings.positions == "learned":
        _hold(settings, "GPT-2", _GPT2_SHAPE)
        if settings.heads * settings.head_width != settings.width:
            raise CheckpointError(f"head width {settings.head_width}: GPT-2's is its width by its heads")
        return GPT2
    if settings.positions != "rope":
        raise CheckpointError(f"positions {settings.positions!r}: transformers knows rope and learned ones")
    _hold(settings, "Llama", _LLAMA_SHAPE)
    return _kin(settings)


_GPT2_SHAPE = {
    "norm": ("pre",), "normalisation": ("layernorm",), "activation": tuple(ACTIVATIONS.values()), "bias": ("all",),
    "query_key_norm": (False,),
}  # fmt: skip
_LLAMA_SHAPE = {"norm": ("pre",), "normalisation": ("rmsnorm",), "activation": ("swiglu",)}


def _hold(settings: TransformerConfig, name: str, shape: Mapping[str, tuple[object, ...]]) -> None:
    for key, values in shape.items():
        value = getattr(settings, key)
        if value not in values:
            wanted = " or ".join(map(str, dict.fromkeys(values)))
            raise CheckpointError(
                f"{key.replace('_', ' ')} {value}: with {settings.positions} positions transformers has {wanted}",
                hint=f"that is {name}'s shape",
            )
    if name == "GPT-2" and settings.kv_heads != settings.heads:
        raise CheckpointError(f"kv heads {settings.kv_heads}: GPT-2 has as many as heads")


def _kin(settings: TransformerConfig) -> str:
    """Which of Llama's kin it is."""
    if settings.query_key_norm:
        if settings.bias != "none":
            raise CheckpointError(f"bias {settings.bias}: with query key norm transformers has none")
        return QWEN3
    if settings.bias == "qkv":
        return QWEN2
    if settings.width % settings.heads == 0:
        return LLAMA
    if settings.bias == "all":
        raise CheckpointError(f"width {settings.width} is no multiple of the {settings.heads} heads, as Llama's is")
    return MISTRAL


def write(weights: LoadedModel) -> dict[str, Iterable[bytes | memoryview]]:
    """The folder's files, by name, in pieces. Raises CheckpointError where transformers has no such model."""
    name = architecture_for(weights.settings)
    assert isinstance(weights.settings, TransformerConfig)
    tokenizer = _with_start(line_ends.write(weights.tokenizer, weights.form.newline_id), weights)
    special = _special_ids(weights.form, weights.tokenizer)
    config = {
        **_config(name, weights.settings), **special, "pad_token_id": None, OWN: {"text": weights.form.to_json()},
        "architectures": [name], "model_type": KINDS[name], "dtype": "float32", "torch_dtype": "float32",
    }  # fmt: skip
    generation = dict(weights.published.generation) or {"_from_model_config": True}
    return {
        CONFIG: json_lines(config),
        GENERATION: json_lines({"pad_token_id": None, **generation, **special}),
        WEIGHTS: serialize_tensors(tensors.write(name, weights.settings, weights.tensors), {"format": "pt"}),
        TOKENIZER: [tokenizer],
        TOKENIZER_CONFIG: json_lines(_tokenizer_config(weights)),
        **{file: [data] for file, data in to_folder(weights.published).items()},
    }


def json_lines(value: object) -> Iterator[bytes]:
    """A file of a folder that holds JSON."""
    yield (json.dumps(value, indent=2, sort_keys=True) + "\n").encode()


def _config(name: str, settings: TransformerConfig) -> dict[str, Any]:
    if name == GPT2:
        theirs = {ours: their for their, ours in reversed(ACTIVATIONS.items())}
        return {
            "vocab_size": settings.vocabulary, "n_positions": settings.context, "n_ctx": settings.context,
            "n_embd": settings.width, "n_layer": settings.layers, "n_head": settings.heads, "n_inner": settings.hidden,
            "activation_function": theirs[settings.activation], "layer_norm_epsilon": settings.norm_epsilon,
            "tie_word_embeddings": settings.tied,
        }  # fmt: skip
    config = {
        "vocab_size": settings.vocabulary, "hidden_size": settings.width, "intermediate_size": settings.hidden,
        "num_hidden_layers": settings.layers, "num_attention_heads": settings.heads,
        "num_key_value_heads": settings.kv_heads, "head_dim": settings.head_width, "hidden_act": "silu",
        "max_position_embeddings": settings.context, "rms_norm_eps": settings.norm_epsilon,
        "tie_word_embeddings": settings.tied, **_rotary(settings),
    }  # fmt: skip
    if name in (LLAMA, QWEN3):
        config["attention_bias"] = settings.bias == "all"
    if name == LLAMA:
        config["mlp_bias"] = settings.bias == "all"
    if name == MISTRAL:
        config["sliding_window"] = None
    if name in (QWEN2, QWEN3):
        config["use_sliding_window"] = False
    return config


def _rotary(settings: TransformerConfig) -> dict[str, Any]:
    """Rotary positions as version 4 of transformers reads them, and as version 5 does."""
    said: dict[str, Any] = {"rope_type": "default"}
    if settings.rope_scaling is not None:
        scaling = dict(settings.rope_scaling)
        original = int(scaling.pop("original_context"))
        said = {"rope_type": "llama3", **scaling, "original_max_position_embeddings": original}
    theta = settings.rope_theta
    return {
        "rope_theta": theta, "rope_scaling": None if settings.rope_scaling is None else said,
        "rope_parameters": {**said, "rope_theta": theta},
    }  # fmt: skip


def _with_start(data: bytes, weights: LoadedModel) -> bytes:
    """A tokenizer.json that puts the start token in front where the model's form does.

    Models whose line ends are tokens read a start token that no text has by a name, and have none in front there.
    """
    form = weights.form
    if form.newline_id is not None:
        return data
    document = json.loads(data)
    wanted = [form.start] if form.bos == ALWAYS else []
    if list(first_tokens(document)) == wanted:
        return data
    piece = weights.tokenizer.piece(form.start).decode(errors="replace")
    sequence = {"Sequence": {"id": "A", "type_id": 0}}
    begun = [{"SpecialToken": {"id": piece, "type_id": 0}}] if wanted else []
    document["post_processor"] = {
        "type": "TemplateProcessing", "single": [*begun, sequence],
        "pair": [*begun, sequence, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {piece: {"id": piece, "ids": wanted, "tokens": [piece]}} if wanted else {},
    }  # fmt: skip
    return (json.dumps(document, ensure_ascii=False, indent=1) + "\n").encode()


def _special_ids(form: TextFormat, tokenizer: Tokenizer) -> dict[str, int | list[int] | None]:
    """What texts begin and end with; a stream that continues over line ends has no end."""
    if form.newline_id is None:
        own = [] if form.document_end is None else [form.document_end]
        ends = [*own, *(token for token in form.ends if token not in own)]
        start = form.start if form.bos == ALWAYS or tokenizer.specials.get("bos") == form.start else None
        return {"bos_token_id": start, "eos_token_id": ends[0] if len(ends) == 1 else ends or None}
    return {"bos_token_id": form.start, "eos_token_id": form.newline_id if form.by == "line" else form.document_end}


def _tokenizer_config(weights: LoadedModel) -> dict[str, Any]:
    """Names of special tokens, where text may have them: not in models whose line ends are tokens."""
    settings, tokenizer = weights.settings, weights.tokenizer
    assert isinstance(settings, TransformerConfig)
    config: dict[str, Any] = {
        "tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": settings.context,
        "clean_up_tokenization_spaces": False,
    }  # fmt: skip
    if weights.form.newline_id is not None:
        return config
    names = {token: name for name, token in tokenizer.names.items()}
    if not weights.published.special_tokens:
        for role, token in tokenizer.specials.items():
            if token in names:
                config[f"{role}_token"] = names[token].decode()
    return {**config, **weights.published.special_tokens, "add_bos_token": weights.form.bos == ALWAYS}
