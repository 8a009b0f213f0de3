"""A config.json as settings of a transformer.

The architectures are GPT-2 (Radford et al. 2019) and Llama (Touvron et al. 2023) with its kin
Mistral, Qwen2 and Qwen3. Version 4 of transformers writes `rope_theta`, `rope_scaling` and
`torch_dtype`, version 5 `rope_parameters` and `dtype`; both are read. What `TransformerConfig` can't
run exactly is refused by name.
"""

from collections.abc import Mapping
from typing import Any

from lmkit.architectures.huggingface.config_numbers import number, real
from lmkit.architectures.huggingface.encoder_configuration import CLASSES
from lmkit.architectures.huggingface.seq2seq_configuration import NAMES
from lmkit.architectures.transformer import SCALING, TransformerConfig
from lmkit.errors import CheckpointError, UsageError

GPT2 = "GPT2LMHeadModel"
LLAMA, MISTRAL, QWEN2, QWEN3 = (f"{name}ForCausalLM" for name in ("Llama", "Mistral", "Qwen2", "Qwen3"))
KINDS: Mapping[str, str] = {GPT2: "gpt2", LLAMA: "llama", MISTRAL: "mistral", QWEN2: "qwen2", QWEN3: "qwen3"}
"""The architectures that are read, and the `model_type` of each."""
TASKS = ("ForSequenceClassification", "ForTokenClassification")
"""How the classes of models with a head for a task end."""

_SHARED: Mapping[str, Any] = {
    "vocab_size": 32000, "hidden_size": 4096, "intermediate_size": 11008, "num_hidden_layers": 32,
    "num_attention_heads": 32, "num_key_value_heads": None, "head_dim": None, "max_position_embeddings": 2048,
    "rms_norm_eps": 1e-6, "tie_word_embeddings": False, "attention_bias": False, "mlp_bias": False,
    "hidden_act": "silu", "use_sliding_window": False, "sliding_window": None, "layer_types": None,
    "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
_QWEN: Mapping[str, Any] = {
    "vocab_size": 151936, "intermediate_size": 22016, "num_key_value_heads": 32, "max_position_embeddings": 32768,
    "bos_token_id": None, "eos_token_id": None,
}  # fmt: skip
DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    GPT2: {
        "vocab_size": 50257, "n_positions": 1024, "n_embd": 768, "n_layer": 12, "n_head": 12, "n_inner": None,
        "activation_function": "gelu_new", "layer_norm_epsilon": 1e-5, "scale_attn_weights": True,
        "scale_attn_by_inverse_layer_idx": False, "add_cross_attention": False, "tie_word_embeddings": True,
        "bos_token_id": 50256, "eos_token_id": 50256,
    },
    LLAMA: _SHARED,
    MISTRAL: {
        **_SHARED, "intermediate_size": 14336, "num_key_value_heads": 8, "max_position_embeddings": 131072,
        "sliding_window": 4096,
    },
    QWEN2: {**_SHARED, **_QWEN},
    QWEN3: {**_SHARED, **_QWEN, "head_dim": 128},
}  # fmt: skip
"""What a config.json that says nothing of a setting means."""
ACTIVATIONS = {"gelu_new": "gelu", "gelu_pytorch_tanh": "gelu", "relu": "relu", "relu2": "relu2"}


def architecture(config: Mapping[str, Any]) -> str:
    """Which of KINDS a config.json is. Raises CheckpointError for others."""
    named = config.get("architectures")
    if isinstance(named, list) and len(named) == 1 and named[0] in KINDS:
        return str(named[0])
    if has_task(config):
        return _of_task(config["architectures"][0])
    by_type = [name for name, kind in KINDS.items() if kind == config.get("model_type")]
    if named is None and by_type:
        return by_type[0]
    what = named[0] if isinstance(named, list) and named else config.get("model_type")
    raise CheckpointError(f"architecture {what!r} is not one of {', '.join((*KINDS, *CLASSES, *NAMES))}")


def has_task(config: Mapping[str, Any]) -> bool:
    """Whether a config.json is that of a classifier, a regressor or a tagger with one of KINDS below its head."""
    named = config.get("architectures")
    return isinstance(named, list) and len(named) == 1 and bool(_of_task(str(named[0])))


def class_of_task(architecture: str, task: str) -> str:
    """The class of one of KINDS with one of TASKS."""
    return architecture.removesuffix("LMHeadModel").removesuffix("ForCausalLM") + task


def _of_task(name: str) -> str:
    """Which of KINDS a class with a head for a task has below it; empty for others."""
    return next((one for one in KINDS for task in TASKS if class_of_task(one, task) == name), "")


def settings_of(config: Mapping[str, Any]) -> TransformerConfig:
    """The settings that a config.json says; a body without a head counts as tied.

    Raises CheckpointError naming what can't be run exactly.
    """
    name = architecture(config)
    if config.get("quantization_config") is not None:
        raise CheckpointError("its weights are quantized (quantization_config), which lmkit does not read")
    values = {**DEFAULTS[name], **config, **({"tie_word_embeddings": True} if has_task(config) else {})}
    try:
        return _gpt2(values) if name == GPT2 else _llama(name, values)
    except UsageError as error:
        raise CheckpointError(f"config.json makes no model: {error}") from None


def _flag(values: Mapping[str, Any], key: str) -> bool:
    value = values.get(key)
    if not isinstance(value, bool):
        raise CheckpointError(f"config.json: {key} is {value!r}, neither true nor false")
    return value


def _held_to(values: Mapping[str, Any], key: str, wanted: object) -> None:
    if values.get(key, wanted) != wanted:
        raise CheckpointError(f"its setting {key} {values[key]!r} is not one that lmkit runs exactly")


def _width_of_heads(width: int, heads: int) -> int:
    if heads < 1 or width % heads:
        raise CheckpointError(f"config.json: {heads} heads do not share a width of {width} evenly")
    return width // heads


def _gpt2(values: Mapping[str, Any]) -> TransformerConfig:
    for key, wanted in (
        ("scale_attn_weights", True),
        ("scale_attn_by_inverse_layer_idx", False),
        ("add_cross_attention", False),
    ):
        _held_to(values, key, wanted)
    if values["activation_function"] not in ACTIVATIONS:
        raise CheckpointError(
            f"its activation {values['activation_function']!r} is not one that lmkit runs: {', '.join(ACTIVATIONS)}"
        )
    width, heads = number(values, "n_embd"), number(values, "n_head")
    return TransformerConfig(
        vocabulary=number(values, "vocab_size"), layers=number(values, "n_layer"), width=width, heads=heads,
        kv_heads=heads, head_width=_width_of_heads(width, heads),
        hidden=4 * width if values["n_inner"] is None else number(values, "n_inner"),
        context=number(values, "n_positions"), positions="learned", normalisation="layernorm",
        norm_epsilon=real(values, "layer_norm_epsilon"), activation=ACTIVATIONS[values["activation_function"]],
        bias="all", tied=_flag(values, "tie_word_embeddings"),
    )  # fmt: skip


def _llama(name: str, values: Mapping[str, Any]) -> TransformerConfig:
    if values["hidden_act"] not in ("silu", "swish"):
        raise CheckpointError(f"its activation {values['hidden_act']!r} is not one that lmkit runs: silu")
    context = number(values, "max_position_embeddings")
    _check_attention(name, values, context)
    width, heads = number(values, "hidden_size"), number(values, "num_attention_heads")
    kv_heads = heads if values["num_key_value_heads"] is None else number(values, "num_key_value_heads")
    theta, scaling = _rotary(values)
    return TransformerConfig(
        vocabulary=number(values, "vocab_size"), layers=number(values, "num_hidden_layers"), width=width,
        heads=heads, kv_heads=kv_heads,
        head_width=_width_of_heads(width, heads) if values["head_dim"] is None else number(values, "head_dim"),
        hidden=number(values, "intermediate_size"), context=context, rope_theta=theta, rope_scaling=scaling,
        norm_epsilon=real(values, "rms_norm_eps"), query_key_norm=name == QWEN3, bias=_bias(name, values),
        tied=_flag(values, "tie_word_embeddings"),
    )  # fmt: skip


def _bias(name: str, values: Mapping[str, Any]) -> str:
    """Which maps have biases; where only some of `all` do, the others' are zero."""
    if name in (MISTRAL, QWEN2):
        return "qkv" if name == QWEN2 else "none"
    some = _flag(values, "attention_bias") or (name == LLAMA and _flag(values, "mlp_bias"))
    return "all" if some else "none"


def _check_attention(name: str, values: Mapping[str, Any], context: int) -> None:
    """Raises CheckpointError where a layer would not see everything before it."""
    window = values["sliding_window"] if name == MISTRAL or values["use_sliding_window"] else None
    if window is not None and not (type(window) is int and window >= context):
        raise CheckpointError(
            f"its sliding window of {window!r} tokens is shorter than its context, not one lmkit runs"
        )
    kinds = values["layer_types"]
    if kinds is not None and (not isinstance(kinds, list) or any(kind != "full_attention" for kind in kinds)):
        raise CheckpointError("its setting layer_types is not all full_attention, which is all that lmkit runs")


def _rotary(values: Mapping[str, Any]) -> tuple[float, dict[str, float] | None]:
    """The base of the rotary positions, and Llama 3's scaling of them."""
    said = values.get("rope_parameters") or values.get("rope_scaling") or {}
    if not isinstance(said, dict) or any(isinstance(value, dict) for value in said.values()):
        raise CheckpointError("its rotary positions differ between layers, which lmkit does not run")
    theta = real({"rope_theta": said.get("rope_theta", values.get("rope_theta", 10000.0))}, "rope_theta")
    for source in (said, values):
        if source.get("partial_rotary_factor") not in (None, 1, 1.0):
            raise CheckpointError("its rotary positions turn only a part of each head, which lmkit does not run")
    kind = said.get("rope_type", said.get("type", "default"))
    if kind == "default":
        return theta, None
    if kind != "llama3":
        raise CheckpointError(f"its rotary positions are scaled as {kind!r}, lmkit runs default and llama3")
    names = ("factor", "high_freq_factor", "low_freq_factor", "original_max_position_embeddings")
    return theta, {ours: real(said, theirs) for ours, theirs in zip(SCALING, names, strict=True)}
