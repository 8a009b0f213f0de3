"""Tiny encoder-decoders with random weights, sources and targets of different vocabularies."""

from dataclasses import fields

import numpy as np
from random_weights import random_tensors

from lmkit.architectures.families import SEQ2SEQ, imported
from lmkit.architectures.presets import SEQ2SEQ as SEQ2SEQ_PRESETS
from lmkit.architectures.seq2seq_model import LoadedSeq2Seq
from lmkit.data.sequences import TextFormat
from lmkit.data.source_format import SourceFormat
from lmkit.tokenization.tokenizers import from_list

SOURCE = from_list("word", b"lleg\xc3\xb3 la bruja verde no dio una bofetada a el".split())
TARGET = from_list("word", b"the green witch arrived did not slap".split())
SMALL = {
    "seq2seq-rnn": {"layers": 2, "width": 8},
    "seq2seq-transformer": {
        "layers": 2, "decoder_layers": 2, "width": 12, "heads": 3, "head_width": 4, "hidden": 16, "decoder_hidden": 16,
        "context": 32,
    },
    "prefix-lm": {
        "layers": 2, "width": 8, "heads": 2, "kv_heads": 1, "head_width": 4, "hidden": 8, "context": 64,
        "query_key_norm": True,
    },
}  # fmt: skip
RNN = {
    "fixed": {"attention": "none"},
    "context": {"attention": "none", "context_every_step": True, "cell": "gru"},
    "dot": {"attention": "dot", "cell": "elman"},
    "general": {"attention": "general"},
    "concat": {"attention": "concat", "cell": "gru", "tied": True},
    "feeding": {"attention": "general", "input_feeding": True, "context_every_step": True},
    "prev": {"attention": "general", "timing": "prev"},
    "prev-concat": {"attention": "concat", "timing": "prev", "cell": "gru", "layers": 1},
    "prev-dot": {"attention": "dot", "timing": "prev", "context_every_step": True, "cell": "elman"},
}
"""Forms of the recurrent one."""
_RELATIVE = {"buckets": 8, "distance": 6, "context": 512}
TRANSFORMERS = {
    "fast": {},
    "t5": {**SEQ2SEQ_PRESETS["t5"], **_RELATIVE, "shared": True, "decoder_layers": 3},
    "t5-1.1": {**SEQ2SEQ_PRESETS["t5-1.1"], **_RELATIVE, "shared": True, "head_width": 5},
    "marian": {**SEQ2SEQ_PRESETS["marian"], "context": 32, "tied": False},
    "bart": {**SEQ2SEQ_PRESETS["bart"], "context": 32, "shared": True, "decoder_hidden": 20},
    "shared-stacks": {**SEQ2SEQ_PRESETS["t5"], **_RELATIVE, "shared": True, "shared_stacks": True},
    "none": {"positions": "none", "activation": "gelu", "layers": 1},
}
"""Forms of the transformer."""


def settings_of(kind, **changes):
    """Settings of a small model."""
    family = imported(SEQ2SEQ[kind].config)
    names = {field.name for field in fields(family)}
    source = TARGET if kind == "prefix-lm" or changes.get("shared") else SOURCE
    given = {"vocabulary": TARGET.size, "source_vocabulary": source.size, **SMALL.get(kind, {}), **changes}
    return family(**{name: value for name, value in given.items() if name in names})


def weights_of(settings, seed=0, scale=1.0):
    """Weights for settings, none of them zero."""
    tensors = {name: array * np.float32(scale) for name, array in random_tensors(settings, seed).items()}
    source = TARGET if settings.kind == "prefix-lm" or settings.shared else SOURCE
    return LoadedSeq2Seq(settings, TextFormat.of("line", TARGET), SourceFormat.of(source), TARGET, source, tensors)


def model_of(weights):
    """The numpy model of weights."""
    return imported(SEQ2SEQ[weights.kind].model)(weights)


def tiny_transformer(form="fast", seed=0, **changes):
    """A transformer encoder-decoder of one of TRANSFORMERS."""
    return model_of(weights_of(settings_of("seq2seq-transformer", **{**TRANSFORMERS[form], **changes}), seed))


def tiny_rnn(form="general", seed=0, **changes):
    """A recurrent encoder-decoder of one of RNN."""
    return model_of(weights_of(settings_of("seq2seq-rnn", **{**RNN[form], **changes}), seed))


def tiny_prefix_lm(seed=0, **changes):
    """A prefix language model."""
    return model_of(weights_of(settings_of("prefix-lm", **changes), seed))
