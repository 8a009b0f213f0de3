import numpy as np
import pytest
import tiny_seq2seq
import torch
from tiny_seq2seq import RNN

from lmkit.nn import factory


@pytest.mark.parametrize("form", RNN)
def test_neither_padding_nor_the_future_changes_anything(form):
    settings = tiny_seq2seq.settings_of("seq2seq-rnn", **RNN[form])
    network = factory.loaded(tiny_seq2seq.weights_of(settings)).eval()
    sources, lengths = torch.tensor([[3, 4, 5, 2], [6, 2, 0, 0]]), torch.tensor([4, 2])
    inputs = torch.tensor([[1, 3, 4], [1, 5, 0]])
    with torch.no_grad():
        hidden = network.hidden(sources, lengths, inputs)
        other = network.hidden(
            torch.tensor([[3, 4, 5, 2, 9], [6, 2, 7, 8, 9]]), lengths, torch.tensor([[1, 3, 5], [1, 5, 6]])
        )
    np.testing.assert_allclose(other[:, :2], hidden[:, :2], rtol=0, atol=1e-6)
    assert not np.allclose(other[0, 2], hidden[0, 2])


@pytest.mark.parametrize("form", ["general", "prev", "fixed"])
def test_every_weight_learns(form):
    settings = tiny_seq2seq.settings_of("seq2seq-rnn", **RNN[form])
    network = factory.loaded(tiny_seq2seq.weights_of(settings), dropout=0.1)
    hidden = network.hidden(torch.tensor([[3, 4, 5, 2]]), torch.tensor([4]), torch.tensor([[1, 3, 4]]))
    network.logits(hidden).square().sum().backward()
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in network.parameters())
    rows = {name: sum(blocks) for name, blocks in network.matrices().items()}
    assert rows == {name: len(dict(network.named_parameters())[name]) for name in rows}
