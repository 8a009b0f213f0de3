"""The vision transformer: settings and shapes of encoders of images.

Dosovitskiy et al. (2021; ViT), Radford et al. (2021; CLIP).

An image of height x width pixels and C channels is cut into N patches of P x P pixels, from left to right and from the
top. Each patch is C P^2 numbers, channel by channel and row by row, and a linear map W makes D numbers of it:

    x_0 = class token;   x_i = W patch_i + b;   then x + positions, and a norm where `embed_norm` says so
    block   z = x + A(N(x));   y = z + F(N(z))
    N       layernorm, g (x - mean) / sqrt(variance + e) + b
    A       softmax over all j of q_i k_j / sqrt(D / heads), applied to v; heads end to end, then W_o; with biases
    F       W_down f(W_up x); f: gelu x Phi(x), gelu_tanh, quick_gelu x sigmoid(1.702 x)

A last N follows: of `all` states (ViT), or only of the class token where an image is one vector (`first`, CLIP). The
visual tokens are the states of the patches.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from lmkit.architectures.config import ModelConfig, Shapes, linear
from lmkit.errors import UsageError

CHANNELS = (1, 3)


@dataclass(frozen=True, kw_only=True)
class VisionConfig(ModelConfig):
    """Settings of a vision transformer, ViT's small where none are given."""

    kind: ClassVar[str] = "vision"
    choices: ClassVar = {"activation": ("gelu", "gelu_tanh", "quick_gelu"), "last_norm": ("all", "first")}
    may_be_zero: ClassVar = frozenset({"vocabulary"})

    vocabulary: int = 0
    """No token is read."""
    image_height: int = 224
    image_width: int = 224
    channels: int = 3
    patch: int = 16
    """P."""
    layers: int = 12
    width: int = 384
    """D."""
    heads: int = 6
    hidden: int = 1536
    """Numbers in the feed-forward branch."""
    activation: str = "gelu"
    norm_epsilon: float = 1e-6
    patch_bias: bool = True
    embed_norm: bool = False
    last_norm: str = "all"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.image_height % self.patch or self.image_width % self.patch:
            raise UsageError(
                f"images of {self.image_width} x {self.image_height} pixels cannot be cut into patches of "
                f"{self.patch} x {self.patch}"
            )
        if self.channels not in CHANNELS:
            raise UsageError(f"{self.channels} channels, expected 1 (grey) or 3 (colour)")
        if self.width % self.heads:
            raise UsageError(f"a hidden size of {self.width} can't be shared by {self.heads} heads evenly")
        if self.norm_epsilon < 0:
            raise UsageError("the norm's epsilon must be positive")

    @property
    def patches(self) -> int:
        """N."""
        return (self.image_height // self.patch) * (self.image_width // self.patch)

    @property
    def head_width(self) -> int:
        """Numbers in a head."""
        return self.width // self.heads

    def body_shapes(self) -> Shapes:
        """See `ModelConfig.body_shapes`."""
        width = self.width
        shapes = linear("patches", width, self.channels * self.patch**2, self.patch_bias)
        shapes |= {"class_token": (width,), "embed_positions.weight": (self.patches + 1, width)}
        shapes |= _norm("embed_norm", width) if self.embed_norm else {}
        for layer in range(self.layers):
            shapes |= {f"layers.{layer}.{name}": shape for name, shape in self._block().items()}
        return shapes | _norm("norm", width)

    def _block(self) -> Shapes:
        width = self.width
        shapes = _norm("input_layernorm", width) | _norm("post_attention_layernorm", width)
        for name in ("q_proj", "k_proj", "v_proj", "o_proj"):
            shapes |= linear(f"self_attn.{name}", width, width, True)
        return (
            shapes | linear("mlp.up_proj", self.hidden, width, True) | linear("mlp.down_proj", width, self.hidden, True)
        )

    def matrices(self) -> list[str]:
        """See `ModelConfig.matrices`."""
        return [name for name in self.body_shapes() if name.endswith("_proj.weight")]

    def to_json(self) -> dict[str, Any]:
        """The settings as a checkpoint's `body`."""
        return {name: value for name, value in asdict(self).items() if name != "vocabulary"}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "VisionConfig":
        """Settings out of a checkpoint's `body`. Raises CheckpointError."""
        return super().from_json({**values, "vocabulary": 0})


def _norm(name: str, width: int) -> Shapes:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}
