"""The vision transformer in numpy; see `architectures.vision`. Knows no files.

B images, H x W pixels, C channels, N patches, D width, K labels.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from lmkit import __version__
from lmkit.architectures.vision_model import LoadedVision
from lmkit.checkpoint import Checkpoint
from lmkit.data.images import resized
from lmkit.errors import CheckpointError
from lmkit.inference import functional
from lmkit.inference.encoder import linear_maps
from lmkit.protocols import F32, F64, Floats


def _quick_gelu(x: Floats) -> Floats:
    found: Floats = x * functional.sigmoid(np.float32(1.702) * x)
    return found


ACTIVATIONS: Mapping[str, Callable[[Floats], Floats]] = {
    "gelu": functional.gelu_erf, "gelu_tanh": functional.gelu, "quick_gelu": _quick_gelu,
}  # fmt: skip


class VisionModel:
    """A vision transformer: states of patches, and labels of images where it has a head."""

    def __init__(self, weights: LoadedVision) -> None:
        self.weights, self.settings, self.kind, self.digest = weights, weights.settings, weights.kind, weights.digest
        self._layers = [_Layer(weights, number) for number in range(self.settings.layers)]

    @classmethod
    def from_checkpoint(cls, checkpoint: Checkpoint) -> "VisionModel":
        """The model in a checkpoint. Raises CheckpointError."""
        return cls(LoadedVision.from_checkpoint(checkpoint))

    def to_checkpoint(self, origin: Mapping[str, Any]) -> Checkpoint:
        """The model as a file's content."""
        return self.weights.to_checkpoint(origin)

    @property
    def labels(self) -> Sequence[str]:
        """The labels of images, K of them. Raises CheckpointError where it has no head."""
        if self.weights.head is None:
            raise CheckpointError("it has no head for labels of images")
        return self.weights.head.labels

    @property
    def signature(self) -> Mapping[str, str]:
        """What a reader must know to reproduce a number, in a fixed order."""
        return {"kind": self.kind, "model": self.digest[:8], "version": __version__}

    def pixels(self, images: Sequence[F32]) -> F32:
        """Images of any size, (H', W', C) from 0 to 1, as the model reads them: (B, H, W, C)."""
        settings, scale = self.settings, self.weights.pixels
        mean, deviation = np.array(scale.mean, np.float32), np.array(scale.deviation, np.float32)
        shape = settings.image_height, settings.image_width
        return np.stack([(resized(image, *shape, settings.channels) - mean) / deviation for image in images])

    def hidden_states(self, pixels: F32, layers: int | None = None) -> F32:
        """States of the class token and the patches, (B, 1 + N, D), behind so many blocks; a norm follows the last."""
        settings, tensors = self.settings, self.weights.tensors
        x = linear_maps(tensors, "patches")(patches(pixels, settings.patch))
        first = np.broadcast_to(tensors["class_token"], (len(x), 1, settings.width))
        x = np.concatenate((first, x), axis=1) + tensors["embed_positions.weight"]
        x = self._normed("embed_norm", x) if settings.embed_norm else x
        run = settings.layers if layers is None else layers
        for layer in self._layers[:run]:
            x = layer(x)
        return self._normed("norm", x) if settings.last_norm == "all" and run == settings.layers else x

    def _normed(self, name: str, x: F32) -> F32:
        tensors = self.weights.tensors
        return functional.layer_norm(x, tensors[f"{name}.weight"], tensors[f"{name}.bias"], self.settings.norm_epsilon)

    def visual_tokens(self, images: Sequence[F32], layers: int | None = None) -> F32:
        """The states of the patches of images, (B, N, D); each image's are the same whatever the others are."""
        states = [self.hidden_states(self.pixels([image]), layers)[0, 1:] for image in images]
        return np.stack(states) if states else np.zeros((0, self.settings.patches, self.settings.width), np.float32)

    def image_probabilities(self, images: Sequence[F32]) -> F64:
        """Probabilities of the labels, (B, K); the same whatever other images there are."""
        names = self.labels
        found = np.zeros((len(images), len(names)))
        for place, image in enumerate(images):
            state = self.hidden_states(self.pixels([image]))[:, 0]
            if self.settings.last_norm == "first":
                state = self._normed("norm", state)
            logits = linear_maps(self.weights.tensors, "head")(state)
            found[place] = np.exp(functional.log_softmax(logits.astype(np.float64)))[0]
        return found


def patches(pixels: F32, size: int) -> F32:
    """Images, (B, H, W, C), cut into patches: (B, N, C P^2), channel by channel and row by row."""
    count, height, width, channels = pixels.shape
    parts = pixels.reshape(count, height // size, size, width // size, size, channels)
    cut: F32 = parts.transpose(0, 1, 3, 5, 2, 4).reshape(count, -1, channels * size * size)
    return cut


class _Layer:
    """One block."""

    def __init__(self, weights: LoadedVision, number: int) -> None:
        self._settings = weights.settings
        begin = f"layers.{number}."
        self._tensors = {
            name.removeprefix(begin): part for name, part in weights.tensors.items() if name.startswith(begin)
        }
        self._qkv = linear_maps(self._tensors, *(f"self_attn.{part}_proj" for part in "qkv"))
        self._out, self._up, self._down = (
            linear_maps(self._tensors, name) for name in ("self_attn.o_proj", "mlp.up_proj", "mlp.down_proj")
        )
        self._act = ACTIVATIONS[self._settings.activation]

    def __call__(self, x: F32) -> F32:
        """From (B, T, D) to (B, T, D)."""
        x = x + self._attention(self._norm("input_layernorm", x))
        inner: Any = self._act(self._up(self._norm("post_attention_layernorm", x)))
        return x + self._down(inner)

    def _norm(self, name: str, x: F32) -> F32:
        weight, bias = self._tensors[f"{name}.weight"], self._tensors[f"{name}.bias"]
        return functional.layer_norm(x, weight, bias, self._settings.norm_epsilon)

    def _attention(self, x: F32) -> F32:
        count, time, width = x.shape
        parts = self._qkv(x).reshape(count, time, 3, self._settings.heads, self._settings.head_width)
        q, k, v = (parts[:, :, one].swapaxes(1, 2) for one in range(3))
        mixed, _ = functional.attention(q, k, v)
        return self._out(np.ascontiguousarray(mixed.swapaxes(1, 2)).reshape(count, time, width))
