"""The families of neural language models: where the config, the numpy model and the torch network of each are.

Classes of other rooms are named, not imported, since only the one that is used may be loaded.
"""

from collections.abc import Mapping
from importlib import import_module
from typing import Any, NamedTuple


class Family(NamedTuple):
    """The classes of a family, each as `module:class`."""

    config: str
    model: str
    network: str


FAMILIES: Mapping[str, Family] = {
    "ffn": Family(
        "lmkit.architectures.feedforward:FFNConfig",
        "lmkit.inference.feedforward:FeedForwardModel",
        "lmkit.nn.feedforward:FeedForwardNetwork",
    ),
    "rnn": Family(
        "lmkit.architectures.recurrent:RNNConfig",
        "lmkit.inference.recurrent:RecurrentModel",
        "lmkit.nn.recurrent:RecurrentNetwork",
    ),
    "transformer": Family(
        "lmkit.architectures.transformer:TransformerConfig",
        "lmkit.inference.transformer:TransformerModel",
        "lmkit.nn.transformer:TransformerNetwork",
    ),
}

ENCODER = Family(
    "lmkit.architectures.encoder:EncoderConfig",
    "lmkit.inference.encoder:EncoderModel",
    "lmkit.nn.encoder:EncoderNetwork",
)
"""Encoders are no language models: they do not say what comes next."""
SEQ2SEQ: Mapping[str, Family] = {
    "seq2seq-rnn": Family(
        "lmkit.architectures.seq2seq_rnn:Seq2SeqRNNConfig",
        "lmkit.inference.seq2seq_rnn:Seq2SeqRNNModel",
        "lmkit.nn.seq2seq_rnn:Seq2SeqRNNNetwork",
    ),
    "seq2seq-transformer": Family(
        "lmkit.architectures.seq2seq_transformer:Seq2SeqTransformerConfig",
        "lmkit.inference.seq2seq_transformer:Seq2SeqTransformerModel",
        "lmkit.nn.seq2seq_transformer:Seq2SeqTransformerNetwork",
    ),
    "prefix-lm": Family(
        "lmkit.architectures.prefix_lm:PrefixLMConfig",
        "lmkit.inference.prefix_lm:PrefixLMModel",
        "lmkit.nn.prefix_lm:PrefixLMNetwork",
    ),
}
"""Encoder-decoders: language models only once a source is given."""
VISION = Family(
    "lmkit.architectures.vision:VisionConfig",
    "lmkit.inference.vision:VisionModel",
    "lmkit.nn.vision:VisionNetwork",
)
"""Vision transformers read images, not tokens."""
CAPTIONER = "lmkit.inference.captioner:Captioner"
"""What a language model and a vision transformer make together."""
NETWORKS: Mapping[str, Family] = {**FAMILIES, "encoder": ENCODER, **SEQ2SEQ}
"""The families that have networks, by the kind of their settings."""


def imported(place: str) -> Any:
    """Return the class that `module:class` names."""
    module, _, name = place.partition(":")
    return getattr(import_module(module), name)
