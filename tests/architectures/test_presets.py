"""Small shapes with names."""

import pytest

from lmkit.architectures import presets
from lmkit.errors import UsageError


def test_small_shapes():
    fast, gpt2, llama = (presets.transformer(name, vocabulary=65, context=32) for name in presets.SMALL)
    assert (fast.query_key_norm, fast.positions, fast.tied, fast.bias) == (True, "rope", False, "none")
    assert (gpt2.positions, gpt2.normalisation, gpt2.activation, gpt2.bias, gpt2.tied) == (
        "learned", "layernorm", "gelu", "all", True,
    )  # fmt: skip
    assert (llama.query_key_norm, llama.activation, llama.normalisation) == (False, "swiglu", "rmsnorm")
    assert {(each.vocabulary, each.context, each.norm) for each in (fast, gpt2, llama)} == {(65, 32, "pre")}


def test_a_small_shape_with_changes():
    changed = presets.transformer("gpt2", vocabulary=65, context=32, tied=False, layers=1)
    assert (changed.tied, changed.layers, changed.positions) == (False, 1, "learned")


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("bert-base", 109_482_240),
        ("roberta", 124_644_096),
        ("electra-small", 13_483_008),
        ("modernbert-base", 149_014_272),
    ],
)
def test_bodies_of_published_encoders_have_their_size(name, parameters):
    assert presets.published(name).parameters == parameters


@pytest.mark.parametrize("of", [lambda: presets.transformer("gpt3", vocabulary=2, context=2),
                                lambda: presets.published("fast")])  # fmt: skip
def test_names_that_there_are_not(of):
    with pytest.raises(UsageError, match="no preset"):
        of()
