"""Weights that take fewer operations: the same function."""

import numpy as np
import pytest
from random_weights import random_weights
from rounding import assert_close, shape_of
from small_networks import TOKENIZER
from test_models import SMALL, TRANSFORMERS, some_ids

from lmkit.inference import weight_folding
from lmkit.inference.transformer_layers import Decoder

FOLDED = {
    **{
        name: own for name, own in TRANSFORMERS.items() if own.get("norm", "pre") == "pre" and own.get("residual", True)
    },
    "layernorm": {"normalisation": "layernorm"},
    "layernorm-tied": {"normalisation": "layernorm", "tied": True, "query_key_norm": True, "bias": "qkv"},
    "layernorm-sinusoidal": {"normalisation": "layernorm", "positions": "sinusoidal", "bias": "all"},
}


@pytest.mark.parametrize("name", FOLDED)
def test_the_function_is_the_same(name):
    weights = random_weights("transformer", TOKENIZER, **{**SMALL, **FOLDED[name]})
    changed = weight_folding.folded(weights)
    assert "layers.1.input_layernorm.weight" in weights.tensors
    assert not any("layernorm" in tensor for tensor in changed.tensors)
    assert (changed.settings.normalisation == "layernorm") == (name == "layernorm-sinusoidal")
    plain, fewer = Decoder(weights), Decoder(changed)
    ids = some_ids(min(7, weights.settings.context))[None]
    assert_close(fewer.whole(ids), plain.whole(ids), **shape_of(weights.settings))
    np.testing.assert_array_equal(fewer.head.next_many(plain.whole(ids)[0]), plain.head.next_many(plain.whole(ids)[0]))


@pytest.mark.parametrize("name", ["post-rms", "course", "no-residual"])
def test_other_norms_stay_as_they_are(name):
    weights = random_weights("transformer", TOKENIZER, **{**SMALL, **TRANSFORMERS[name]})
    assert weight_folding.folded(weights) is weights


def test_big_models_stay_as_they_are(monkeypatch):
    weights = random_weights("transformer", TOKENIZER, **SMALL)
    size = sum(tensor.size for tensor in weights.tensors.values())
    monkeypatch.setattr(weight_folding, "SMALL", size)
    assert weight_folding.folded(weights) is not weights
    monkeypatch.setattr(weight_folding, "SMALL", size - 1)
    assert weight_folding.folded(weights) is weights
