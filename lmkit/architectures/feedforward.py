"""The feed-forward n-gram model of Bengio et al. (2003): settings and shapes.

x = [C(w_{t-n}); ...; C(w_{t-1})]         embeddings of the n tokens before, end to end
y = b + W x + U tanh(d + H x)             logits; W only with `direct`
"""

from dataclasses import dataclass
from typing import ClassVar

from lmkit.architectures.config import ModelConfig, Shapes
from lmkit.architectures.heads import LanguageModelHead


@dataclass(frozen=True, kw_only=True)
class FFNConfig(ModelConfig):
    """Settings of a feed-forward n-gram model."""

    kind: ClassVar[str] = "ffn"
    stateful: ClassVar[bool] = True
    batching: ClassVar[str] = "streams"

    context: int = 3
    """n, the tokens it sees; before the first there are start tokens."""
    width: int = 64
    """D, numbers in an embedding."""
    hidden: int = 256
    """H, numbers in the hidden layer."""
    direct: bool = False
    """Whether embeddings reach the logits directly too."""

    @property
    def head(self) -> LanguageModelHead:
        """See `ModelConfig.head`: b + U h of the hidden layer h, and W x with `direct`."""
        seen = self.context * self.width
        return LanguageModelHead(
            vocabulary=self.vocabulary, width=self.hidden, bias=True, direct=seen if self.direct else 0
        )

    def body_shapes(self) -> Shapes:
        """See `ModelConfig.body_shapes`."""
        return {
            "embed_tokens.weight": (self.vocabulary, self.width),
            "hidden.weight": (self.hidden, self.context * self.width),
            "hidden.bias": (self.hidden,),
        }

    def matrices(self) -> list[str]:
        """See `ModelConfig.matrices`."""
        return ["hidden.weight"]
