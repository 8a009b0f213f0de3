"""Opening vision transformers, and language models that are shown images."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lmkit.commands.loading import models as opening
from lmkit.commands.options.standard import Run
from lmkit.errors import CheckpointError, UsageError
from lmkit.io import image_files, streams
from lmkit.protocols import ImageCaptioner, StoredModel

if TYPE_CHECKING:
    from lmkit.architectures.vision_model import LoadedVision


def open_vision(name: str) -> "LoadedVision":
    """The weights of a vision transformer. Raises CheckpointError for other kinds."""
    from lmkit.inference.vision import VisionModel

    opened = opening.open_any(name)
    if not isinstance(opened, VisionModel):
        kind = getattr(opened, "kind", "unknown")
        raise CheckpointError(
            f"{streams.display(name)}: of kind {kind}, not a vision transformer", hint="`lmkit train vision` makes one"
        )
    return opened.weights


def no_captioner(kind: str, name: str) -> UsageError:
    """The error about a model that is shown no images."""
    return UsageError(
        f"--image needs a captioner, but {streams.display(name)} is of kind {kind}",
        hint="`lmkit train captioner` makes one",
    )


def shown(run: Run, model: ImageCaptioner, names: Sequence[str]) -> StoredModel:
    """The language model of texts about the images in files; a notice says what shape they are seen in."""
    images = [image_files.read(name) for name in names]
    given = model.given(images)
    count, width = model.visual_tokens(images).shape
    what = "1 image" if len(images) == 1 else f"{len(images)} images"
    run.terminal.notice(f"{what}: visual tokens of shape ({count}, {width})")
    return given
