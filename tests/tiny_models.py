"""Settings of tiny models of every family."""

from lmkit.architectures.feedforward import FFNConfig
from lmkit.architectures.recurrent import RNNConfig
from lmkit.architectures.transformer import TransformerConfig

VOCABULARY = 11
SMALL = {
    "ffn": {"context": 3, "width": 6, "hidden": 10},
    "rnn": {"layers": 2, "width": 8},
    "transformer": {"layers": 2, "width": 8, "heads": 2, "kv_heads": 2, "head_width": 4, "hidden": 12, "context": 12},
}


def settings_of(kind, **more):
    family = {"ffn": FFNConfig, "rnn": RNNConfig, "transformer": TransformerConfig}[kind]
    return family(**{"vocabulary": VOCABULARY, **SMALL[kind], **more})
