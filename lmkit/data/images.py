"""Images as arrays: pixels from 0 to 1, grey or colour, of another size. Knows no files.

H x W pixels, C channels: 1 is grey, 3 are red, green and blue.
"""

from typing import Any

import numpy as np

from lmkit.errors import DataError
from lmkit.protocols import F32, F64

PIXELS = 1 << 26
"""Pixels of an image, at most."""
GREY = (0.299, 0.587, 0.114)
"""Shares of red, green and blue in a grey pixel (ITU-R BT.601)."""


def image_of(values: Any) -> F32:
    """An array or nested lists, (H, W) or (H, W, C), as pixels, (H, W, C) from 0 to 1.

    Whole numbers are from 0 to 255, or of uint16 to 65535; others from 0 to 1. With 2 or 4 channels the last one is
    alpha: the image is laid over white. Raises DataError for anything else.
    """
    try:
        array = np.asarray(values)
    except ValueError:
        raise DataError("the rows of the image are of different lengths") from None
    if array.dtype.kind not in "uifb" or array.ndim not in (2, 3):
        raise DataError(
            f"an image of type {array.dtype} and shape {list(array.shape)}",
            hint="expected rows of numbers, (height, width) or (height, width, channels)",
        )
    if 0 in array.shape:
        raise DataError(f"an image of {' x '.join(map(str, array.shape))}, which has no pixels")
    if array.shape[0] * array.shape[1] > PIXELS:
        raise DataError(f"an image of {array.shape[1]:,} x {array.shape[0]:,} pixels, more than {PIXELS:,}")
    pixels = _scaled(array)
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels
    channels = pixels.shape[2]
    if channels in (2, 4):
        alpha = pixels[..., -1:]
        pixels = pixels[..., :-1] * alpha + (1 - alpha)
    elif channels not in (1, 3):
        raise DataError(f"an image of {channels} channels, expected 1 to 4")
    return np.ascontiguousarray(pixels, dtype=np.float32)


def _scaled(array: Any) -> F64:
    """Numbers from 0 to 1."""
    if array.dtype.kind == "f":
        if not (np.isfinite(array).all() and array.min() >= 0 and array.max() <= 1):
            raise DataError("an image with numbers outside 0 to 1", hint="divide them by the highest, or use integers")
        return np.asarray(array, np.float64)
    most = 65535 if array.dtype == np.uint16 else 1 if array.dtype.kind == "b" else 255
    if array.min() < 0 or array.max() > most:
        raise DataError(f"an image with whole numbers outside 0 to {most}")
    return np.asarray(array / most, np.float64)


def resized(image: F32, height: int, width: int, channels: int) -> F32:
    """An image, (H', W', C'), as (H, W, C): by linear interpolation, over all pixels covered where it gets smaller."""
    if image.shape[2] != channels:
        image = image @ np.array(GREY, np.float32)[:, None] if channels == 1 else np.repeat(image, channels, axis=2)
    if image.shape[:2] == (height, width):
        return image
    rows, columns = _interpolation(image.shape[0], height), _interpolation(image.shape[1], width)
    made: F32 = np.einsum(
        "hi,iwc->hwc", rows, np.einsum("wj,ijc->iwc", columns, image, optimize=True), optimize=True
    ).astype(np.float32)
    return made


def _interpolation(before: int, after: int) -> F64:
    """Weights of old places in new ones, (after, before), whose rows sum to 1: triangles around the new centres."""
    scale = before / after
    support = max(1.0, scale)
    centres = (np.arange(after)[:, None] + 0.5) * scale
    weights = np.maximum(0.0, 1 - np.abs(np.arange(before) + 0.5 - centres) / support)
    found: F64 = weights / weights.sum(axis=1, keepdims=True)
    return found
