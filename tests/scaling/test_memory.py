"""Memory of training, against what torch keeps for the backward pass."""

import pytest
import torch
from torch.nn import functional

from lmkit.architectures.encoder import EncoderConfig
from lmkit.architectures.transformer import TransformerConfig
from lmkit.nn import factory
from lmkit.scaling import memory

GPT = {"positions": "learned", "normalisation": "layernorm", "activation": "gelu", "bias": "all", "tied": True}


def kept(settings, ids):
    """Bytes of the tensors that autograd keeps, but for parameters."""
    network = factory.initialised(settings, seed=0)
    found = {}

    def keep(tensor):
        storage = tensor.untyped_storage()
        found[storage.data_ptr()] = storage
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        hidden, _ = network(ids)
        loss = functional.cross_entropy(network.logits(hidden).flatten(0, 1), ids.flatten())
    parameters = {parameter.untyped_storage().data_ptr() for parameter in network.parameters()}
    assert loss.isfinite()
    return sum(storage.nbytes() for place, storage in found.items() if place not in parameters)


@pytest.mark.parametrize("changes", [{**GPT, "hidden": 512}, {}], ids=["gpt2", "llama"])
def test_activations_are_those_of_torch(changes):
    settings = TransformerConfig(vocabulary=100, layers=3, **changes)
    ids = torch.zeros(4, 64, dtype=torch.long)
    found = memory.needed(settings, batch=4, context=64, optimizer="adamw", precision="fp32")
    assert found.activations == pytest.approx(kept(settings, ids), rel=0.12)


def test_sums():
    settings = EncoderConfig(vocabulary=100, layers=2, width=32, heads=4, hidden=64, context=16)
    one = memory.needed(settings, batch=2, context=16, optimizer="adamw", precision="bf16")
    assert (
        one.training
        == one.weights + one.gradients + one.optimizer + one.activations
        == 16 * settings.parameters + (2 * 16 * 2 * (8 * 32 + 2 * 64) * 2)
    )
    assert one.kv_cache == 0
    muon = memory.needed(settings, batch=2, context=16, optimizer="muon", precision="bf16")
    assert one.optimizer - muon.optimizer == 4 * 2 * (4 * 32**2 + 2 * 32 * 64)
