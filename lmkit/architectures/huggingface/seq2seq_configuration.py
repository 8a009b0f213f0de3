"""A config.json as settings of an encoder-decoder, and back: T5 (1.0, 1.1, Flan; mT5), MarianMT and BART.

What `Seq2SeqTransformerConfig` can't run exactly is refused by name. T5's first version multiplies its last vectors by
1 / sqrt(D), which its config.json says by tied embeddings; transformers 5 writes `scale_decoder_outputs` beside.
"""

from collections.abc import Mapping
from typing import Any

from lmkit.architectures.huggingface.config_numbers import number, real
from lmkit.architectures.huggingface.encoder_configuration import ACTIVATIONS
from lmkit.architectures.seq2seq_transformer import GATED, Seq2SeqTransformerConfig
from lmkit.errors import CheckpointError, UsageError

T5, MT5, MARIAN, BART = FAMILIES = ("t5", "mt5", "marian", "bart")
"""The values of `model_type` that are read."""
CLASSES: Mapping[str, str] = {
    "T5ForConditionalGeneration": T5, "T5WithLMHeadModel": T5, "MT5ForConditionalGeneration": MT5,
    "MarianMTModel": MARIAN, "BartForConditionalGeneration": BART,
}  # fmt: skip
NAMES = ("T5", "MT5", "Marian", "Bart")
"""How the classes of each begin."""
_T5: Mapping[str, Any] = {
    "vocab_size": 32128, "d_model": 512, "d_kv": 64, "d_ff": 2048, "num_layers": 6, "num_decoder_layers": None,
    "num_heads": 8, "relative_attention_num_buckets": 32, "relative_attention_max_distance": 128,
    "layer_norm_epsilon": 1e-6, "feed_forward_proj": "relu", "tie_word_embeddings": True, "n_positions": 512,
    "pad_token_id": 0, "eos_token_id": 1, "decoder_start_token_id": 0, "scale_decoder_outputs": None,
}  # fmt: skip
_BART: Mapping[str, Any] = {
    "vocab_size": 50265, "max_position_embeddings": 1024, "d_model": 1024, "encoder_layers": 12,
    "encoder_ffn_dim": 4096, "encoder_attention_heads": 16, "decoder_layers": 12, "decoder_ffn_dim": 4096,
    "decoder_attention_heads": 16, "activation_function": "gelu", "scale_embedding": False,
    "tie_word_embeddings": True, "pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2, "decoder_start_token_id": 2,
    "normalize_before": False, "normalize_embedding": True, "add_final_layer_norm": False,
    "static_position_embeddings": False,
}  # fmt: skip
DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    T5: _T5,
    MT5: {
        **_T5, "vocab_size": 250112, "d_ff": 1024, "num_layers": 8, "num_heads": 6, "feed_forward_proj": "gated-gelu",
        "scale_decoder_outputs": False,
    },
    BART: _BART,
    MARIAN: {
        **_BART, "vocab_size": 58101, "decoder_vocab_size": None, "share_encoder_decoder_embeddings": True,
        "pad_token_id": 58100, "bos_token_id": None, "eos_token_id": 0, "decoder_start_token_id": 58100,
        "normalize_embedding": False, "static_position_embeddings": True,
    },
}  # fmt: skip
"""What a config.json that says nothing of a setting means."""
OFFSETS: Mapping[str, int] = {BART: 2}
"""How many rows of a table of positions are no position."""


def seq2seq_type(config: Mapping[str, Any]) -> str | None:
    """Which of FAMILIES a config.json is; None for others. Raises CheckpointError for their models without a head."""
    named = config.get("architectures")
    kind = config.get("model_type")
    if isinstance(named, list) and len(named) == 1 and isinstance(named[0], str):
        found = CLASSES.get(named[0])
        if found is None and kind in FAMILIES and named[0].startswith(NAMES):
            raise CheckpointError(
                f"architecture {named[0]!r} generates no text, which lmkit reads {kind} for", hint="see " + _classes()
            )
        return found
    return kind if kind in FAMILIES and named in (None, []) else None


def _classes() -> str:
    return ", ".join(CLASSES)


def values_of(kind: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a config.json, with what it leaves unsaid."""
    return {**DEFAULTS[kind], **{key: value for key, value in config.items() if value is not None}}


def settings_of(kind: str, config: Mapping[str, Any]) -> Seq2SeqTransformerConfig:
    """The settings that a config.json says. Raises CheckpointError naming what can't be run exactly."""
    if config.get("quantization_config") is not None:
        raise CheckpointError("its weights are quantized (quantization_config), which lmkit does not read")
    values = values_of(kind, config)
    try:
        return _t5(values) if kind in (T5, MT5) else _bart(kind, values)
    except UsageError as error:
        raise CheckpointError(f"config.json makes no model: {error}") from None


def _t5(values: Mapping[str, Any]) -> Seq2SeqTransformerConfig:
    scaled = values["scale_decoder_outputs"]
    layers, hidden, vocabulary = (number(values, key) for key in ("num_layers", "d_ff", "vocab_size"))
    return Seq2SeqTransformerConfig(
        vocabulary=vocabulary, source_vocabulary=vocabulary, shared=True, layers=layers,
        decoder_layers=layers if values["num_decoder_layers"] is None else number(values, "num_decoder_layers"),
        width=number(values, "d_model"), heads=number(values, "num_heads"), head_width=number(values, "d_kv"),
        hidden=hidden, decoder_hidden=hidden, context=number(values, "n_positions"), positions="relative",
        buckets=number(values, "relative_attention_num_buckets"),
        distance=number(values, "relative_attention_max_distance"), norm_epsilon=real(values, "layer_norm_epsilon"),
        scaled_queries=False, activation=_of_t5(values["feed_forward_proj"]), tied=True,
        scaled_logits=bool(values["tie_word_embeddings"] if scaled is None else scaled),
    )  # fmt: skip


def _of_t5(said: Any) -> str:
    """The activation that `feed_forward_proj` names; its gated gelu is the tanh form."""
    gate, _, name = str(said).rpartition("-")
    plain = "gelu_tanh" if said == "gated-gelu" else ACTIVATIONS.get(name)
    gates = {own: gated for gated, own in GATED.items()}
    found = plain if gate == "" else gates.get(plain or "")
    if found is None or gate not in ("", "gated"):
        raise CheckpointError(f"its feed_forward_proj {said!r} is not one that lmkit runs")
    return found


def _bart(kind: str, values: Mapping[str, Any]) -> Seq2SeqTransformerConfig:
    for key in ("normalize_before", "normalize_embedding", "add_final_layer_norm", "static_position_embeddings"):
        if values[key] != DEFAULTS[kind][key]:
            raise CheckpointError(f"its setting {key} {values[key]!r} is not one that lmkit runs exactly")
    heads, width = number(values, "encoder_attention_heads"), number(values, "d_model")
    if heads != number(values, "decoder_attention_heads") or width % heads:
        raise CheckpointError(f"{heads} and {values['decoder_attention_heads']} heads do not share {width} evenly")
    activation = ACTIVATIONS.get(str(values["activation_function"]))
    if activation is None:
        raise CheckpointError(f"its activation {values['activation_function']!r} is not one that lmkit runs")
    apart = kind == MARIAN and values["share_encoder_decoder_embeddings"] is False
    vocabulary = number(values, "vocab_size")
    return Seq2SeqTransformerConfig(
        vocabulary=number(values, "decoder_vocab_size") if apart and values["decoder_vocab_size"] else vocabulary,
        source_vocabulary=vocabulary, shared=not apart, layers=number(values, "encoder_layers"),
        decoder_layers=number(values, "decoder_layers"), width=width, heads=heads, head_width=width // heads,
        hidden=number(values, "encoder_ffn_dim"), decoder_hidden=number(values, "decoder_ffn_dim"),
        context=number(values, "max_position_embeddings"), positions="learned" if kind == BART else "sinusoidal",
        norm="post", normalisation="layernorm", norm_epsilon=1e-5, embed_norm=kind == BART,
        scaled_embeddings=values["scale_embedding"] is True, activation=activation, bias=True, tied=True,
        logits_bias=True,
    )  # fmt: skip


def kind_for(settings: Seq2SeqTransformerConfig) -> str:
    """The `model_type` whose shape a model has. Raises CheckpointError naming the setting that none has."""
    if settings.positions == "relative":
        _hold(
            settings, T5, norm="pre", normalisation="rmsnorm", embed_norm=False, scaled_embeddings=False,
            scaled_queries=False, bias=False, logits_bias=False, shared=True,
            decoder_hidden=settings.hidden,
        )  # fmt: skip
        if settings.activation not in _T5_NAMES:
            raise CheckpointError(f"activation {settings.activation}: T5's are {', '.join(_T5_NAMES)}")
        return T5
    if settings.positions == "none":
        raise CheckpointError("no positions: T5, Marian and BART have some")
    kind = BART if settings.positions == "learned" else MARIAN
    _hold(
        settings, kind, norm="post", normalisation="layernorm", norm_epsilon=1e-5, embed_norm=kind == BART,
        scaled_queries=True, bias=True, scaled_logits=False, head_width=settings.width // settings.heads,
    )  # fmt: skip
    if settings.activation not in ACTIVATIONS.values():
        raise CheckpointError(f"activation {settings.activation}: {kind}'s has no gate")
    if kind == BART and not settings.shared:
        raise CheckpointError("two vocabularies: BART has one")
    return kind


_T5_NAMES = {
    "relu": "relu", "gelu": "gelu", "gelu_tanh": "gelu_new", "silu": "silu", "geglu_tanh": "gated-gelu",
    "reglu": "gated-relu", "swiglu": "gated-silu",
}  # fmt: skip


def _hold(settings: Seq2SeqTransformerConfig, kind: str, **wanted: object) -> None:
    for key, value in wanted.items():
        if getattr(settings, key) != value:
            raise CheckpointError(
                f"{key.replace('_', ' ')} {getattr(settings, key)}: with {settings.positions} positions transformers "
                f"has {value}",
                hint=f"that is the shape of {kind}, which `train seq2seq --preset {kind}` trains",
            )


def written(settings: Seq2SeqTransformerConfig) -> tuple[str, dict[str, Any]]:
    """The `model_type` and the config.json of a model. Raises CheckpointError where transformers has none such."""
    kind = kind_for(settings)
    if kind == T5:
        return kind, {
            "vocab_size": settings.vocabulary, "d_model": settings.width, "d_kv": settings.head_width,
            "d_ff": settings.hidden, "num_layers": settings.layers, "num_decoder_layers": settings.decoder_layers,
            "num_heads": settings.heads, "relative_attention_num_buckets": settings.buckets,
            "relative_attention_max_distance": settings.distance, "layer_norm_epsilon": settings.norm_epsilon,
            "feed_forward_proj": _T5_NAMES[settings.activation], "n_positions": settings.context,
            "tie_word_embeddings": settings.scaled_logits, "scale_decoder_outputs": settings.scaled_logits,
        }  # fmt: skip
    theirs = {ours: their for their, ours in reversed(ACTIVATIONS.items())}
    own: dict[str, Any] = {}
    if kind == MARIAN:
        apart = not settings.shared
        own = {"share_encoder_decoder_embeddings": not apart, "decoder_vocab_size": settings.vocabulary}
    return kind, own | {
        "vocab_size": settings.source_vocabulary, "d_model": settings.width,
        "max_position_embeddings": settings.context, "encoder_layers": settings.layers,
        "encoder_ffn_dim": settings.hidden, "encoder_attention_heads": settings.heads,
        "decoder_layers": settings.decoder_layers, "decoder_ffn_dim": settings.decoder_hidden,
        "decoder_attention_heads": settings.heads, "num_hidden_layers": settings.layers,
        "activation_function": theirs[settings.activation], "scale_embedding": settings.scaled_embeddings,
        "tie_word_embeddings": settings.tied,
    }  # fmt: skip
