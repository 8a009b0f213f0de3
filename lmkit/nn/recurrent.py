"""Recurrent networks; the formulas stand in `architectures.recurrent`.

B batch, T time, D width, V vocabulary, L layers.
"""

import math
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from lmkit.architectures.recurrent import RNNConfig
from lmkit.nn.network import Network, ParameterSlice, State, normal, uniform

CELLS = {"elman": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}


class RecurrentNetwork(Network):
    """Embeddings, layers of cells, a head."""

    def __init__(self, settings: RNNConfig, dropout: float = 0.0) -> None:
        super().__init__()
        self.settings: RNNConfig = settings
        self.embed_tokens = nn.Embedding(settings.vocabulary, settings.width)
        self.lm_head = None if settings.tied else nn.Linear(settings.width, settings.vocabulary, bias=False)
        self.head_bias = nn.Parameter(torch.empty(settings.vocabulary)) if settings.bias else None
        size, between = settings.width, dropout if settings.layers > 1 else 0.0
        if settings.cell == "mingru":
            self.cells: nn.Module = MinimalGRU(size, settings.layers, settings.bias, between)
        else:
            own = size // len(settings.directions)
            self.cells = CELLS[settings.cell](
                size, own, settings.layers, bias=settings.bias, dropout=between, bidirectional=settings.bidirectional
            )
        self.dropout = dropout
        self.places = {name: ParameterSlice(_place(name)) for name in settings.shapes()}

    def initialise(self, generator: torch.Generator) -> None:
        """Embeddings of deviation 1 (tied: 1/sqrt D), even cells, forget gates open (bias 1), a head of zeros."""
        width = self.settings.width
        normal(self.embed_tokens.weight, generator, width**-0.5 if self.settings.tied else 1.0)
        for name, tensor in self.cells.named_parameters():
            if name.startswith("weight"):
                uniform(tensor, generator, 1.0 / math.sqrt(width))
            else:
                nn.init.zeros_(tensor)
                if self.settings.cell == "lstm" and name.startswith("bias_ih"):
                    own = len(tensor) // 4
                    nn.init.ones_(tensor[own : 2 * own])
        if self.lm_head is not None:
            nn.init.zeros_(self.lm_head.weight)
        if self.head_bias is not None:
            nn.init.zeros_(self.head_bias)

    def initial(self, rows: int, start: int) -> State:
        """No memory yet: zeros, (L, B, D); the LSTM has two of them."""
        weight = self.embed_tokens.weight
        zeros = torch.zeros(self.settings.layers, rows, self.settings.width, device=weight.device, dtype=weight.dtype)
        return (zeros, zeros) if self.settings.cell == "lstm" else zeros

    def forward(self, ids: Tensor, state: State = None) -> tuple[Tensor, State]:
        """See `Network.forward`."""
        embedded = self.embed_tokens(ids.t())  # (T, B, D)
        if self.dropout and self.training:
            embedded = functional.dropout(embedded, self.dropout)
        with _as_cells_can(embedded.device):
            outputs, state = self.cells(embedded, state)
        if self.dropout and self.training:
            outputs = functional.dropout(outputs, self.dropout)
        return outputs.transpose(0, 1), state

    def states(self, ids: Tensor, lengths: Tensor, start: int) -> Tensor:
        """Hidden vectors, (B, T, D), of items of which (B,) ids count; what is behind them changes none of theirs."""
        if not self.settings.bidirectional:
            hidden, _ = self.forward(ids, self.initial(len(ids), start))
            return hidden
        embedded = functional.dropout(self.embed_tokens(ids), self.dropout, self.training)
        packed = pack_padded_sequence(embedded, lengths.cpu(), batch_first=True, enforce_sorted=False)
        with _as_cells_can(embedded.device):
            outputs, _ = self.cells(packed)
        found, _ = pad_packed_sequence(outputs, batch_first=True, total_length=ids.shape[1])
        return functional.dropout(found, self.dropout, self.training)

    def logits(self, hidden: Tensor) -> Tensor:
        """See `Network.logits`."""
        head = self.embed_tokens if self.lm_head is None else self.lm_head
        return functional.linear(hidden, head.weight, self.head_bias)


def _as_cells_can(device: torch.device) -> AbstractContextManager[Any]:
    """Where cells run in float32 whatever --precision is: few processors have LSTMs in bf16."""
    return torch.autocast("cpu", enabled=False) if device.type == "cpu" else nullcontext()


def _place(name: str) -> str:
    """Where the module keeps the tensor that the family calls `name`."""
    if name == "lm_head.bias":
        return "head_bias"
    if not name.startswith("layers."):
        return name
    _, layer, *_, own = name.split(".")
    return f"cells.{own}_l{layer}" + ("_reverse" if ".reverse." in name else "")


class MinimalGRU(nn.Module):
    """minGRU of Feng et al. (2024): gates see the input alone, so that all of time is computed at once."""

    def __init__(self, width: int, layers: int, bias: bool, dropout: float) -> None:
        super().__init__()
        self.layers, self.dropout = layers, dropout
        for layer in range(layers):
            self.register_parameter(f"weight_ih_l{layer}", nn.Parameter(torch.empty(2 * width, width)))
            if bias:
                self.register_parameter(f"bias_ih_l{layer}", nn.Parameter(torch.empty(2 * width)))

    def forward(self, inputs: Tensor, state: Tensor | None) -> tuple[Tensor, Tensor]:
        """Outputs, (T, B, D), and the last of each layer, (L, B, D)."""
        last = []
        for layer in range(self.layers):
            weight, bias = getattr(self, f"weight_ih_l{layer}"), getattr(self, f"bias_ih_l{layer}", None)
            gate, candidate = functional.linear(inputs, weight, bias).chunk(2, dim=-1)
            before = inputs.new_zeros(inputs.shape[1:]) if state is None else state[layer]
            inputs = scan(gate, candidate, before)
            last.append(inputs[-1])
            if self.dropout and self.training and layer + 1 < self.layers:
                inputs = functional.dropout(inputs, self.dropout)
        return inputs, torch.stack(last)


def scan(gate: Tensor, candidate: Tensor, before: Tensor) -> Tensor:
    """h_t = (1 - z_t) h_{t-1} + z_t n_t for all t, (T, B, D), in log2 T rounds. Hillis and Steele (1986).

    Two steps in time, h -> a h + b and then h -> a' h + b', are one: h -> a' a h + a' b + b'. Each
    round joins runs of steps to runs twice as long. Sums in logarithms (Heinsen 2023) take one pass
    but lose digits over long texts.
    """
    keep = torch.sigmoid(-gate)
    made = torch.sigmoid(gate) * torch.where(candidate >= 0, candidate + 0.5, torch.sigmoid(candidate))
    made = torch.cat((made[:1] + keep[:1] * before, made[1:]))
    reach = 1
    while reach < len(made):
        made = torch.cat((made[:reach], torch.addcmul(made[reach:], keep[reach:], made[:-reach])))
        keep = torch.cat((keep[:reach], keep[reach:] * keep[:-reach]))
        reach *= 2
    return made
