"""Shapes with names: small ones to train here, and those of published models to count.

Sources: Radford et al. (2018, 2019), Devlin et al. (2019), Touvron et al. (2023), and the configurations
published with the weights of Llama, SmolLM2 and Qwen. Heads stand where they are, though BERT-large is
sometimes said to have 12; they change no count.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from lmkit.architectures.encoder import EncoderConfig
from lmkit.architectures.seq2seq_transformer import Seq2SeqTransformerConfig
from lmkit.architectures.transformer import TransformerConfig
from lmkit.errors import UsageError

_OF_GPT: Mapping[str, Any] = {
    "positions": "learned", "normalisation": "layernorm", "norm_epsilon": 1e-5, "activation": "gelu",
    "bias": "all", "tied": True,
}  # fmt: skip
SMALL: Mapping[str, Mapping[str, Any]] = {
    "fast": {"query_key_norm": True},
    "gpt2": {**_OF_GPT, "hidden": 512},
    "llama": {"norm_epsilon": 1e-5},
}
"""What each small shape changes in the settings' own; `fast` is Qwen3's kind of block."""


def transformer(name: str, *, vocabulary: int, context: int, **changes: Any) -> TransformerConfig:
    """A small transformer of a known kind, `fast`, `gpt2` or `llama`, but for some settings.

    Raises UsageError for other names, and where settings make no model.
    """
    if name not in SMALL:
        raise UsageError(f"no preset {name!r}", hint=f"there are {', '.join(SMALL)}")
    return TransformerConfig(vocabulary=vocabulary, context=context, **{**SMALL[name], **changes})


ENCODERS: Mapping[str, Mapping[str, Any]] = {
    "bert-base": {},
    "bert-large": {"layers": 24, "width": 1024, "heads": 16, "hidden": 4096},
    "roberta": {"segments": 1, "norm_epsilon": 1e-5},
    "electra-small": {"width": 256, "heads": 4, "hidden": 1024, "embedding": 128, "pooler": False},
    "modernbert-base": {
        "layers": 22, "hidden": 1152, "context": 8192, "segments": 0, "positions": "rope", "rope_theta": 160000.0,
        "global_every": 3, "local_window": 128, "norm": "pre", "norm_epsilon": 1e-5, "norm_bias": False,
        "activation": "geglu", "bias": False, "pooler": False,
    },
}  # fmt: skip
"""The shapes of published encoders; each loads in transformers when exported."""


FAST_ENCODER: Mapping[str, Any] = {
    "segments": 0, "positions": "rope", "norm": "pre", "normalisation": "rmsnorm", "norm_epsilon": 1e-6,
    "activation": "geglu", "bias": False, "query_key_norm": True, "pooler": False, "tied": False,
}  # fmt: skip
"""What the shape that learns most per unit of time changes in BERT's; it has no counterpart in transformers."""


def encoder(name: str, *, vocabulary: int, **changes: Any) -> EncoderConfig:
    """An encoder of a known shape, `fast` or one of ENCODERS, but for some settings.

    Raises UsageError for other names, and where settings make no model.
    """
    shapes = {"fast": FAST_ENCODER, **ENCODERS}
    if name not in shapes:
        raise UsageError(f"no preset {name!r}", hint=f"there are {', '.join(shapes)}")
    return EncoderConfig(vocabulary=vocabulary, **{**shapes[name], **changes})


_POST: Mapping[str, Any] = {
    "norm": "post", "normalisation": "layernorm", "norm_epsilon": 1e-5, "bias": True, "tied": True,
    "logits_bias": True,
}  # fmt: skip
_RELATIVE: Mapping[str, Any] = {"positions": "relative", "scaled_queries": False, "context": 512}
SEQ2SEQ: Mapping[str, Mapping[str, Any]] = {
    "fast": {},
    "t5": {**_RELATIVE, "activation": "relu", "tied": True, "scaled_logits": True},
    "t5-1.1": {**_RELATIVE, "activation": "geglu_tanh"},
    "marian": {**_POST, "activation": "silu", "scaled_embeddings": True, "context": 512},
    "bart": {**_POST, "positions": "learned", "activation": "gelu", "embed_norm": True},
}
"""What each transformer encoder-decoder changes in ours; all but `fast` load in transformers when exported."""


def seq2seq(name: str, *, vocabulary: int, source_vocabulary: int, **changes: Any) -> Seq2SeqTransformerConfig:
    """A transformer encoder-decoder of a known kind, one of SEQ2SEQ, but for some settings.

    Raises UsageError for other names, and where settings make no model.
    """
    if name not in SEQ2SEQ:
        raise UsageError(f"no preset {name!r}", hint=f"there are {', '.join(SEQ2SEQ)}")
    return Seq2SeqTransformerConfig(
        vocabulary=vocabulary, source_vocabulary=source_vocabulary, **{**SEQ2SEQ[name], **changes}
    )


def _gpt(
    layers: int, width: int, *, vocabulary: int = 50257, context: int = 1024, norm: str = "pre"
) -> TransformerConfig:
    """GPT and GPT-2; heads have 64 numbers."""
    return TransformerConfig(
        vocabulary=vocabulary, context=context, layers=layers, width=width, hidden=4 * width, norm=norm,
        heads=width // 64, kv_heads=width // 64, head_width=64, **_OF_GPT,
    )  # fmt: skip


def _llama(
    vocabulary: int, layers: int, width: int, hidden: int, heads: int, kv_heads: int, context: int, **more: Any
) -> TransformerConfig:
    """Llama and its relatives, whose heads part the width unless `head_width` says otherwise."""
    more = {"head_width": width // heads, **more}
    return TransformerConfig(
        vocabulary=vocabulary, layers=layers, width=width, hidden=hidden,
        heads=heads, kv_heads=kv_heads, context=context, **more,
    )  # fmt: skip


_qwen3 = partial(_llama, 151936, head_width=128, query_key_norm=True, rope_theta=1e6, context=40960)
_smollm2 = partial(_llama, 49152, tied=True, rope_theta=1e5, context=8192, norm_epsilon=1e-5)
PUBLISHED: Mapping[str, Callable[[], TransformerConfig | EncoderConfig]] = {
    "gpt1": lambda: _gpt(12, 768, vocabulary=40478, context=512, norm="post"),
    "gpt2": lambda: _gpt(12, 768),
    "gpt2-medium": lambda: _gpt(24, 1024),
    "gpt2-large": lambda: _gpt(36, 1280),
    "gpt2-xl": lambda: _gpt(48, 1600),
    "bert-base": lambda: encoder("bert-base", vocabulary=30522),
    "bert-large": lambda: encoder("bert-large", vocabulary=30522),
    "roberta": lambda: encoder("roberta", vocabulary=50265),
    "electra-small": lambda: encoder("electra-small", vocabulary=30522),
    "modernbert-base": lambda: encoder("modernbert-base", vocabulary=50368),
    "llama-7b": lambda: _llama(32000, 32, 4096, 11008, 32, 32, 2048),
    "llama-13b": lambda: _llama(32000, 40, 5120, 13824, 40, 40, 2048),
    "llama-3-8b": lambda: _llama(128256, 32, 4096, 14336, 32, 8, 8192, rope_theta=5e5, norm_epsilon=1e-5),
    "smollm2-135m": lambda: _smollm2(30, 576, 1536, 9, 3),
    "smollm2-360m": lambda: _smollm2(32, 960, 2560, 15, 5),
    "smollm2-1.7b": lambda: _smollm2(24, 2048, 8192, 32, 32, rope_theta=1.3e5),
    "qwen2.5-0.5b": lambda: _llama(151936, 24, 896, 4864, 14, 2, 32768, bias="qkv", tied=True, rope_theta=1e6),
    "qwen3-0.6b": lambda: _qwen3(28, 1024, 3072, 16, 8, tied=True),
    "qwen3-1.7b": lambda: _qwen3(28, 2048, 6144, 16, 8, tied=True),
}
"""The settings of published models, made when asked for."""


def published(name: str) -> TransformerConfig | EncoderConfig:
    """The settings of a published model. Raises UsageError for a name that is not in PUBLISHED."""
    if name not in PUBLISHED:
        raise UsageError(f"no preset {name!r}", hint=f"there are {', '.join(PUBLISHED)}")
    return PUBLISHED[name]()
