"""Recurrent models: settings and shapes. x_t is the input of a layer, h_t its output, s the logistic function.

    elman   h_t = tanh(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh)                      Elman (1990)
    lstm    i, f, o = s(...), g = tanh(...), each of W_ih x_t + b_ih + W_hh h_{t-1} + b_hh
            c_t = f c_{t-1} + i g;  h_t = o tanh(c_t)                              Hochreiter and Schmidhuber (1997)
    gru     r, z = s(...);  n = tanh(W_in x_t + b_in + r (W_hn h_{t-1} + b_hn))
            h_t = (1 - z) n + z h_{t-1}                                            Cho et al. (2014)
    mingru  z = s(W_z x_t + b_z);  n = g(W_n x_t + b_n);  h_t = (1 - z) h_{t-1} + z n
            g(a) = a + 1/2 where a >= 0, else s(a)                                 Feng et al. (2024)

Gates lie in this order along the rows, as torch has them: lstm i, f, g, o; gru r, z, n; mingru z, n.
The logits are W h_t + b of the last layer; with `tied`, W is the table of embeddings. A `bidirectional` model reads
from both ends (Schuster and Paliwal 1997): the D numbers of a layer are D / 2 of each direction, and no token is next.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from lmkit.architectures.config import ModelConfig, Shapes
from lmkit.architectures.heads import LanguageModelHead
from lmkit.errors import UsageError

GATES = {"elman": 1, "lstm": 4, "gru": 3, "mingru": 2}


@dataclass(frozen=True, kw_only=True)
class RNNConfig(ModelConfig):
    """Settings of a recurrent model."""

    kind: ClassVar[str] = "rnn"
    stateful: ClassVar[bool] = True
    batching: ClassVar[str] = "streams"
    choices: ClassVar = {"cell": tuple(GATES)}

    cell: str = "lstm"
    layers: int = 2
    width: int = 128
    """D, numbers in an embedding and in each layer's output."""
    bias: bool = True
    """Whether cells and head have biases."""
    tied: bool = False
    """Whether the head is the table of embeddings."""
    bidirectional: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.bidirectional and self.width % 2:
            raise UsageError(f"a width of {self.width} has no halves for two directions")
        if self.bidirectional and self.cell == "mingru":
            raise UsageError("--bidirectional is for elman, lstm and gru")

    def to_json(self) -> dict[str, Any]:
        """See `ModelConfig.to_json`: models that read one way say nothing of the other."""
        values = super().to_json()
        return values if self.bidirectional else {key: values[key] for key in values if key != "bidirectional"}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """See `ModelConfig.from_json`."""
        return super().from_json({"bidirectional": False, **values})

    @property
    def directions(self) -> tuple[str, ...]:
        """What lies before the names of a layer's tensors, of each direction."""
        return ("", "reverse.") if self.bidirectional else ("",)

    @property
    def gates(self) -> int:
        """How many blocks of D rows the matrices of a layer have."""
        return GATES[self.cell]

    @property
    def head(self) -> LanguageModelHead:
        """See `ModelConfig.head`."""
        return LanguageModelHead(vocabulary=self.vocabulary, width=self.width, bias=self.bias, tied=self.tied)

    def body_shapes(self) -> Shapes:
        """See `ModelConfig.body_shapes`."""
        own = self.width // len(self.directions)
        rows = self.gates * own
        shapes: Shapes = {"embed_tokens.weight": (self.vocabulary, self.width)}
        for name in (f"layers.{layer}.{side}" for layer in range(self.layers) for side in self.directions):
            shapes[f"{name}weight_ih"] = (rows, self.width)
            if self.cell != "mingru":
                shapes[f"{name}weight_hh"] = (rows, own)
            if self.bias:
                shapes[f"{name}bias_ih"] = (rows,)
                if self.cell != "mingru":
                    shapes[f"{name}bias_hh"] = (rows,)
        return shapes

    def matrices(self) -> list[str]:
        """See `ModelConfig.matrices`."""
        return [name for name in self.body_shapes() if ".weight_" in name]
