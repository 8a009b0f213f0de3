import numpy as np
import pytest
import tiny_seq2seq
import torch
from tiny_seq2seq import RNN

from lmkit.nn import factory
from lmkit.nn.seq2seq_rnn import Encoded


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


@pytest.mark.parametrize(
    ("attention", "weight", "vector", "context"),
    [
        ("dot", None, None, [0.755272, 0.909969]),
        ("general", [[2, 0], [0, 1]], None, [0.893493, 0.893493]),
        ("concat", [[1, 0, 0, 0], [0, 0, 1, 0]], [1, -1], [0.482895, 0.758553]),
    ],
)
def test_the_numbers_of_luong_attention(attention, weight, vector, context):
    """E6, through what is trained; the source ends before its last vector, which changes nothing."""
    settings = tiny_seq2seq.settings_of("seq2seq-rnn", attention=attention, width=2, layers=1)
    network = factory.loaded(tiny_seq2seq.weights_of(settings))
    for name, value in (("attention_weight", weight), ("attention_vector", vector)):
        if value is not None:
            network.mixing[name].data = torch.tensor(value, dtype=torch.float32)
    outputs = torch.tensor([[[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [9.0, 9.0]]])
    inside = torch.tensor([[True, True, True, False]])
    encoded = Encoded(outputs, network._keys(outputs), inside, ())
    found = network._attended(torch.tensor([[[1.0, 2.0]]]), encoded)
    np.testing.assert_allclose(found.detach()[0, 0], context, rtol=0, atol=1e-6)


def test_a_query_that_is_a_long_key_takes_its_value():
    """E8, a hard look-up, through what is trained."""
    settings = tiny_seq2seq.settings_of("seq2seq-rnn", attention="dot", width=2, layers=1)
    network = factory.loaded(tiny_seq2seq.weights_of(settings))
    keys, values = torch.eye(2)[None], torch.tensor([[[1.0, 2.0], [3.0, 4.0]]])
    encoded = Encoded(values, keys, torch.ones(1, 2, dtype=torch.bool), ())
    np.testing.assert_allclose(network._attended(1e4 * keys[:, 1:], encoded)[0, 0], [3, 4], rtol=0, atol=1e-6)
