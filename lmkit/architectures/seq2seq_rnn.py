"""Recurrent encoder-decoders: settings and shapes. Sutskever et al. (2014), Cho et al. (2014).

The encoder reads a source of S tokens both ways, in layers whose cells are those of `architectures.recurrent`, each
direction D/2 wide: hs_s, (D,), joins both at token s. c is the last layer's final state, (D,), that of the forward
direction after the last token and that of the backward one before the first; the decoder's layers begin with the final
states of the encoder's. The decoder predicts token t of a target from a readout r_t: its logits are W r_t + b.

    attention none      h_t = g(x_t, h_{t-1});   r_t = h_t
    timing prev         a_ts = softmax over s of score(h_{t-1}, hs_s);   c_t = sum over s of a_ts hs_s
                        h_t = g([x_t; c_t], h_{t-1});   r_t = h_t                       Bahdanau et al. (2015)
    timing current      h_t = g(x_t, h_{t-1});   a_ts = softmax over s of score(h_t, hs_s);   c_t as above
                        r_t = tanh(W_c [c_t; h_t])                                      Luong et al. (2015)

    dot      h hs        general  h W_a hs        concat  v_a tanh(W_a [h; hs])

x_t is the embedding of token t - 1; `context_every_step` joins c to it, and `input_feeding` (of timing current)
joins r_{t-1}, which is 0 at first. h_t is the last layer's output. Where several are joined, this is their order:
x_t, c, r_{t-1}, c_t.
"""

from dataclasses import dataclass
from typing import ClassVar

from lmkit.architectures.config import Shapes
from lmkit.architectures.heads import LanguageModelHead
from lmkit.architectures.recurrent import GATES
from lmkit.architectures.seq2seq import Seq2SeqConfig
from lmkit.errors import UsageError

NONE, DOT, GENERAL, CONCAT = ATTENTIONS = ("none", "dot", "general", "concat")
PREVIOUS, CURRENT = TIMINGS = ("prev", "current")
DIRECTIONS = ("forward", "backward")


@dataclass(frozen=True, kw_only=True)
class Seq2SeqRNNConfig(Seq2SeqConfig):
    """Settings of a recurrent encoder-decoder."""

    kind: ClassVar[str] = "seq2seq-rnn"
    choices: ClassVar = {"cell": ("elman", "lstm", "gru"), "attention": ATTENTIONS, "timing": TIMINGS}

    cell: str = "lstm"
    layers: int = 1
    width: int = 256
    """D, numbers in an embedding, in what the encoder says of a token, and in each layer of the decoder."""
    attention: str = GENERAL
    timing: str = CURRENT
    context_every_step: bool = False
    input_feeding: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.width % 2:
            raise UsageError(f"width {self.width} is odd: each direction of the encoder has half of it")
        if self.input_feeding and (self.attention == NONE or self.timing == PREVIOUS):
            raise UsageError("input feeding needs attention with the current state, whose readout it feeds")

    @property
    def embedding_width(self) -> int:
        """See `Seq2SeqConfig.embedding_width`."""
        return self.width

    @property
    def cell_gates(self) -> int:
        """How many blocks of rows the matrices of a cell have."""
        return GATES[self.cell]

    @property
    def reads_out(self) -> bool:
        """Whether what is read out is not the last layer's output itself."""
        return self.attention != NONE and self.timing == CURRENT

    @property
    def feeds_attention(self) -> bool:
        """Whether the first layer of the decoder reads what attention gives of the state before."""
        return self.attention != NONE and self.timing == PREVIOUS

    @property
    def stepwise(self) -> bool:
        """Whether an input of the decoder depends on its states."""
        return self.input_feeding or self.feeds_attention

    @property
    def decoder_inputs(self) -> int:
        """Numbers in the input of the decoder's first layer."""
        return self.width * (1 + self.context_every_step + self.input_feeding + self.feeds_attention)

    @property
    def head(self) -> LanguageModelHead:
        """See `ModelConfig.head`."""
        return LanguageModelHead(vocabulary=self.vocabulary, width=self.width, bias=True, tied=self.tied)

    def body_shapes(self) -> Shapes:
        """See `ModelConfig.body_shapes`."""
        shapes = self.tables()
        for layer in range(self.layers):
            for direction in DIRECTIONS:
                shapes |= self._cell(f"encoder.layers.{layer}.{direction}", self.width, self.width // 2)
        for layer in range(self.layers):
            shapes |= self._cell(f"decoder.layers.{layer}", self.width if layer else self.decoder_inputs, self.width)
        if self.attention == GENERAL:
            shapes["attention.weight"] = (self.width, self.width)
        if self.attention == CONCAT:
            shapes |= {"attention.weight": (self.width, 2 * self.width), "attention.vector": (self.width,)}
        return shapes | ({"readout.weight": (self.width, 2 * self.width)} if self.reads_out else {})

    def _cell(self, name: str, inputs: int, width: int) -> Shapes:
        rows = self.cell_gates * width
        return {
            f"{name}.weight_ih": (rows, inputs), f"{name}.weight_hh": (rows, width), f"{name}.bias_ih": (rows,),
            f"{name}.bias_hh": (rows,),
        }  # fmt: skip

    def matrices(self) -> list[str]:
        """See `ModelConfig.matrices`."""
        shapes = self.body_shapes()
        return [name for name, shape in shapes.items() if len(shape) == 2 and not name.endswith("embed_tokens.weight")]
