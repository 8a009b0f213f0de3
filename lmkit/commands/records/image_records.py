"""Images with labels or captions: JSON Lines that name files or hold pixels, or arrays in an .npz file."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lmkit.commands.options.standard import Run
from lmkit.commands.records.record_files import open_records
from lmkit.data import images
from lmkit.errors import DataError, LmkitError
from lmkit.io import image_files, streams

if TYPE_CHECKING:
    from lmkit.protocols import F32

IMAGE, IMAGES = "image", "images"
LABEL, CAPTION = "label", "caption"
PLURAL = {LABEL: "labels", CAPTION: "captions", "prompt": "prompts"}
"""The names of arrays in an .npz file that have such a field of each image."""
EXAMPLE = '{"image": "seven.png", "%s": "seven"}'


@dataclass(frozen=True)
class ImageRecord:
    """Images that are shown together, (H, W, C) each from 0 to 1, and what else their record has."""

    images: tuple["F32", ...]
    place: str
    fields: Mapping[str, Any] = field(default_factory=dict)

    def text(self, name: str) -> str:
        """A field that is a text or a whole number, as one line. Raises DataError for anything else."""
        value = self.fields.get(name)
        if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
            raise DataError(f"{self.place}: no text `{name}`", hint=f"expected a record such as {EXAMPLE % name}")
        if isinstance(value, str) and any(character in value for character in "\t\n\r"):
            raise DataError(f"{self.place}: `{name}` contains a tab or a line end")
        return str(value)


def read(run: Run, name: str) -> Iterator[ImageRecord]:
    """Yield the images of a file. Raises DataError, with the place, for anything else."""
    if name.endswith(".npz"):
        yield from _in_archive(name)
        return
    folder = "" if name == streams.STDIN else os.path.dirname(name)
    for record in open_records(run, name).records("jsonl"):
        fields = dict(record.fields or {})
        yield ImageRecord(taken(fields, record.place, folder), record.place, fields)


def read_all(run: Run, name: str) -> list[ImageRecord]:
    """The images of a file, at least one. Raises DataError."""
    found = list(read(run, name))
    if not found:
        raise DataError(f"{streams.display(name)}: no images: the input is empty")
    return found


def taken(fields: dict[str, Any], place: str, folder: str) -> tuple["F32", ...]:
    """The images of a record, whose field is removed: names of files in a folder, or pixels. Raises DataError."""
    several = fields.pop(IMAGES, None)
    given = several if several is not None else [fields.pop(IMAGE, None)]
    if not isinstance(given, list) or not given or any(one is None for one in given):
        raise DataError(f"{place}: no `image`", hint=f"expected a record such as {EXAMPLE % LABEL}")
    try:
        return tuple(
            image_files.read(os.path.join(folder, one)) if isinstance(one, str) else images.image_of(one)
            for one in given
        )
    except LmkitError as error:
        raise type(error)(f"{place}: {error}", hint=error.hint) from None


def _in_archive(name: str) -> Iterator[ImageRecord]:
    shown, arrays = streams.display(name), image_files.archive(name)
    if IMAGES not in arrays or arrays[IMAGES].ndim not in (3, 4):
        raise DataError(
            f"{shown}: no array `images` of (images, height, width) or (images, height, width, channels)",
            hint="numpy.savez(FILE, images=..., labels=...) writes one",
        )
    pixels = arrays[IMAGES]
    others = {field: arrays[plural].tolist() for field, plural in PLURAL.items() if plural in arrays}
    for field_name, values in others.items():
        if not isinstance(values, list) or len(values) != len(pixels):
            raise DataError(f"{shown}: {len(pixels)} images, but another number of {PLURAL[field_name]}")
    for number, image in enumerate(pixels):
        place = f"{shown}:{number + 1}"
        try:
            found = images.image_of(image)
        except LmkitError as error:
            raise type(error)(f"{place}: {error}", hint=error.hint) from None
        yield ImageRecord((found,), place, {field: values[number] for field, values in others.items()})


def inputs_of(names: Sequence[str | None]) -> list[dict[str, Any]]:
    """What a checkpoint's origin says of files of images."""
    from lmkit.commands.loading.provenance import file_record

    return [file_record(name) for name in names if name is not None]
