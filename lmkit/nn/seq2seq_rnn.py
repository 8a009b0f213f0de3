"""Recurrent encoder-decoders; the formulas are in `architectures.seq2seq_rnn`.

B pairs, S tokens of the longest source, T of the longest target, D width, V vocabulary of targets, L layers.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from lmkit.architectures.seq2seq_rnn import CONCAT, Seq2SeqRNNConfig
from lmkit.nn import padded_lstm
from lmkit.nn.network import ParameterSlice, normal, uniform
from lmkit.nn.recurrent import CELLS
from lmkit.nn.seq2seq import Seq2SeqNetwork

Memories = tuple[Tensor, ...]
"""What the decoder's layers keep: h, and c for an lstm, each (L, B, D)."""
STEPS = {"elman": torch.rnn_tanh_cell, "gru": torch.gru_cell}


class Encoded(NamedTuple):
    """What the decoder needs of sources: outputs (B, S, D), the keys of attention, which tokens count, final states."""

    outputs: Tensor
    keys: Tensor
    inside: Tensor
    final: Memories

    @property
    def context(self) -> Tensor:
        """c, (B, D)."""
        return self.final[0][-1]


class Seq2SeqRNNNetwork(Seq2SeqNetwork):
    """Embeddings, an encoder of cells in both directions, attention, a decoder of cells, a head."""

    settings: Seq2SeqRNNConfig

    def __init__(self, settings: Seq2SeqRNNConfig, dropout: float = 0.0) -> None:
        super().__init__()
        self.settings, self.dropout = settings, dropout
        width = settings.width
        self.embed_tokens = nn.Embedding(settings.vocabulary, width)
        self.embed_sources = self.embed_tokens if settings.shared else nn.Embedding(settings.source_vocabulary, width)
        between = dropout if settings.layers > 1 else 0.0
        self.encoder = CELLS[settings.cell](width, width // 2, settings.layers, dropout=between, bidirectional=True)
        self.decoder = nn.ParameterDict()
        for name, shape in settings.shapes().items():
            if name.startswith("decoder.layers."):
                self.decoder[_decoder_name(name)] = nn.Parameter(torch.empty(shape))
        shapes = settings.shapes()
        own = [name for name in ("attention.weight", "attention.vector", "readout.weight") if name in shapes]
        self.mixing = nn.ParameterDict(
            {name.replace(".", "_"): nn.Parameter(torch.empty(shapes[name])) for name in own}
        )
        self.lm_head = None if settings.tied else nn.Linear(width, settings.vocabulary, bias=False)
        self.head_bias = nn.Parameter(torch.empty(settings.vocabulary))
        self.places = {name: ParameterSlice(self._place(name)) for name in shapes}

    def _place(self, name: str) -> str:
        """Where the module keeps the tensor that the family calls `name`."""
        if name == self.settings.target_table:
            return "embed_tokens.weight"
        if name == self.settings.source_table:
            return "embed_sources.weight"
        if name.startswith("encoder."):
            _, _, layer, direction, own = name.split(".")
            return f"encoder.{own}_l{layer}" + ("_reverse" if direction == "backward" else "")
        if name.startswith("decoder."):
            return f"decoder.{_decoder_name(name)}"
        if name == "lm_head.bias":
            return "head_bias"
        return name if name.startswith("lm_head") else f"mixing.{name.replace('.', '_')}"

    def matrices(self) -> dict[str, list[int]]:
        """See `Network.matrices`: each gate's block apart."""
        shapes, gates = self.settings.shapes(), self.settings.cell_gates
        found = {}
        for name in self.settings.matrices():
            blocks = gates if ".layers." in name else 1
            found[self.places[name].parameter] = [shapes[name][0] // blocks] * blocks
        return found

    def initialise(self, generator: torch.Generator) -> None:
        """Embeddings of deviation 1 (tied: 1/sqrt D), even matrices, forget gates open (bias 1), a head of zeros."""
        width = self.settings.width
        for table in (self.embed_tokens, *([] if self.settings.shared else [self.embed_sources])):
            normal(table.weight, generator, 1.0)
        if self.settings.tied:
            normal(self.embed_tokens.weight, generator, width**-0.5)
        cells = [*self.encoder.named_parameters(), *self.decoder.items()]
        for name, tensor in cells:
            if name.startswith("weight"):
                uniform(tensor, generator, 1.0 / math.sqrt(tensor.shape[0] // self.settings.cell_gates))
            else:
                nn.init.zeros_(tensor)
                if self.settings.cell == "lstm" and name.startswith("bias_ih"):
                    nn.init.ones_(tensor[len(tensor) // 4 : len(tensor) // 2])
        for tensor in self.mixing.values():
            uniform(tensor, generator, 1.0 / math.sqrt(width))
        if self.lm_head is not None:
            nn.init.zeros_(self.lm_head.weight)
        nn.init.zeros_(self.head_bias)

    # The encoder.

    def encode(self, sources: Tensor, lengths: Tensor) -> Encoded:
        """See `Seq2SeqNetwork.encode`."""
        embedded = self._dropped(self.embed_sources(sources.t()))
        if self.settings.cell == "lstm" and embedded.device.type == "cpu":
            assert isinstance(self.encoder, nn.LSTM)
            outputs, final = padded_lstm.bidirectional(self.encoder, embedded, lengths)
        else:
            packed = pack_padded_sequence(embedded, lengths.cpu(), enforce_sorted=False)
            found, final = self.encoder(packed)
            outputs, _ = pad_packed_sequence(found, total_length=sources.shape[1])
        outputs = self._dropped(outputs.transpose(0, 1))
        inside = torch.arange(sources.shape[1], device=sources.device) < lengths[:, None]
        joined = tuple(torch.cat((part[0::2], part[1::2]), dim=-1) for part in _parts(final))
        return Encoded(outputs, self._keys(outputs), inside, joined)

    def _keys(self, outputs: Tensor) -> Tensor:
        """What queries are compared with."""
        if "attention_weight" not in self.mixing:
            return outputs
        weight = self.mixing["attention_weight"]
        return functional.linear(outputs, weight[:, -self.settings.width :])

    def _attended(self, queries: Tensor, encoded: Encoded) -> Tensor:
        """What attention gives of queries, (B, T, D) to (B, T, D)."""
        if self.settings.attention == CONCAT:
            own = functional.linear(queries, self.mixing["attention_weight"][:, : self.settings.width])
            scores = torch.tanh(own[:, :, None] + encoded.keys[:, None]) @ self.mixing["attention_vector"]
        else:
            scores = queries @ encoded.keys.transpose(1, 2)
        scores = scores.masked_fill(~encoded.inside[:, None], -torch.inf)
        return torch.softmax(scores, dim=-1) @ encoded.outputs

    # The decoder.

    def decode(self, inputs: Tensor, memory: Encoded) -> Tensor:
        """See `Seq2SeqNetwork.decode`; all steps at once where no input depends on a state."""
        embedded = self._dropped(self.embed_tokens(inputs.t()))
        if self.settings.context_every_step:
            embedded = torch.cat((embedded, memory.context.expand(len(embedded), -1, -1)), dim=-1)
        if self.settings.stepwise:
            return self._dropped(self._stepwise(embedded, memory))
        states = memory.final
        outputs = embedded
        for layer in range(self.settings.layers):
            outputs = self._dropped(outputs) if layer else outputs
            outputs = self._run(layer, outputs, tuple(part[layer] for part in states))
        return self._dropped(self._read_out(outputs.transpose(0, 1), memory))

    def _run(self, layer: int, inputs: Tensor, before: Memories) -> Tensor:
        """Outputs of a layer, (T, B, D)."""
        weights = self._weights(layer)
        state = tuple(part[None].contiguous() for part in before)
        flags = (True, 1, 0.0, self.training, False, False)
        if self.settings.cell == "lstm":
            return torch.lstm(inputs, state, weights, *flags)[0]
        run = torch.gru if self.settings.cell == "gru" else torch.rnn_tanh
        return run(inputs, state[0], weights, *flags)[0]

    def _weights(self, layer: int) -> list[Tensor]:
        return [self.decoder[f"{name}_l{layer}"] for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]

    def _stepwise(self, inputs: Tensor, memory: Encoded) -> Tensor:
        """Readouts, (B, T, D), of inputs, (T, B, I), one step after another."""
        settings = self.settings
        kept = [tuple(part[layer] for part in memory.final) for layer in range(settings.layers)]
        readout = torch.zeros_like(kept[-1][0])
        found = []
        for x in inputs:
            if settings.input_feeding:
                x = torch.cat((x, readout), dim=-1)
            if settings.feeds_attention:
                x = torch.cat((x, self._attended(kept[-1][0][:, None], memory)[:, 0]), dim=-1)
            for layer in range(settings.layers):
                kept[layer] = self._step(layer, self._dropped(x) if layer else x, kept[layer])
                x = kept[layer][0]
            readout = self._read_out(x[:, None], memory)[:, 0]
            found.append(readout)
        return torch.stack(found, dim=1)

    def _step(self, layer: int, x: Tensor, before: Memories) -> Memories:
        weights = self._weights(layer)
        if self.settings.cell == "lstm":
            return torch.lstm_cell(x, before, *weights)
        return (STEPS[self.settings.cell](x, before[0], *weights),)

    def _read_out(self, outputs: Tensor, memory: Encoded) -> Tensor:
        """r of outputs of the last layer, (B, T, D)."""
        if not self.settings.reads_out:
            return outputs
        joined = torch.cat((self._attended(outputs, memory), outputs), dim=-1)
        return torch.tanh(functional.linear(joined, self.mixing["readout_weight"]))

    def logits(self, hidden: Tensor) -> Tensor:
        """See `Network.logits`."""
        head = self.embed_tokens if self.lm_head is None else self.lm_head
        return functional.linear(hidden, head.weight, self.head_bias)

    def _dropped(self, x: Tensor) -> Tensor:
        return functional.dropout(x, self.dropout) if self.dropout and self.training else x


def _decoder_name(name: str) -> str:
    """`weight_ih_l0` of `decoder.layers.0.weight_ih`."""
    _, _, layer, own = name.split(".")
    return f"{own}_l{layer}"


def _parts(state: Tensor | tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return state if isinstance(state, tuple) else (state,)
