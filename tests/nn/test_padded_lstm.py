import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from lmkit.nn import padded_lstm


@pytest.mark.parametrize("layers", [1, 2])
def test_outputs_states_and_gradients_are_those_of_packed_sequences(layers):
    torch.manual_seed(1)
    lstm = nn.LSTM(6, 4, layers, bidirectional=True)
    inputs, lengths = torch.randn(5, 4, 6), torch.tensor([2, 5, 1, 3])
    packed, (h, c) = lstm(pack_padded_sequence(inputs, lengths, enforce_sorted=False))
    wanted, _ = pad_packed_sequence(packed, total_length=5)
    found, (own_h, own_c) = padded_lstm.bidirectional(lstm, inputs, lengths)
    inside = torch.arange(5)[:, None] < lengths
    weights = torch.randn(wanted.shape), torch.randn(h.shape), torch.randn(c.shape)
    gradients = []
    for outputs, *states in ((wanted[inside], h, c), (found[inside], own_h, own_c)):
        lstm.zero_grad()
        (outputs * weights[0][inside]).sum().backward(retain_graph=True)
        sum((state * weight).sum() for state, weight in zip(states, weights[1:], strict=True)).backward()
        gradients.append([parameter.grad.numpy().copy() for parameter in lstm.parameters()])
    for one, other in zip((wanted[inside], h, c), (found[inside], own_h, own_c), strict=True):
        np.testing.assert_allclose(other.detach(), one.detach(), rtol=0, atol=1e-6)
    for one, other in zip(*gradients, strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-4, atol=1e-5)
    assert found.isfinite().all()
