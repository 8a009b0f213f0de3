"""Tiny encoder-decoders with random weights, sources and targets of different vocabularies."""

from dataclasses import fields

import numpy as np
from random_weights import random_tensors

from lmkit.architectures.families import SEQ2SEQ, imported
from lmkit.architectures.seq2seq_model import LoadedSeq2Seq
from lmkit.data.sequences import TextFormat
from lmkit.data.source_format import SourceFormat
from lmkit.tokenization.tokenizers import from_list

SOURCE = from_list("word", b"lleg\xc3\xb3 la bruja verde no dio una bofetada a el".split())
TARGET = from_list("word", b"the green witch arrived did not slap".split())
SMALL = {"seq2seq-rnn": {"layers": 2, "width": 8}}
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


def settings_of(kind, **changes):
    """Settings of a small model."""
    family = imported(SEQ2SEQ[kind].config)
    names = {field.name for field in fields(family)}
    given = {"vocabulary": TARGET.size, "source_vocabulary": SOURCE.size, **SMALL.get(kind, {}), **changes}
    return family(**{name: value for name, value in given.items() if name in names})


def weights_of(settings, seed=0, scale=1.0):
    """Weights for settings, none of them zero."""
    tensors = {name: array * np.float32(scale) for name, array in random_tensors(settings, seed).items()}
    return LoadedSeq2Seq(settings, TextFormat.of("line", TARGET), SourceFormat.of(SOURCE), TARGET, SOURCE, tensors)


def model_of(weights):
    """The numpy model of weights."""
    return imported(SEQ2SEQ[weights.kind].model)(weights)


def tiny_rnn(form="general", seed=0, **changes):
    """A recurrent encoder-decoder of one of RNN."""
    return model_of(weights_of(settings_of("seq2seq-rnn", **{**RNN[form], **changes}), seed))
