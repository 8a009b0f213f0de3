"""The transformer encoder-decoder: settings and shapes of T5, MarianMT, BART and ours.

Vaswani et al. (2017), Raffel et al. (2020; T5), Shazeer (2020; T5 1.1), Junczys-Dowmunt et al. (2018; Marian),
Lewis et al. (2020; BART).

The encoder turns a source of S tokens into as many vectors, its memory; the decoder predicts each token of a target
from those before it and the memory. A stack embeds its tokens, times sqrt(D) with `scaled_embeddings`, adds positions,
norms the sum with `embed_norm`, and runs its blocks. A block joins its branches f (self-attention, in decoders
cross-attention, feed-forward) to the residual stream x, by `norm`:

    pre     x = x + f(N(x)), and a last N behind all blocks
    post    x = N(x + f(x))

    attention   softmax over j of q_i k_j / sqrt(W), applied to v; `scaled_queries` false: without the root
                mask `full` in encoders, `causal` in decoders, `cross` from each target token to all of the source
    relative    a number for each head is added to q_i k_j, by the bucket of j - i, the same in all layers of a stack;
                see `positions.relative_buckets`
    sinusoidal  as in `positions.sinusoidal`, sines in the first half and cosines in the second
    reglu, geglu, geglu_tanh, swiglu    W_down (f(W_gate x) * W_up x) with f relu, gelu, its tanh form, silu

Logits are W h, times 1 / sqrt(D) with `scaled_logits`, plus b with `logits_bias`; W is the decoder's table of
embeddings if `tied`. With `shared_stacks` the decoder's self-attention and feed-forward branches are the encoder's.
"""

import math
from dataclasses import dataclass
from typing import ClassVar

from lmkit.architectures.config import Shapes, linear
from lmkit.architectures.heads import LanguageModelHead
from lmkit.architectures.seq2seq import Seq2SeqConfig
from lmkit.errors import UsageError

GATED = {"reglu": "relu", "geglu": "gelu", "geglu_tanh": "gelu_tanh", "swiglu": "silu"}
"""The activations with a gate, and the one that is applied to it."""
MASKS = {"encoder": "full", "decoder": "causal", "memory": "cross"}
"""What a token sees, by what it looks at: its own stack's tokens, or the memory."""


@dataclass(frozen=True, kw_only=True)
class Seq2SeqTransformerConfig(Seq2SeqConfig):
    """Settings of a transformer encoder-decoder."""

    kind: ClassVar[str] = "seq2seq-transformer"
    choices: ClassVar = {
        "positions": ("sinusoidal", "learned", "relative", "none"),
        "norm": ("pre", "post"),
        "normalisation": ("rmsnorm", "layernorm"),
        "activation": ("relu", "gelu", "gelu_tanh", "silu", *GATED),
    }

    layers: int = 2
    """Blocks of the encoder."""
    decoder_layers: int = 2
    width: int = 128
    """D, numbers in the residual stream."""
    heads: int = 4
    head_width: int = 32
    """W, numbers in a head."""
    hidden: int = 344
    """F, numbers in the encoder's feed-forward branch."""
    decoder_hidden: int = 344
    context: int = 1024
    """The most tokens of a source, and of a target with its start, but with relative positions."""
    positions: str = "sinusoidal"
    buckets: int = 32
    """Of relative positions; both ways in the encoder, back in the decoder."""
    distance: int = 128
    """From which on all relative positions are one bucket."""
    norm: str = "pre"
    normalisation: str = "rmsnorm"
    norm_epsilon: float = 1e-6
    embed_norm: bool = False
    scaled_embeddings: bool = False
    scaled_queries: bool = True
    activation: str = "swiglu"
    bias: bool = False
    """Whether linear maps within blocks have biases."""
    shared_stacks: bool = False
    scaled_logits: bool = False
    logits_bias: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if not math.isfinite(self.norm_epsilon) or self.norm_epsilon < 0:
            raise UsageError("the norm's epsilon must be positive")
        alike = (self.layers, self.hidden) == (self.decoder_layers, self.decoder_hidden)
        if self.shared_stacks and not alike:
            raise UsageError("stacks that share their weights have as many layers and feed-forward numbers")
        exact = self.buckets // 4  # of the encoder, whose buckets are halved for two ways, and again
        if self.positions == "relative" and (exact < 1 or self.buckets % 2 or self.distance <= 2 * exact):
            raise UsageError(f"{self.buckets} buckets of relative positions up to {self.distance} make no classes")

    @property
    def head(self) -> LanguageModelHead:
        """See `ModelConfig.head`."""
        return LanguageModelHead(vocabulary=self.vocabulary, width=self.width, tied=self.tied, bias=self.logits_bias)

    @property
    def inner_width(self) -> int:
        """H W, numbers in all heads."""
        return self.heads * self.head_width

    @property
    def plain_activation(self) -> str:
        """The activation without its gate."""
        return GATED.get(self.activation, self.activation)

    @property
    def embedding_width(self) -> int:
        """See `Seq2SeqConfig.embedding_width`."""
        return self.width

    @property
    def source_limit(self) -> int | None:
        """See `Seq2SeqConfig.source_limit`."""
        return None if self.positions in ("relative", "none") else self.context

    @property
    def target_limit(self) -> int | None:
        """See `Seq2SeqConfig.target_limit`."""
        return self.source_limit

    def body_shapes(self) -> Shapes:
        """See `ModelConfig.body_shapes`."""
        shapes = self.tables()
        for stack, layers in (("encoder", self.layers), ("decoder", self.decoder_layers)):
            shapes |= {f"{stack}.{name}": shape for name, shape in self._stack().items()}
            for layer in range(layers):
                block = self._block(decoder=stack == "decoder")
                shapes |= {f"{stack}.layers.{layer}.{name}": shape for name, shape in block.items()}
        return shapes

    def _stack(self) -> Shapes:
        shapes: Shapes = {"embed_positions.weight": (self.context, self.width)} if self.positions == "learned" else {}
        if self.positions == "relative":
            shapes["relative.weight"] = (self.buckets, self.heads)
        shapes |= self._norm("embed_norm") if self.embed_norm else {}
        return shapes | (self._norm("norm") if self.norm == "pre" else {})

    def _block(self, *, decoder: bool) -> Shapes:
        """A block's tensors; a decoder's with shared stacks are those of cross-attention alone."""
        shapes = self._attention("cross_attn") if decoder else {}
        if decoder and self.shared_stacks:
            return shapes
        hidden = self.decoder_hidden if decoder else self.hidden
        shapes = self._attention("self_attn") | shapes | self._norm("mlp_norm")
        for name in ("mlp.gate_proj", "mlp.up_proj") if self.activation in GATED else ("mlp.up_proj",):
            shapes |= linear(name, hidden, self.width, self.bias)
        return shapes | linear("mlp.down_proj", self.width, hidden, self.bias)

    def _attention(self, name: str) -> Shapes:
        shapes = self._norm(f"{name}_norm")
        for part in ("q_proj", "k_proj", "v_proj"):
            shapes |= linear(f"{name}.{part}", self.inner_width, self.width, self.bias)
        return shapes | linear(f"{name}.o_proj", self.width, self.inner_width, self.bias)

    def _norm(self, name: str) -> Shapes:
        own: Shapes = {f"{name}.weight": (self.width,)}
        return own | ({f"{name}.bias": (self.width,)} if self.normalisation == "layernorm" else {})

    @property
    def forward_flops(self) -> int:
        """See `ModelConfig.forward_flops`: of a token of a target and one of its source; shared stacks run twice."""
        shapes = self.body_shapes()
        again = [name for name in self.matrices() if self.shared_stacks and name.startswith("encoder.")]
        return super().forward_flops + 2 * sum(math.prod(shapes[name]) for name in again)

    def matrices(self) -> list[str]:
        """See `ModelConfig.matrices`."""
        return [name for name in self.body_shapes() if name.endswith("_proj.weight")]
