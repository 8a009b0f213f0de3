"""Tuned language models: packed sequences, nats in slices with their gradients, adapters beside merged weights."""

import numpy as np
import pytest
import torch
from random_weights import random_weights
from torch.nn import functional

from lmkit.architectures.adapters import Adapter, AdapterWeights
from lmkit.nn import answer_loss, factory
from lmkit.nn.tuned_language_model import TunedLanguageModel, tuned_tensors
from lmkit.tokenization.tokenizers import ByteTokenizer

LENGTHS = [5, 1, 9, 3]
ADAPTER = Adapter(rank=2, alpha=3.0, targets=("q_proj", "v_proj", "o_proj", "up_proj", "down_proj"))


def weights(**more):
    sizes = {"layers": 2, "width": 8, "heads": 2, "kv_heads": 1, "head_width": 4, "hidden": 12, "context": 16}
    return random_weights("transformer", ByteTokenizer(), **{**sizes, **more})


def sequences():
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(0, 256, (len(LENGTHS), max(LENGTHS)), generator=generator)
    return ids, torch.tensor(LENGTHS)


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"positions": "learned", "normalisation": "layernorm", "activation": "gelu", "bias": "all"},
        {"positions": "sinusoidal", "norm": "post"},
    ],
)
def test_packed_sequences_see_themselves_alone(more):
    network = TunedLanguageModel(factory.loaded(weights(**more)), trained=())
    ids, lengths = sequences()
    together = network.states(ids, lengths)
    alone = [network.states(ids[row : row + 1, :length], torch.tensor([length])) for row, length in enumerate(LENGTHS)]
    padded = [network(ids[row : row + 1])[0][0, :length] for row, length in enumerate(LENGTHS)]
    torch.testing.assert_close(together, torch.cat(alone), rtol=0, atol=4e-6)
    torch.testing.assert_close(together, torch.cat(padded), rtol=0, atol=4e-6)


@pytest.mark.slow
def test_gradients_of_activations_that_are_computed_again():
    ids, lengths = sequences()
    found = []
    for recompute in (False, True):
        body = factory.loaded(weights(), dropout=0.2)
        network = TunedLanguageModel(body, trained=(), adapter=ADAPTER, recompute=recompute)
        network.initialise(torch.Generator().manual_seed(0))
        torch.manual_seed(3)
        network.train().states(ids, lengths).square().sum().backward()
        found.append([tensor.grad for tensor in network.adapters.tensors.values()])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("frozen", [True, False])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_nats_in_slices_and_their_gradients(monkeypatch, frozen, smoothing):
    monkeypatch.setattr(answer_loss, "SLICE", 300 * 3)
    network = factory.loaded(weights(tied=False)).eval()
    network.lm_head.weight.requires_grad_(not frozen)
    hidden = torch.randn(7, 8, generator=torch.Generator().manual_seed(1), requires_grad=True)
    targets, scale = torch.arange(7) * 11, torch.linspace(-1, 2, 7)
    found = answer_loss.token_nats(network, hidden, targets, smoothing)
    logits = network.logits(hidden)
    wanted = functional.cross_entropy(logits, targets, reduction="none", label_smoothing=smoothing)
    torch.testing.assert_close(found.loss, wanted)
    torch.testing.assert_close(found.nats, functional.cross_entropy(logits, targets, reduction="none"))
    assert torch.equal(found.right, logits.argmax(dim=-1) == targets)
    learned = [hidden] if frozen else [hidden, network.lm_head.weight]
    ours = torch.autograd.grad((found.loss * scale).sum(), learned)
    theirs = torch.autograd.grad((wanted * scale).sum(), learned)
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other)


def test_adapters_add_what_merged_weights_have():
    base = weights()
    network = TunedLanguageModel(factory.loaded(base), trained=(), adapter=ADAPTER)
    network.initialise(torch.Generator().manual_seed(0))
    ids, lengths = sequences()
    before = factory.loaded(base).packed(ids.flatten()[:9], [9])
    with torch.no_grad():
        assert torch.equal(network.body.packed(ids.flatten()[:9], [9]), before)
        for tensor in network.adapters.tensors.values():
            tensor.add_(torch.randn(tensor.shape, generator=torch.Generator().manual_seed(2)))
        with network.untuned():
            assert torch.equal(network.body.packed(ids.flatten()[:9], [9]), before)
        found = network.states(ids, lengths)
    merged = AdapterWeights(ADAPTER, base.digest, network.to_arrays()).merged_into(base)
    with torch.no_grad():
        wanted = TunedLanguageModel(factory.loaded(merged), trained=()).states(ids, lengths)
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5)
    assert sum(array.size for array in network.to_arrays().values()) == sum(
        np.prod(shape) for shape in ADAPTER.shapes(base.settings).values()
    )


def test_which_tensors_are_tuned():
    body = factory.loaded(weights(tied=False))
    assert tuned_tensors(body, "all") == set(body.places)
    assert tuned_tensors(body, "head") == {"lm_head.weight"}
    assert {name.split(".")[1] for name in tuned_tensors(body, "layers", (1, 1))} == {"1"}
    assert not tuned_tensors(factory.loaded(weights(tied=True)), "head")
    assert not tuned_tensors(body, "lora")
