"""Neural models with random weights, in the form of files."""

import math

import numpy as np

from lmkit.architectures.families import FAMILIES, imported
from lmkit.architectures.neural_model import LoadedModel
from lmkit.data.sequences import TextFormat


def random_tensors(settings, seed=0):
    """Weights of a size that keeps numbers moderate; those of norms around 1."""
    rng = np.random.default_rng(seed)
    tensors = {}
    for name, shape in settings.shapes().items():
        deviation = 0.3 if len(shape) == 1 or "embed" in name else 1.5 / math.sqrt(shape[-1])
        tensors[name] = rng.normal(size=shape, scale=deviation).astype(np.float32)
        if "norm" in name and name.endswith("weight"):
            tensors[name] += 1
    return tensors


def random_weights(kind, tokenizer, *, by="line", seed=0, vocabulary=None, **settings):
    """A model of a kind over a tokenizer; more ids than that has, if asked for."""
    made = imported(FAMILIES[kind].config)(vocabulary=vocabulary or tokenizer.size, **settings)
    return LoadedModel(made, TextFormat.of(by, tokenizer), tokenizer, random_tensors(made, seed))
