"""The encoder-only transformer of Devlin et al. (2019), BERT: settings and shapes.

Embeddings of tokens, positions and segments are added and normed; each layer is a block whose norms stand
behind the branches (`post` in `transformer`), attention reaching both ways; a pooler reads the first token.
"""

from dataclasses import dataclass
from typing import ClassVar

from lmkit.architectures.config import ModelConfig, Shapes, linear


@dataclass(frozen=True, kw_only=True)
class EncoderConfig(ModelConfig):
    """Settings of an encoder-only transformer. Heads part the width, so that no shape depends on them."""

    kind: ClassVar[str] = "encoder"

    layers: int = 12
    width: int = 768
    """D, numbers in the residual stream."""
    heads: int = 12
    hidden: int = 3072
    """F, numbers in the feed-forward branch."""
    context: int = 512
    """T, the most tokens it sees at once."""
    segments: int = 2

    def body_shapes(self) -> Shapes:
        """See `ModelConfig.body_shapes`; a head for a task is apart."""
        shapes: Shapes = {
            "embed_tokens.weight": (self.vocabulary, self.width),
            "embed_positions.weight": (self.context, self.width),
            "embed_segments.weight": (self.segments, self.width),
        }
        shapes |= self._norm("embed_norm")
        for layer in range(self.layers):
            shapes |= {f"layers.{layer}.{name}": shape for name, shape in self._block().items()}
        return shapes | linear("pooler", self.width, self.width, True)

    def _block(self) -> Shapes:
        shapes: Shapes = {}
        for name in ("q_proj", "k_proj", "v_proj", "o_proj"):
            shapes |= linear(f"self_attn.{name}", self.width, self.width, True)
        shapes |= self._norm("post_attention_layernorm")
        shapes |= linear("mlp.up_proj", self.hidden, self.width, True)
        shapes |= linear("mlp.down_proj", self.width, self.hidden, True)
        return shapes | self._norm("post_mlp_layernorm")

    def _norm(self, name: str) -> Shapes:
        return {f"{name}.weight": (self.width,), f"{name}.bias": (self.width,)}

    def matrices(self) -> list[str]:
        """See `ModelConfig.matrices`."""
        return [name for name in self.body_shapes() if name.endswith("_proj.weight")]
