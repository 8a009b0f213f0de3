"""ELECTRA's two networks: what they share, and their weights by name."""

import pytest
import torch
from tiny_encoders import BERT, OURS

from lmkit.architectures.encoder import EncoderConfig
from lmkit.errors import UsageError
from lmkit.nn.electra import ElectraNetwork, generator_config, kept_tensors


def network(shape=OURS, **changes):
    made = ElectraNetwork(EncoderConfig(vocabulary=20, **{**shape, "task": "discriminator", **changes}))
    made.initialise(torch.Generator().manual_seed(0))
    return made


@pytest.mark.parametrize("shape", [OURS, {**BERT, "pooler": False}], ids=["ours", "bert"])
def test_both_share_their_embeddings_and_each_weight_has_one_name(shape):
    made = network(shape)
    assert made.generator.embed_tokens is made.discriminator.embed_tokens
    assert made.generator.embed_positions is made.discriminator.embed_positions
    arrays = made.to_arrays()
    assert sum(array.size for array in arrays.values()) == sum(one.numel() for one in made.parameters())
    assert set(kept_tensors(arrays)) == set(made.settings.shapes())
    other = network(shape)
    for parameter in other.parameters():
        torch.nn.init.zeros_(parameter)
    other.load_arrays(arrays)
    assert all((one == arrays[name]).all() for name, one in other.to_arrays().items())
    assert set(made.matrices()) < set(dict(made.named_parameters()))


def test_a_generator_has_a_quarter_of_the_heads():
    settings = EncoderConfig(vocabulary=20, task="discriminator", heads=8, width=64, hidden=128, layers=2)
    small = generator_config(settings)
    assert (small.heads, small.width, small.hidden, small.layers, small.embedding) == (2, 16, 32, 2, 64)
    assert generator_config(EncoderConfig(vocabulary=20, heads=2, width=8, hidden=16)).heads == 1


def test_only_a_discriminator_has_a_generator():
    with pytest.raises(UsageError, match="not a discriminator"):
        network(task="mlm")
