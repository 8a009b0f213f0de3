"""A config.json as settings of an encoder, and back: BERT and its kin.

MiniLM is BERT by another name. What `EncoderConfig` can't run exactly is refused by name. Version 4 of transformers
writes ModernBERT's layers and rotary positions as `global_attn_every_n_layers`, `global_rope_theta` and
`local_rope_theta`, version 5 as `layer_types` and `rope_parameters`; both are read, and both are written.
"""

from collections.abc import Mapping
from typing import Any

from lmkit.architectures.encoder import EncoderConfig
from lmkit.architectures.huggingface.config_numbers import number, real
from lmkit.errors import CheckpointError, UsageError

BERT, DISTILBERT, ROBERTA, XLM_ROBERTA, ELECTRA, MODERNBERT = ENCODERS = (
    "bert", "distilbert", "roberta", "xlm-roberta", "electra", "modernbert",
)  # fmt: skip
"""The values of `model_type` that are read."""
CLASSES: Mapping[str, str] = {
    "Bert": BERT, "DistilBert": DISTILBERT, "Roberta": ROBERTA, "XLMRoberta": XLM_ROBERTA, "Electra": ELECTRA,
    "ModernBert": MODERNBERT,
}  # fmt: skip
"""How the classes of each begin."""
_BERT: Mapping[str, Any] = {
    "vocab_size": 30522, "hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12,
    "intermediate_size": 3072, "hidden_act": "gelu", "max_position_embeddings": 512, "type_vocab_size": 2,
    "layer_norm_eps": 1e-12, "position_embedding_type": "absolute", "is_decoder": False, "add_cross_attention": False,
    "pad_token_id": 0,
}  # fmt: skip
DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    BERT: _BERT,
    ROBERTA: {**_BERT, "vocab_size": 50265, "pad_token_id": 1},
    XLM_ROBERTA: {**_BERT, "vocab_size": 30522, "pad_token_id": 1},
    ELECTRA: {
        **_BERT, "embedding_size": 128, "hidden_size": 256, "num_attention_heads": 4, "intermediate_size": 1024,
    },
    DISTILBERT: {
        "vocab_size": 30522, "max_position_embeddings": 512, "dim": 768, "n_layers": 6, "n_heads": 12,
        "hidden_dim": 3072, "activation": "gelu",
    },
    MODERNBERT: {
        "vocab_size": 50368, "hidden_size": 768, "intermediate_size": 1152, "num_hidden_layers": 22,
        "num_attention_heads": 12, "hidden_activation": "gelu", "max_position_embeddings": 8192, "norm_eps": 1e-5,
        "norm_bias": False, "attention_bias": False, "mlp_bias": False, "classifier_bias": False,
        "classifier_activation": "gelu", "decoder_bias": True, "local_attention": 128,
        "global_attn_every_n_layers": 3, "global_rope_theta": 160000.0, "local_rope_theta": 10000.0,
        "layer_types": None, "rope_parameters": None,
    },
}  # fmt: skip
"""What a config.json that says nothing of a setting means."""
ACTIVATIONS = {
    "gelu": "gelu", "gelu_new": "gelu_tanh", "gelu_pytorch_tanh": "gelu_tanh", "relu": "relu", "silu": "silu",
    "swish": "silu",
}  # fmt: skip
GATED = {"gelu": "geglu", "silu": "swiglu"}
"""ModernBERT's activations are those of a gate."""


def encoder_type(config: Mapping[str, Any]) -> str | None:
    """Which of ENCODERS a config.json is; None for others."""
    named = config.get("architectures")
    if isinstance(named, list) and len(named) == 1 and isinstance(named[0], str):
        begin, _, rest = named[0].partition("For")
        own = CLASSES.get(begin.removesuffix("Model"))
        return own if rest != "CausalLM" else None
    kind = config.get("model_type")
    return kind if kind in ENCODERS and named in (None, []) else None


def settings_of(kind: str, config: Mapping[str, Any]) -> EncoderConfig:
    """The settings of the body that a config.json says. Raises CheckpointError naming what can't be run exactly."""
    if config.get("quantization_config") is not None:
        raise CheckpointError("its weights are quantized (quantization_config), which lmkit does not read")
    values = {**DEFAULTS[kind], **{key: value for key, value in config.items() if value is not None}}
    try:
        if kind == DISTILBERT:
            return _distilbert(values)
        return _modernbert(values) if kind == MODERNBERT else _bert(kind, values)
    except UsageError as error:
        raise CheckpointError(f"config.json makes no model: {error}") from None


def offset_of(kind: str, config: Mapping[str, Any]) -> int:
    """How many rows of the table of positions are no position: RoBERTa's begin behind that of padding."""
    if kind not in (ROBERTA, XLM_ROBERTA):
        return 0
    return number({**DEFAULTS[kind], **config}, "pad_token_id") + 1


def _held_to(values: Mapping[str, Any], key: str, wanted: object) -> None:
    if values.get(key, wanted) != wanted:
        raise CheckpointError(f"its setting {key} {values[key]!r} is not one that lmkit runs exactly")


def _activation(values: Mapping[str, Any], key: str) -> str:
    value = values.get(key)
    if not isinstance(value, str) or value not in ACTIVATIONS:
        raise CheckpointError(f"its activation {value!r} is not one that lmkit runs: {', '.join(ACTIVATIONS)}")
    return ACTIVATIONS[value]


def _bert(kind: str, values: Mapping[str, Any]) -> EncoderConfig:
    for key, wanted in (("position_embedding_type", "absolute"), ("is_decoder", False), ("add_cross_attention", False)):
        _held_to(values, key, wanted)
    width = number(values, "hidden_size")
    embedding = number(values, "embedding_size") if kind == ELECTRA else width
    return EncoderConfig(
        vocabulary=number(values, "vocab_size"), layers=number(values, "num_hidden_layers"), width=width,
        heads=number(values, "num_attention_heads"), hidden=number(values, "intermediate_size"),
        context=number(values, "max_position_embeddings") - offset_of(kind, values),
        segments=number(values, "type_vocab_size"), embedding=0 if embedding == width else embedding,
        norm_epsilon=real(values, "layer_norm_eps"), activation=_activation(values, "hidden_act"),
    )  # fmt: skip


def _distilbert(values: Mapping[str, Any]) -> EncoderConfig:
    return EncoderConfig(
        vocabulary=number(values, "vocab_size"), layers=number(values, "n_layers"), width=number(values, "dim"),
        heads=number(values, "n_heads"), hidden=number(values, "hidden_dim"),
        context=number(values, "max_position_embeddings"), segments=0, pooler=False,
        activation=_activation(values, "activation"),
    )  # fmt: skip


def _modernbert(values: Mapping[str, Any]) -> EncoderConfig:
    for key, wanted in (("attention_bias", values["mlp_bias"]), ("classifier_bias", values["mlp_bias"])):
        _held_to(values, key, wanted)
    _held_to(values, "decoder_bias", True)
    _held_to(values, "classifier_activation", values["hidden_activation"])
    activation = GATED.get(_activation(values, "hidden_activation"))
    if activation is None:
        raise CheckpointError(f"its activation {values['hidden_activation']!r} has no gate that lmkit runs")
    layers = number(values, "num_hidden_layers")
    far, near = _thetas(values)
    return EncoderConfig(
        vocabulary=number(values, "vocab_size"), layers=layers, width=number(values, "hidden_size"),
        heads=number(values, "num_attention_heads"), hidden=number(values, "intermediate_size"),
        context=number(values, "max_position_embeddings"), segments=0, positions="rope", rope_theta=far,
        local_rope_theta=near, global_every=_global_every(values, layers),
        local_window=number(values, "local_attention"), norm="pre", norm_epsilon=real(values, "norm_eps"),
        norm_bias=values["norm_bias"] is True, activation=activation, bias=values["mlp_bias"] is True, pooler=False,
    )  # fmt: skip


def _thetas(values: Mapping[str, Any]) -> tuple[float, float]:
    """The bases of global and of local layers. Raises CheckpointError for scaled positions."""
    said = values["rope_parameters"]
    if said is None:
        far = real(values, "global_rope_theta")
        near = values["local_rope_theta"]
        return far, far if near is None else real(values, "local_rope_theta")
    found = []
    for layer in ("full_attention", "sliding_attention"):
        own = said.get(layer) if isinstance(said, dict) else None
        if not isinstance(own, dict) or own.get("rope_type", "default") != "default":
            raise CheckpointError(
                "its rotary positions (rope_parameters) are scaled, or not those of two kinds of layer"
            )
        found.append(real(own, "rope_theta"))
    return found[0], found[1]


def _global_every(values: Mapping[str, Any], layers: int) -> int:
    """Every how many layers one is global. Raises CheckpointError where they follow another pattern."""
    kinds = values["layer_types"]
    if kinds is None:
        return number(values, "global_attn_every_n_layers")
    for every in range(1, layers + 1):
        if kinds == _layer_types(every, layers):
            return every
    raise CheckpointError("its setting layer_types has no regular pattern, which is all that lmkit runs")


def _layer_types(every: int, layers: int) -> list[str]:
    return ["sliding_attention" if layer % every else "full_attention" for layer in range(layers)]


def written(settings: EncoderConfig, pad: int | None, kind: str | None = None) -> tuple[str, dict[str, Any]]:
    """The `model_type` and the config.json of an encoder. Raises CheckpointError where transformers has none such.

    `kind` is the `model_type` where it is not `kind_for`'s, as heads may want.
    """
    kind = kind_for(settings) if kind is None else kind
    theirs = {ours: their for their, ours in reversed(ACTIVATIONS.items())}
    act = theirs[settings.plain_activation]
    if kind == DISTILBERT:
        return kind, {
            "vocab_size": settings.vocabulary, "dim": settings.width, "n_layers": settings.layers,
            "n_heads": settings.heads, "hidden_dim": settings.hidden, "activation": act,
            "max_position_embeddings": settings.context, "pad_token_id": pad,
        }  # fmt: skip
    shared = {
        "vocab_size": settings.vocabulary, "hidden_size": settings.width, "num_hidden_layers": settings.layers,
        "num_attention_heads": settings.heads, "intermediate_size": settings.hidden,
        "max_position_embeddings": settings.context, "pad_token_id": pad,
    }  # fmt: skip
    if kind == MODERNBERT:
        far, near = settings.rope_theta, settings.local_rope_theta
        rope = {"full_attention": far, "sliding_attention": near}
        return kind, shared | {
            "hidden_activation": act, "norm_eps": settings.norm_epsilon, "norm_bias": settings.norm_bias,
            "attention_bias": settings.bias, "mlp_bias": settings.bias, "classifier_bias": settings.bias,
            "classifier_activation": act, "decoder_bias": True, "local_attention": settings.local_window,
            "global_attn_every_n_layers": settings.global_every, "global_rope_theta": far, "local_rope_theta": near,
            "layer_types": _layer_types(settings.global_every, settings.layers),
            "rope_parameters": {name: {"rope_theta": theta, "rope_type": "default"} for name, theta in rope.items()},
        }  # fmt: skip
    own: dict[str, Any] = {
        "hidden_act": act, "layer_norm_eps": settings.norm_epsilon, "type_vocab_size": settings.segments,
    }  # fmt: skip
    if kind == ELECTRA:
        own["embedding_size"] = settings.embedding_width
    if kind == ROBERTA:
        own |= {"pad_token_id": 1 if pad is None else pad}
        own["max_position_embeddings"] = settings.context + own["pad_token_id"] + 1
    return kind, shared | own


def kind_for(settings: EncoderConfig) -> str:
    """The `model_type` whose shape an encoder has. Raises CheckpointError naming the setting that none has."""
    if settings.positions == "rope":
        _hold(
            settings, MODERNBERT, norm="pre", normalisation="layernorm", query_key_norm=False, segments=0, embedding=0
        )
        if settings.activation not in GATED.values():
            raise CheckpointError(
                f"activation {settings.activation}: ModernBERT's has a gate, as geglu and swiglu have"
            )
        return MODERNBERT
    if settings.positions != "learned":
        raise CheckpointError(f"positions {settings.positions!r}: transformers knows rope and learned ones in encoders")
    kind = BERT
    if settings.embedding or settings.task == "discriminator":
        kind = ELECTRA
    elif settings.segments < 2:
        kind = ROBERTA if settings.segments else DISTILBERT
    _hold(
        settings, kind, norm="post", normalisation="layernorm", norm_bias=True, bias=True, query_key_norm=False,
        global_every=1,
    )  # fmt: skip
    if settings.activation not in ACTIVATIONS.values():
        raise CheckpointError(f"activation {settings.activation}: {kind}'s has no gate")
    if kind in (ELECTRA, DISTILBERT) and settings.pooler:
        raise CheckpointError(f"a pooler, which {kind} lacks")
    return kind


def _hold(settings: EncoderConfig, kind: str, **wanted: object) -> None:
    for key, value in wanted.items():
        if getattr(settings, key) != value:
            raise CheckpointError(
                f"{key.replace('_', ' ')} {getattr(settings, key)}: with {settings.positions} positions transformers "
                f"has {value}",
                hint=f"that is the shape of {kind}",
            )
