import pytest
import tiny_seq2seq
import torch
from tiny_seq2seq import TRANSFORMERS

from lmkit.nn import factory


@pytest.mark.parametrize("form", TRANSFORMERS)
def test_every_weight_learns_and_first_values_are_numbers(form):
    settings = tiny_seq2seq.settings_of("seq2seq-transformer", **TRANSFORMERS[form])
    network = factory.loaded(tiny_seq2seq.weights_of(settings), dropout=0.1)
    inputs = torch.tensor([[3, 4, 5, 2]]), torch.tensor([4]), torch.tensor([[1, 3, 4]])
    network.logits(network.hidden(*inputs)).square().sum().backward()
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in network.parameters())
    parameters = dict(network.named_parameters())
    assert {name: sum(rows) for name, rows in network.matrices().items()} == {
        name: len(parameters[name]) for name in network.matrices()
    }
    made = factory.initialised(settings, seed=3).eval()
    with torch.no_grad():
        logits = made.logits(made.hidden(*inputs))
    assert logits.isfinite().all()
    assert logits.abs().max() < 10
