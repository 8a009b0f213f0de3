"""Images as arrays, and their sizes."""

import numpy as np
import pytest

from lmkit.data.images import GREY, image_of, resized
from lmkit.errors import DataError


def test_pixels_are_from_0_to_1_whatever_they_came_as():
    for values, most in ((np.uint8([[0, 255]]), 1), ([[0, 255]], 1), (np.uint16([[0, 65535]]), 1), ([[0.0, 0.5]], 0.5)):
        found = image_of(values)
        assert found.shape == (1, 2, 1)
        np.testing.assert_allclose(found[0, :, 0], [0, most])


def test_alpha_is_laid_over_white():
    half = image_of(np.uint8([[[255, 0, 0, 0], [255, 0, 0, 255]]]))
    np.testing.assert_allclose(half[0], [[1, 1, 1], [1, 0, 0]])
    np.testing.assert_allclose(image_of(np.uint8([[[0, 0], [0, 255]]]))[0, :, 0], [1, 0])


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([], "no pixels|shape"), ([[]], "no pixels"), ([[1, 2], [3]], "different lengths"), ([["a"]], "type"),
        ([[0.5, 2.0]], "outside 0 to 1"), ([[float("nan")]], "outside 0 to 1"), ([[256]], "outside 0 to 255"),
        ([[-1]], "outside 0 to 255"), (np.zeros((2, 2, 7)), "7 channels"), (3, "shape"), (None, "type"),
        (np.broadcast_to(np.uint8(0), (1 << 14, 1 << 14)), "more than"),
    ],
)  # fmt: skip
def test_what_is_no_image_says_why(values, said):
    with pytest.raises(DataError, match=said):
        image_of(values)


@pytest.mark.parametrize("size", [(5, 9), (13, 4), (8, 8), (1, 1)])
def test_sizes_change_as_pillows_bilinear_filter_does(size):
    image_module = pytest.importorskip("PIL.Image")
    image = np.random.default_rng(0).random((7, 11)).astype(np.float32)
    wanted = np.asarray(image_module.fromarray(image).resize(size[::-1], image_module.Resampling.BILINEAR))
    np.testing.assert_allclose(resized(image[..., None], *size, 1)[..., 0], wanted, atol=1e-5)


def test_colours_become_grey_by_their_shares_and_grey_is_repeated():
    np.testing.assert_allclose(resized(np.eye(3, dtype=np.float32)[None], 1, 3, 1)[0, :, 0], GREY)
    assert resized(np.full((2, 2, 1), 0.25, np.float32), 2, 2, 3).tolist() == np.full((2, 2, 3), 0.25).tolist()
