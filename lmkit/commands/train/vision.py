"""`lmkit train vision`: a vision transformer that labels images."""

import re
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lmkit.commands.options.image_training import NAMES, ImageTraining
from lmkit.commands.options.option_groups import in_sections, with_groups
from lmkit.commands.options.standard import UNRECORDED, Run
from lmkit.commands.records import image_records
from lmkit.commands.records.image_records import LABEL, ImageRecord
from lmkit.commands.training_run.image_session import ImageRun, ImageSession, check
from lmkit.errors import DataError, UsageError
from lmkit.io import outputs, streams

if TYPE_CHECKING:
    from lmkit.protocols import F32

SECTIONS = {
    "Images and output": ("file", "valid", "output"),
    "Architecture": ("size", "patch", "layers", "width", "heads", "hidden", "dropout"),
    "Training": NAMES,
}
SMALLEST = 1e-3
"""The least deviation of pixels by which they are scaled."""


@in_sections(SECTIONS)
@with_groups()
def vision(
    run: Run,
    file: Annotated[
        str,
        typer.Argument(
            metavar="[FILE]", show_default=False,
            help="Images: JSON Lines of `image` (a PNG, JPEG or .npy file, or rows of pixels) and `label`; or .npz "
            "with `images` and `labels`. `-` or none: stdin.",
        ),
        UNRECORDED,
    ] = streams.STDIN,
    size: Annotated[
        str | None,
        typer.Option(
            "--size", metavar="WxH", show_default="that of the first image",
            help="Width and height in pixels to which images are resized.",
        ),
    ] = None,
    patch: Annotated[int, typer.Option("--patch", metavar="N", min=1, help="Width and height of a patch.")] = 4,
    layers: Annotated[int, typer.Option("--layers", metavar="N", min=1, help="Number of layers.")] = 4,
    width: Annotated[int, typer.Option("--width", metavar="N", min=1, help="Hidden size (d_model).")] = 64,
    heads: Annotated[
        int, typer.Option("--heads", metavar="N", min=1, help="Attention heads, each of size --width / N.")
    ] = 4,
    hidden: Annotated[
        int | None,
        typer.Option(
            "--hidden", metavar="N", min=1, show_default="4 times --width", help="Feed-forward size (d_ff)."
        ),
    ] = None,
    dropout: Annotated[
        float,
        typer.Option(
            "--dropout", metavar="P", min=0.0, max=0.95, help="Dropout probability of activations during training."
        ),
    ] = 0.1,
    *,
    training: ImageTraining,
) -> None:  # fmt: skip
    """Train a vision transformer on labelled images.

    Images are cut into patches, which a linear map makes vectors of; a transformer encoder reads them behind a class
    token, whose state gives the label. All images are resized to one size, and grey if the first one is. Alpha is
    laid over white; 16-bit and CMYK images are converted. The states of the patches are the visual tokens of
    `train captioner`. `predict` labels images.

    Examples:
      lmkit train vision digits.npz -o vision.lm
      lmkit train vision train.jsonl --valid valid.jsonl --size 32x32 --patch 8 -o vision.lm
      lmkit predict -m vision.lm test.jsonl | lmkit eval classify
    """
    outputs.expect_output(training.output, binary=True)
    state = check(run, training)
    import numpy as np

    from lmkit.architectures.heads import CLASSIFY, FIRST, TaskHead
    from lmkit.architectures.vision import VisionConfig
    from lmkit.architectures.vision_model import LoadedVision, PixelScale

    asked = None if size is None else _size(size)
    found = _Images(run, file, asked)
    names = tuple(sorted(set(found.labels)))
    if len(names) < 2:
        raise DataError(f"{streams.display(file)}: all labels are {names[0]!r}, expected two or more different ones")
    height, image_width, channels = found.shape
    settings = VisionConfig(
        image_height=height, image_width=image_width, channels=channels, patch=patch, layers=layers, width=width,
        heads=heads, hidden=4 * width if hidden is None else hidden,
    )  # fmt: skip
    head = TaskHead(task=CLASSIFY, width=width, labels=names, pooling=FIRST)
    mean = found.pixels.mean(axis=(0, 1, 2), dtype=np.float64)
    deviation = np.maximum(found.pixels.std(axis=(0, 1, 2), dtype=np.float64), SMALLEST)
    pixels = PixelScale(tuple(map(float, mean)), tuple(map(float, deviation)))

    def arrays(images: "_Images") -> dict[str, Any]:
        numbers = {name: number for number, name in enumerate(names)}
        targets = [numbers.get(label, -1) for label in images.labels]
        scaled = (images.pixels - np.array(pixels.mean, np.float32)) / np.array(pixels.deviation, np.float32)
        return {"pixels": scaled.astype(np.float32), "targets": np.array(targets, dtype=np.int64)}

    def network() -> Any:
        import torch

        from lmkit.nn.factory import SEEDS
        from lmkit.nn.vision import VisionNetwork

        made = VisionNetwork(settings, head, dropout)
        made.initialise(torch.Generator().manual_seed(training.seed % SEEDS))
        return made

    held = None if training.valid is None else _Images(run, training.valid, (height, image_width), channels)
    if held is not None and (strange := sum(label not in names for label in held.labels)):
        run.terminal.notice(
            f"{strange} of {len(held.labels)} validation images have labels that training lacks; they are left out"
        )
    made = ImageRun(
        arrays(found), None if held is None else arrays(held),
        lambda weights: LoadedVision(settings, pixels, weights, head), network,
        [f"vision: {len(names)} labels; an image of {image_width} x {height}: visual tokens of shape "
         f"({settings.patches}, {width})"],
        image_records.inputs_of([file, training.valid]), {},
    )  # fmt: skip
    ImageSession(run, training, state, made).go()


def _size(text: str) -> tuple[int, int]:
    """Height and width. Raises UsageError."""
    found = re.fullmatch(r"(\d{1,5})x(\d{1,5})", text, re.ASCII)
    if found is None or not int(found[1]) * int(found[2]):
        raise UsageError(f"--size {text!r}: expected width and height such as 32x32")
    return int(found[2]), int(found[1])


class _Images:
    """Images of one size, (B, H, W, C), and their labels. Raises DataError."""

    def __init__(self, run: Run, name: str, size: tuple[int, int] | None, channels: int | None = None) -> None:
        import numpy as np

        from lmkit.data.images import resized

        found: list[F32] = []
        self.labels: list[str] = []
        for record in image_records.read(run, name):
            image = _single(record)
            size = image.shape[:2] if size is None else size
            channels = image.shape[2] if channels is None else channels
            self.labels.append(record.text(LABEL))
            found.append(resized(image, *size, channels))
        if not found:
            raise DataError(f"{streams.display(name)}: no images: the input is empty")
        self.pixels: F32 = np.stack(found)

    @property
    def shape(self) -> tuple[int, int, int]:
        """H, W and C."""
        _, height, width, channels = self.pixels.shape
        return height, width, channels


def _single(record: ImageRecord) -> "F32":
    if len(record.images) != 1:
        raise DataError(f"{record.place}: {len(record.images)} images with one label, expected one image")
    return record.images[0]
