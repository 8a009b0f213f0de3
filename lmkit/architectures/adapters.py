"""Low-rank adapters (LoRA), Hu et al. (2021): what is learned beside a model whose own weights stay as they are.

A matrix W, (m, n), of the model becomes W + (alpha / r) B A, with A, (r, n), and B, (m, r). Where B is zero, as it is
before training, the model is unchanged.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, TypeVar

import numpy as np

from lmkit.architectures.config import ModelConfig, Shapes
from lmkit.architectures.encoder_model import LoadedEncoder
from lmkit.architectures.heads import TaskHead
from lmkit.architectures.neural_model import LoadedModel
from lmkit.architectures.published_settings import Published, in_checkpoint
from lmkit.checkpoint import Array, Checkpoint
from lmkit.data.sequences import TextFormat
from lmkit.errors import CheckpointError, UsageError

ALL = "all"
MOST_TOKENS = 1 << 31
Weights = TypeVar("Weights", LoadedModel, LoadedEncoder)


@dataclass(frozen=True, kw_only=True)
class Adapter:
    """The settings of an adapter. Raises UsageError where they make none.

    rank     r
    alpha    the adapter's share is alpha / r
    targets  which of a model's matrices have an A and a B, by a part of their names, such as `q_proj`; or ALL
    """

    rank: int
    alpha: float
    targets: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.rank < 1:
            raise UsageError(f"an adapter of rank {self.rank}, expected 1 or more")
        if not 0 < self.alpha < np.inf:
            raise UsageError(f"an adapter's alpha of {self.alpha}, expected a number above 0")
        if not self.targets:
            raise UsageError("an adapter without targets")

    def matrices(self, settings: ModelConfig) -> list[str]:
        """Return the names of the matrices of a model that are adapted. Raises UsageError for a target without one."""
        found = settings.matrices()
        if self.targets == (ALL,):
            return found
        parts = {name: name.split(".") for name in found}
        for target in self.targets:
            if not any(target in part for part in parts.values()):
                raise UsageError(f"the model has no matrix {target!r}")
        return [name for name in found if not set(self.targets).isdisjoint(parts[name])]

    def shapes(self, settings: ModelConfig) -> Shapes:
        """Name and shape of every A and B for a model: `NAME.lora_a` and `NAME.lora_b` for the matrix `NAME`."""
        shapes: Shapes = {}
        of_model = settings.body_shapes()
        for name in self.matrices(settings):
            rows, columns = of_model[name]
            shapes |= {f"{name}.lora_a": (self.rank, columns), f"{name}.lora_b": (rows, self.rank)}
        return shapes

    def merge(self, weights: Mapping[str, Array], tensors: Mapping[str, Array]) -> dict[str, Array]:
        """Return a model's weights with the adapter's `tensors` added to them, float32."""
        merged = dict(weights)
        scale = np.float32(self.alpha / self.rank)
        for name in tensors:
            matrix, _, half = name.rpartition(".")
            if half == "lora_a":
                product = tensors[f"{matrix}.lora_b"] @ tensors[name]
                merged[matrix] = (weights[matrix] + scale * product).astype(np.float32)
        return merged


@dataclass(frozen=True)
class ChatSettings:
    """What tuning on conversations changes beside weights: the chat template, and how texts begin and end."""

    text: TextFormat
    published: Published

    def to_config(self) -> dict[str, Any]:
        """What an adapter's `config` says of it."""
        return {"text": self.text.to_json(), **self.published.to_config(), **self.published.to_tokenizer()}

    @classmethod
    def from_config(cls, values: Mapping[str, Any]) -> "ChatSettings | None":
        """What an adapter's `config` says, None where that is nothing. Raises CheckpointError."""
        if "text" not in values:
            return None
        return cls(TextFormat.from_json(values["text"], MOST_TOKENS), in_checkpoint(values, values))

    def of(self, weights: Weights) -> Weights:
        """Return a model with these settings. Raises CheckpointError for a model without such tokens."""
        if not isinstance(weights, LoadedModel):
            raise CheckpointError("damaged checkpoint: an adapter of conversations, but the model is no language model")
        TextFormat.from_json(self.text.to_json(), weights.tokenizer.size)
        return replace(weights, form=self.text, published=self.published)


@dataclass(frozen=True)
class AdapterWeights:
    """An adapter as a file holds it: settings, the digest of the model that it was trained on, an A and a B each."""

    kind: ClassVar[str] = "adapter"

    adapter: Adapter
    parent: str
    tensors: Mapping[str, Array]
    digest: str = ""
    head: TaskHead | None = None
    """The head that was trained with it, if there is one: its tensors are among the others."""
    chat: "ChatSettings | None" = None
    """How the model with the adapter reads conversations, where it was trained on some."""

    def to_checkpoint(self, origin: Mapping[str, Any]) -> Checkpoint:
        """The adapter as a file's content."""
        adapter = self.adapter
        config = {
            "alpha": adapter.alpha, "parent": self.parent, "rank": adapter.rank, "targets": list(adapter.targets),
            **({} if self.head is None else {"head": self.head.to_json()}),
            **({} if self.chat is None else self.chat.to_config()),
        }  # fmt: skip
        return Checkpoint(self.kind, config, self.tensors, origin=origin)

    @classmethod
    def from_checkpoint(cls, checkpoint: Checkpoint) -> "AdapterWeights":
        """The adapter in a checkpoint; its arrays stay where they are. Raises CheckpointError."""
        values = checkpoint.config
        rank, alpha, targets, parent = (values.get(name) for name in ("rank", "alpha", "targets", "parent"))
        if type(rank) is not int or not isinstance(alpha, int | float) or isinstance(alpha, bool):
            raise CheckpointError("damaged checkpoint: an adapter's rank or alpha is absent or no number")
        if not isinstance(targets, list) or not all(isinstance(target, str) for target in targets):
            raise CheckpointError("damaged checkpoint: an adapter's targets are absent or no names")
        if not isinstance(parent, str):
            raise CheckpointError("damaged checkpoint: an adapter without the digest of its model")
        try:
            adapter = Adapter(rank=rank, alpha=float(alpha), targets=tuple(targets))
        except UsageError as error:
            raise CheckpointError(f"damaged checkpoint: {error}") from None
        head = TaskHead.from_json(values["head"]) if "head" in values else None
        of_head = {} if head is None else head.shapes()
        tensors = {name: checkpoint.array(name, "F32", shape) for name, shape in of_head.items()}
        tensors |= {
            name: checkpoint.array(name, "F32", (rank, None) if name.endswith(".lora_a") else (None, rank))
            for name in checkpoint.tensors
            if name not in of_head
        }
        return cls(adapter, parent, tensors, checkpoint.digest, head, ChatSettings.from_config(values))

    def head_tensors(self) -> dict[str, Array]:
        """The tensors of the head; none without one."""
        names = {} if self.head is None else self.head.shapes()
        return {name: self.tensors[name] for name in names}

    def merged_into(self, weights: Weights) -> Weights:
        """Return the model with the adapter merged into it. Raises CheckpointError for a model that is not its own."""
        self.check_parent(weights)
        merged = replace(weights, tensors=self.adapter.merge(weights.tensors, self.tensors), digest="")
        return merged if self.chat is None else self.chat.of(merged)

    def check_parent(self, weights: LoadedModel | LoadedEncoder) -> None:
        """Raises CheckpointError for a model that the adapter was not trained on."""
        if weights.digest != self.parent:
            raise CheckpointError(
                f"an adapter of the model {self.parent[:8]}, got the model {weights.digest[:8]}",
                hint="name the checkpoint that the adapter was trained on",
            )
        self._check_shapes(weights.settings)

    def _check_shapes(self, settings: ModelConfig) -> None:
        """Raises CheckpointError where the tensors are not those of an adapter of such a model."""
        try:
            shapes = self.adapter.shapes(settings)
        except UsageError as error:
            raise CheckpointError(f"damaged checkpoint: {error}") from None
        found = {name: tensor.shape for name, tensor in self.tensors.items() if name not in self.head_tensors()}
        if found != shapes:
            wrong = sorted(name for name in {*found, *shapes} if found.get(name) != shapes.get(name))
            raise CheckpointError(
                f"damaged checkpoint: adapter tensor {wrong[0]!r} is {found.get(wrong[0])}, "
                f"expected {shapes.get(wrong[0])}"
            )
