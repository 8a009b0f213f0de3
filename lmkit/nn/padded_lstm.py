"""A bidirectional LSTM over sequences padded behind, in the fused kernel of CPUs, which knows no lengths.

Packed sequences take the steps one by one there, half as fast again.

B sequences, S steps of the longest, I inputs, H hidden size of a direction, L layers.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

HELD = 1e4
"""What is added to gates where a sequence has ended: sigmoid is 0 or 1 then to the last bit, and memory c stays."""


def bidirectional(lstm: nn.LSTM, inputs: Tensor, lengths: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """Return outputs, (S, B, 2 H), and the states h and c at the ends, (2 L, B, H), of inputs, (S, B, I).

    The same as of packed sequences, but that outputs behind an end are arbitrary; they are finite.
    """
    steps, rows = inputs.shape[:2]
    places = torch.arange(steps)[:, None]
    ended = (places >= lengths).to(inputs.dtype)[..., None]
    columns = torch.arange(rows)
    turned = (torch.where(places < lengths, lengths - 1 - places, places) * rows + columns).flatten()
    last = (lengths - 1) * rows + columns
    final = list[tuple[Tensor, Tensor]]()
    for layer in range(lstm.num_layers):
        found = []
        for suffix in ("", "_reverse"):
            read = _taken(inputs, turned).view_as(inputs) if suffix else inputs
            weights = [getattr(lstm, f"{name}_l{layer}{suffix}") for name in WEIGHTS]
            outputs, memory = _run(read, ended, weights)
            final.append((_taken(outputs, last), memory))
            found.append(_taken(outputs, turned).view_as(outputs) if suffix else outputs)
        inputs = torch.cat(found, dim=-1)
        if layer < lstm.num_layers - 1:
            inputs = functional.dropout(inputs, lstm.dropout, lstm.training)
    return inputs, (torch.stack([h for h, _ in final]), torch.stack([c for _, c in final]))


WEIGHTS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


def _run(inputs: Tensor, ended: Tensor, weights: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Outputs of one direction, (S, B, H), and c at the ends, (B, H): one more input says that a sequence has ended."""
    into, between, *biases = weights
    hidden = between.shape[1]
    column = into.new_zeros(4 * hidden, 1)
    column[:hidden], column[hidden : 2 * hidden] = -HELD, HELD  # i and f
    zeros = inputs.new_zeros(1, inputs.shape[1], hidden)
    joined = [torch.cat((into, column), dim=1), between, *biases]
    flags = (True, 1, 0.0, torch.is_grad_enabled(), False, False)
    outputs, _, memory = torch.lstm(torch.cat((inputs, ended), dim=-1), (zeros, zeros), joined, *flags)
    return outputs, memory[0]


def _taken(sequences: Tensor, places: Tensor) -> Tensor:
    """The vectors, (N, D), at N places of all steps and sequences, (S, B, D)."""
    return sequences.flatten(0, 1).index_select(0, places)
