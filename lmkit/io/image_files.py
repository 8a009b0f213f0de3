"""Files of images: PNG and JPEG by Pillow, arrays of numpy; as pixels from 0 to 1.

A file is data of someone else: its size is known before anything of that size is made.
"""

import io
import math
import warnings
import zipfile
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lmkit.data import images
from lmkit.errors import DataError, LmkitError, MissingError
from lmkit.io import size_limits, streams

if TYPE_CHECKING:
    from lmkit.protocols import F32

FORMATS = ("PNG", "JPEG")
PNG = b"\x89PNG\r\n\x1a\n"
IMAGE = size_limits.Limit(256 << 20, "images", "make sure that this is the file you mean")
ARRAYS = 1 << 29
"""Numbers of an archive's array, at most."""


def read(name: str) -> "F32":
    """The image in a file, (H, W, C) from 0 to 1: of numpy where its name ends in .npy, else PNG or JPEG.

    Raises DataError for anything else, MissingError without Pillow.
    """
    shown, data = streams.display(name), bytes(streams.read_limited(name, IMAGE))
    try:
        if name.endswith(".npy"):
            return images.image_of(_array(io.BytesIO(data), shown))
        return images.image_of(_decoded(data, shown))
    except LmkitError as error:
        if str(error).startswith(shown):
            raise
        raise type(error)(f"{shown}: {error}", hint=error.hint) from None


def archive(name: str) -> Mapping[str, Any]:
    """The arrays of an .npz file by name. Raises DataError for anything else, and for arrays of Python objects."""
    shown, data = streams.display(name), io.BytesIO(streams.read_whole(name))
    found: dict[str, Any] = {}
    try:
        with zipfile.ZipFile(data) as files:
            for member in files.namelist():
                with files.open(member) as stream:
                    found[member.removesuffix(".npy")] = _array(stream, f"{shown}: {member}")
    except (zipfile.BadZipFile, RuntimeError, EOFError, OSError):
        # RuntimeError: zipfile's for encrypted members, and of a kind for compression that it does not have
        raise DataError(f"{shown}: not an .npz file, or damaged", hint="numpy.savez writes one") from None
    return found


def _array(stream: Any, place: str) -> Any:
    """The array of an .npy file; how large it is is known before it is read."""
    from numpy.lib import format as npy

    try:
        version = npy.read_magic(stream)
        header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, fortran, dtype = header(stream)
        if dtype.hasobject:
            raise DataError(f"{place}: an array of Python objects, which could run code")
        count = math.prod(shape)
        if count > ARRAYS or count * dtype.itemsize > 8 * ARRAYS:
            raise DataError(f"{place}: an array of {count:,} numbers, more than {ARRAYS:,}")
        import numpy as np

        data = stream.read(count * dtype.itemsize)
        if len(data) < count * dtype.itemsize:
            raise DataError(f"{place}: shorter than its header says")
        return np.frombuffer(data, dtype).reshape(shape, order="F" if fortran else "C")
    except ValueError as error:
        raise DataError(f"{place}: not an array of numpy ({error})") from None


def _decoded(data: bytes, shown: str) -> Any:
    """The pixels of a PNG or JPEG file, laid over white and turned as its camera says."""
    if data.startswith(PNG) and len(data) >= 24:  # Pillow does not know one of 0 pixels
        _expect_size(int.from_bytes(data[16:20]), int.from_bytes(data[20:24]), shown)
    try:
        from PIL import Image, ImageOps, UnidentifiedImageError
    except ImportError:
        raise MissingError("PNG and JPEG are read with Pillow, the extra `images`", package="pillow") from None
    import numpy as np

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data), formats=FORMATS) as opened:
                _expect_size(*opened.size, shown)
                image = ImageOps.exif_transpose(opened)
                if image.mode in ("I", "I;16", "I;16B", "F"):
                    return np.asarray(image.convert("I"), np.int64).clip(0, 65535).astype(np.uint16)
                if image.mode in ("1", "L", "RGB"):
                    return np.asarray(image.convert("L" if image.mode == "1" else image.mode))
                has_alpha = image.mode in ("LA", "PA", "RGBA", "La", "RGBa") or "transparency" in image.info
                return np.asarray(image.convert("RGBA" if has_alpha else "RGB"))
    except UnidentifiedImageError:
        raise DataError(
            f"{shown}: neither PNG nor JPEG", hint="numpy.save writes arrays as .npy, which are read too"
        ) from None
    except Image.DecompressionBombError:
        raise DataError(f"{shown}: an image of more than {images.PIXELS:,} pixels") from None
    except (OSError, SyntaxError, ValueError, EOFError, KeyError, IndexError, TypeError, OverflowError) as error:
        what = " ".join(str(error).split())
        raise DataError(f"{shown}: a damaged image ({what[:80]})") from None


def _expect_size(width: int, height: int, shown: str) -> None:
    if width * height > images.PIXELS:
        raise DataError(f"{shown}: an image of {width:,} x {height:,} pixels, more than {images.PIXELS:,}")
    if not width * height:
        raise DataError(f"{shown}: an image of {width} x {height}, which has no pixels")
