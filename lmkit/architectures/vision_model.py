"""A vision transformer as a file holds it: settings, how pixels are scaled, tensors, and a head for labels.

C channels.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from lmkit.architectures.heads import CLASSIFY, FIRST, TaskHead
from lmkit.architectures.vision import VisionConfig
from lmkit.checkpoint import Array, Checkpoint
from lmkit.errors import CheckpointError

NO_HEAD = {"kind": "none"}


@dataclass(frozen=True)
class PixelScale:
    """What a model reads of a pixel p from 0 to 1: (p - mean) / deviation, of each channel, (C,)."""

    mean: tuple[float, ...]
    deviation: tuple[float, ...]

    def to_json(self) -> dict[str, Any]:
        """As a checkpoint's `pixels`."""
        return {"deviation": list(self.deviation), "mean": list(self.mean)}

    @classmethod
    def from_json(cls, values: object, channels: int) -> "PixelScale":
        """Out of a checkpoint. Raises CheckpointError."""
        found: Mapping[str, Any] = values if isinstance(values, Mapping) else {}
        mean, deviation = found.get("mean"), found.get("deviation")
        made = cls(_numbers(mean, channels), _numbers(deviation, channels))
        if min(made.deviation) <= 0:
            raise CheckpointError("damaged checkpoint: the scale of pixels is not positive")
        return made


def _numbers(values: object, count: int) -> tuple[float, ...]:
    """So many finite numbers. Raises CheckpointError."""
    found = values if isinstance(values, list) else []
    fine = all(isinstance(one, int | float) and not isinstance(one, bool) and math.isfinite(one) for one in found)
    if len(found) != count or not fine:
        raise CheckpointError("damaged checkpoint: the scale of pixels is absent or invalid")
    return tuple(map(float, found))


@dataclass(frozen=True)
class LoadedVision:
    """A vision transformer's weights: tensors of float32 by the names of `VisionConfig.shapes`, and of its head.

    Its checkpoint is of kind `vision`; `config` holds `body` (`VisionConfig.to_json`), `head` (`TaskHead.to_json`, or
    of kind `none`) and `pixels` (`PixelScale.to_json`).
    """

    kind: ClassVar[str] = VisionConfig.kind

    settings: VisionConfig
    pixels: PixelScale
    tensors: Mapping[str, Array]
    head: TaskHead | None = None
    digest: str = ""

    @property
    def body(self) -> "LoadedVision":
        """The same without a head."""
        return replace(self, head=None, tensors={name: self.tensors[name] for name in self.settings.shapes()})

    def config(self) -> dict[str, Any]:
        """All but the tensors, as a checkpoint has it."""
        head = NO_HEAD if self.head is None else self.head.to_json()
        return {"body": self.settings.to_json(), "head": head, "pixels": self.pixels.to_json()}

    def to_checkpoint(self, origin: Mapping[str, Any]) -> Checkpoint:
        """The model as a file's content."""
        return Checkpoint(self.kind, self.config(), dict(self.tensors), {}, origin)

    @classmethod
    def from_checkpoint(cls, checkpoint: Checkpoint) -> "LoadedVision":
        """The model in a checkpoint; its arrays stay where they are. Raises CheckpointError."""
        return replace(cls.of_parts(checkpoint.config, checkpoint), digest=checkpoint.digest)

    @classmethod
    def of_parts(cls, config: object, checkpoint: Checkpoint, prefix: str = "") -> "LoadedVision":
        """The model of such a config, whose tensors begin with `prefix`. Raises CheckpointError."""
        found: Mapping[str, Any] = config if isinstance(config, Mapping) else {}
        body = found.get("body")
        if not isinstance(body, Mapping):
            raise CheckpointError("damaged checkpoint: a vision transformer's config has no body")
        settings = VisionConfig.from_json(body)
        head = None
        if found.get("head") != NO_HEAD:
            head = TaskHead.from_json(found.get("head"))
            if head.task != CLASSIFY or head.pooling != FIRST or head.width != settings.width or head.dense or head.crf:
                raise CheckpointError("damaged checkpoint: the head of a vision transformer labels the class token")
        shapes = settings.shapes() | ({} if head is None else head.shapes())
        checkpoint.check({prefix + name for name in shapes})
        tensors = {name: checkpoint.array(prefix + name, "F32", shape) for name, shape in shapes.items()}
        return cls(settings, PixelScale.from_json(found.get("pixels"), settings.channels), tensors, head)
