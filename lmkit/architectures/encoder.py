"""The encoder-only transformer: settings and shapes of BERT and its kin.

Devlin et al. (2019), Liu et al. (2019; RoBERTa), Sanh et al. (2019; DistilBERT), Clark et al. (2020; ELECTRA),
Warner et al. (2024; ModernBERT).

Embeddings of tokens, learned positions and segments, those that there are, are added and normed; where they have
`embedding` numbers and not `width`, a linear map follows. A block joins attention A and feed-forward F to the
residual stream x, by `norm`:

    post    z = N(x + A(x));   y = N(z + F(z))
    pre     z = x + A(N(x));   y = z + F(N(z));   and a last N behind all blocks; no N before the first A, which
            reads normed embeddings

    attention   softmax over j of q_i k_j / sqrt(width / heads), applied to v, over all j of the sequence; in local
                layers (all but each `global_every`-th, from the first) over |i - j| <= `local_window` / 2
                `query_key_norm`: q and k of each head through an rmsnorm of their own first
    rope        as in `architectures.transformer`, with theta `rope_theta`, in local layers `local_rope_theta`
    gelu        x Phi(x), the exact one; gelu_tanh: its tanh form; geglu: W_down (gelu(W_gate x) * W_up x); swiglu: silu

A pooler, W h + b and tanh, reads the first token. Heads, by `task`:

    mlm            logits of the token at a place: W' N(f(W h + b)) + b', W' the table of embeddings if `tied`
    mlm+pair       and W p + b of the pooled p: (2,), the second says that the second text follows the first
    discriminator  the logit that a token was replaced, w f(W h + b) + b
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Self

from lmkit.architectures.config import ModelConfig, Shapes, linear
from lmkit.architectures.heads import DiscriminatorHead, Head, MaskedLanguageHead, head_kind
from lmkit.errors import CheckpointError, UsageError

NO_HEAD = "none"
GATED = {"geglu": "gelu", "swiglu": "silu"}
"""The activations with a gate, and the one that is applied to it."""


@dataclass(frozen=True, kw_only=True)
class EncoderConfig(ModelConfig):
    """Settings of an encoder-only transformer, BERT's where none are given."""

    kind: ClassVar[str] = "encoder"
    choices: ClassVar = {
        "positions": ("learned", "rope", "none"),
        "norm": ("post", "pre"),
        "normalisation": ("layernorm", "rmsnorm"),
        "activation": ("gelu", "gelu_tanh", "relu", "silu", "geglu", "swiglu"),
        "task": (NO_HEAD, "mlm", "mlm+pair", "discriminator"),
    }
    may_be_zero: ClassVar = frozenset({"segments", "embedding"})

    layers: int = 12
    width: int = 768
    """D, numbers in the residual stream."""
    heads: int = 12
    """Heads part the width, so that no shape depends on them."""
    hidden: int = 3072
    """F, numbers in the feed-forward branch."""
    context: int = 512
    """T, the most tokens it sees at once."""
    segments: int = 2
    """How many segments have an embedding; 0: tokens do not say which text they are of."""
    embedding: int = 0
    """E, numbers in an embedding, where not D (0)."""
    positions: str = "learned"
    rope_theta: float = 10000.0
    local_rope_theta: float = 10000.0
    global_every: int = 1
    """Every how many layers one sees the whole sequence; 1: all do."""
    local_window: int = 128
    """How many tokens the other layers see, half of them on each side."""
    norm: str = "post"
    normalisation: str = "layernorm"
    norm_epsilon: float = 1e-12
    norm_bias: bool = True
    """Whether layer norms add a bias; an rmsnorm has none."""
    activation: str = "gelu"
    bias: bool = True
    """Whether linear maps of the body, and the map before the head's norm, have biases."""
    query_key_norm: bool = False
    pooler: bool = True
    task: str = NO_HEAD
    """The head, see above."""
    tied: bool = True
    """Whether the head of masked language modelling is the table of embeddings."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.width % self.heads:
            raise UsageError(f"{self.heads} heads do not share a width of {self.width} evenly")
        if self.head_width % 2 and self.positions == "rope":
            raise UsageError(f"rotary positions turn pairs of numbers, but a head has {self.head_width}")
        if not 0 <= self.norm_epsilon < 1 or not self.rope_theta > 0 or not self.local_rope_theta > 0:
            raise UsageError("the norm's epsilon and the bases of the rotary positions must be positive")
        if self.task == "mlm+pair" and not self.pooler:
            raise UsageError("a head for pairs reads the pooler, which the model lacks")

    @property
    def head_width(self) -> int:
        """W, numbers in a head."""
        return self.width // self.heads

    @property
    def embedding_width(self) -> int:
        """E, numbers in an embedding."""
        return self.embedding or self.width

    @property
    def has_norm_bias(self) -> bool:
        """Whether norms add a bias."""
        return self.norm_bias and self.normalisation == "layernorm"

    @property
    def plain_activation(self) -> str:
        """The activation without its gate: what the heads apply."""
        return GATED.get(self.activation, self.activation)

    def is_global(self, layer: int) -> bool:
        """Whether a layer sees the whole sequence."""
        return layer % self.global_every == 0

    @property
    def head(self) -> Head | None:
        """See `ModelConfig.head`."""
        if self.task == NO_HEAD:
            return None
        if self.task == "discriminator":
            return DiscriminatorHead(width=self.width)
        return MaskedLanguageHead(
            vocabulary=self.vocabulary, width=self.width, embedding=self.embedding_width, bias=self.bias,
            norm_bias=self.has_norm_bias, tied=self.tied, pair=self.task == "mlm+pair",
        )  # fmt: skip

    def body_shapes(self) -> Shapes:
        """See `ModelConfig.body_shapes`; a head is apart."""
        embedding = self.embedding_width
        shapes: Shapes = {"embed_tokens.weight": (self.vocabulary, embedding)}
        if self.positions == "learned":
            shapes["embed_positions.weight"] = (self.context, embedding)
        if self.segments:
            shapes["embed_segments.weight"] = (self.segments, embedding)
        shapes |= self._norm("embed_norm", embedding)
        if embedding != self.width:
            shapes |= linear("embed_proj", self.width, embedding, True)
        for layer in range(self.layers):
            shapes |= {f"layers.{layer}.{name}": shape for name, shape in self._block(layer).items()}
        if self.norm == "pre":
            shapes |= self._norm("norm", self.width)
        return shapes | (linear("pooler", self.width, self.width, True) if self.pooler else {})

    def _block(self, layer: int) -> Shapes:
        shapes: Shapes = self._norm("input_layernorm", self.width) if self.norm == "pre" and layer else {}
        for name in ("q_proj", "k_proj", "v_proj", "o_proj"):
            shapes |= linear(f"self_attn.{name}", self.width, self.width, self.bias)
        if self.query_key_norm:
            shapes |= {"self_attn.q_norm.weight": (self.head_width,), "self_attn.k_norm.weight": (self.head_width,)}
        shapes |= self._norm("post_attention_layernorm", self.width)
        for name in ("mlp.gate_proj", "mlp.up_proj") if self.activation in GATED else ("mlp.up_proj",):
            shapes |= linear(name, self.hidden, self.width, self.bias)
        shapes |= linear("mlp.down_proj", self.width, self.hidden, self.bias)
        return shapes | (self._norm("post_mlp_layernorm", self.width) if self.norm == "post" else {})

    def _norm(self, name: str, width: int) -> Shapes:
        own: Shapes = {f"{name}.weight": (width,)}
        return own | ({f"{name}.bias": (width,)} if self.has_norm_bias else {})

    def matrices(self) -> list[str]:
        """See `ModelConfig.matrices`."""
        return [name for name in self.body_shapes() if name.endswith("_proj.weight")]

    def to_json(self) -> dict[str, Any]:
        """The settings as a checkpoint's `body` and `head`."""
        values = asdict(self)
        head = {"kind": values.pop("task"), "tied": values.pop("tied")}
        return {"body": values, "head": head}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Settings out of a checkpoint. Raises CheckpointError where they are none, or the head is another."""
        body, head, kind = values.get("body"), values.get("head"), head_kind(values)
        if not isinstance(body, dict) or not isinstance(head, dict):
            raise CheckpointError("damaged checkpoint: an encoder's config has no body or no head")
        if kind not in cls.choices["task"]:
            raise CheckpointError(f"its head is of kind {kind!r}, expected one of {', '.join(cls.choices['task'])}")
        return super().from_json({**body, "task": kind, "tied": head.get("tied")})
