"""The decoder-only transformer: settings and shapes.

Vaswani et al. (2017), Radford et al. (2019), Touvron et al. (2023).

A block joins two branches, attention A and feed-forward F, to the residual stream x, by `norm`:

    pre     z = x + A(N(x));   y = z + F(N(z));   and a last N before the head
    post    z = N(x + A(x));   y = N(z + F(z))
    course  z = x + N(A(x));   y = z + N(F(z))

Without `residual` the terms `x +` and `z +` are left out. N is

    layernorm   g (x - mean) / sqrt(variance + e) + b           rmsnorm   g x / sqrt(mean of x^2 + e)

    attention   q, k, v = W_q x, W_k x, W_v x in heads of `head_width` numbers, rows h * head_width onwards;
                head h of q reads head h * kv_heads // heads of k and v;
                softmax over j <= i of q_i k_j / sqrt(head_width), applied to v; heads end to end, then W_o
                `query_key_norm`: q and k of each head through an rmsnorm of their own first
    swiglu      W_down (silu(W_gate x) * W_up x)
    others      W_down f(W_up x), f = relu, relu2 (its square) or gelu = x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))

    rope        Su et al. (2021): numbers i and i + head_width/2 of q and k are turned by the angle
                position * theta^(-2i/head_width), with theta `rope_theta`; positions count from 0
    learned     a table is added to the embeddings; sinusoidal: a fixed one, see `positions.sinusoidal`
"""

import math
from dataclasses import dataclass
from typing import ClassVar

from lmkit.architectures.config import ModelConfig, Shapes, linear
from lmkit.architectures.heads import LanguageModelHead
from lmkit.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class TransformerConfig(ModelConfig):
    """Settings of a decoder-only transformer."""

    kind: ClassVar[str] = "transformer"
    choices: ClassVar = {
        "positions": ("rope", "learned", "sinusoidal", "none"),
        "norm": ("pre", "post", "course"),
        "normalisation": ("rmsnorm", "layernorm"),
        "activation": ("swiglu", "gelu", "relu", "relu2"),
        "bias": ("none", "qkv", "all"),
    }

    layers: int = 4
    width: int = 128
    """D, numbers in the residual stream."""
    heads: int = 4
    kv_heads: int = 4
    """Heads of keys and values; fewer than `heads` are shared by groups of them."""
    head_width: int = 32
    hidden: int = 344
    """F, numbers in the feed-forward branch."""
    context: int = 64
    """T, the most tokens it sees at once."""
    positions: str = "rope"
    rope_theta: float = 10000.0
    rope_scaling: dict[str, float] | None = None
    """Llama 3's scaling of the slow waves: `factor`, `low_freq_factor`, `high_freq_factor`, `original_context`."""
    norm: str = "pre"
    normalisation: str = "rmsnorm"
    norm_epsilon: float = 1e-6
    activation: str = "swiglu"
    query_key_norm: bool = False
    bias: str = "none"
    """Which linear maps have biases: none, those of queries, keys and values, or all but the head."""
    tied: bool = False
    """Whether the head is the table of embeddings."""
    residual: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.heads % self.kv_heads:
            raise UsageError(f"{self.heads} heads can't share {self.kv_heads} heads of keys and values evenly")
        if self.head_width % 2 and self.positions == "rope":
            raise UsageError(f"rotary positions turn pairs of numbers, but a head has {self.head_width}")
        if not math.isfinite(self.norm_epsilon) or self.norm_epsilon < 0 or not self.rope_theta > 0:
            raise UsageError("the norm's epsilon and the base of the rotary positions must be positive")
        if self.rope_scaling is not None and not _is_scaling(self.rope_scaling):
            raise UsageError(f"rope scaling {self.rope_scaling!r} is not supported or incomplete")

    @property
    def head(self) -> LanguageModelHead:
        """See `ModelConfig.head`."""
        return LanguageModelHead(vocabulary=self.vocabulary, width=self.width, tied=self.tied)

    def body_shapes(self) -> Shapes:
        """See `ModelConfig.body_shapes`; names as Llama's in Hugging Face folders, without `model.` in front."""
        shapes: Shapes = {"embed_tokens.weight": (self.vocabulary, self.width)}
        if self.positions == "learned":
            shapes["embed_positions.weight"] = (self.context, self.width)
        for layer in range(self.layers):
            shapes |= {f"layers.{layer}.{name}": shape for name, shape in self._block().items()}
        if self.norm == "pre":
            shapes |= self._norm("norm", self.width)
        return shapes

    def _block(self) -> Shapes:
        queries, keys = self.heads * self.head_width, self.kv_heads * self.head_width
        shapes = self._norm("input_layernorm", self.width) | self._norm("post_attention_layernorm", self.width)
        of_attention = self.bias != "none"
        shapes |= linear("self_attn.q_proj", queries, self.width, of_attention)
        shapes |= linear("self_attn.k_proj", keys, self.width, of_attention)
        shapes |= linear("self_attn.v_proj", keys, self.width, of_attention)
        shapes |= linear("self_attn.o_proj", self.width, queries, self.bias == "all")
        if self.query_key_norm:
            shapes |= {"self_attn.q_norm.weight": (self.head_width,), "self_attn.k_norm.weight": (self.head_width,)}
        for name in ("mlp.gate_proj", "mlp.up_proj") if self.activation == "swiglu" else ("mlp.up_proj",):
            shapes |= linear(name, self.hidden, self.width, self.bias == "all")
        return shapes | linear("mlp.down_proj", self.width, self.hidden, self.bias == "all")

    def _norm(self, name: str, width: int) -> Shapes:
        own: Shapes = {f"{name}.weight": (width,)}
        return own | ({f"{name}.bias": (width,)} if self.normalisation == "layernorm" else {})

    def matrices(self) -> list[str]:
        """See `ModelConfig.matrices`."""
        return [name for name in self.body_shapes() if name.endswith("_proj.weight")]

    @property
    def forward_flops(self) -> int:
        """See `ModelConfig.forward_flops`; with the products of attention over a whole context."""
        return super().forward_flops + 4 * self.layers * self.heads * self.head_width * self.context


SCALING = ("factor", "high_freq_factor", "low_freq_factor", "original_context")


def _is_scaling(value: object) -> bool:
    return (
        isinstance(value, dict)
        and sorted(value) == list(SCALING)
        and all(isinstance(number, int | float) and number > 0 for number in value.values())
        and value["high_freq_factor"] > value["low_freq_factor"]
    )
