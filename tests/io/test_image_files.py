"""Files of images, as cameras, artists and attackers make them."""

import io
import struct
import zipfile
import zlib

import numpy as np
import pytest

from lmkit.errors import DataError
from lmkit.io import image_files

Image = pytest.importorskip("PIL.Image")


def png(mode, pixel, size=(2, 1), **more):
    stream = io.BytesIO()
    Image.new(mode, size, pixel).save(stream, "PNG", **more)
    return stream.getvalue()


def jpeg(mode, pixel, **more):
    stream = io.BytesIO()
    Image.new(mode, (8, 8), pixel).save(stream, "JPEG", quality=100, **more)
    return stream.getvalue()


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def header(width, height):
    start = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return start + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("data", "wanted"),
    [
        (png("L", 51), [0.2]), (png("1", 1), [1.0]), (png("RGB", (255, 51, 0)), [1.0, 0.2, 0.0]),
        (png("RGBA", (0, 0, 0, 0)), [1.0, 1.0, 1.0]), (png("LA", (0, 51)), [0.8] * 3), (png("I;16", 13107), [0.2]),
        (png("P", 0), [0.0, 0.0, 0.0]), (png("P", 0, transparency=0), [1.0, 1.0, 1.0]),
        (jpeg("CMYK", (0, 0, 0, 0)), [1.0, 1.0, 1.0]), (jpeg("L", 255), [1.0]),
    ],
)  # fmt: skip
def test_modes_become_pixels(write, data, wanted):
    found = image_files.read(str(write("image", data)))
    np.testing.assert_allclose(found[0, 0], wanted, atol=0.01)


def test_a_picture_is_turned_as_its_camera_says(write):
    exif = Image.Exif()
    exif[0x0112] = 6
    stream = io.BytesIO()
    Image.new("L", (4, 2)).save(stream, "PNG", exif=exif)
    assert image_files.read(str(write("turned.png", stream.getvalue()))).shape == (4, 2, 1)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "neither PNG nor JPEG"), (b"hello", "neither PNG nor JPEG"), (png("L", 3)[:40], "damaged|neither"),
        (header(60000, 60000), "60,000 x 60,000|more than"), (header(0, 5), "0 x 5, which has no pixels"),
        (b"GIF89a" + b"\0" * 50, "neither PNG nor JPEG"), (header(9000, 2), "damaged"),
    ],
)  # fmt: skip
def test_what_is_no_image_or_a_bomb_says_so(write, data, said):
    with pytest.raises(DataError, match=said):
        image_files.read(str(write("image.png", data)))


def test_arrays_are_read_and_hostile_ones_are_not(write, work):
    np.save(work / "a.npy", np.uint8([[0, 255]]))
    assert image_files.read("a.npy")[0, 1, 0] == 1
    np.save(work / "object.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match="could run code"):
        image_files.read("object.npy")
    head = np.lib.format.header_data_from_array_1_0(np.zeros(1, np.uint8)) | {"shape": (1 << 20, 1 << 20)}
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, head)
    write("big.npy", stream.getvalue())
    with pytest.raises(DataError, match="more than"):
        image_files.read("big.npy")
    write("no.npy", b"no")
    with pytest.raises(DataError, match="not an array"):
        image_files.read("no.npy")


def test_archives_are_read_and_hostile_ones_are_not(write, work):
    np.savez(work / "a.npz", images=np.zeros((2, 3, 3), np.uint8), labels=np.array(["a", "b"]))
    assert image_files.archive("a.npz")["labels"].tolist() == ["a", "b"]
    write("no.npz", b"no")
    with pytest.raises(DataError, match=r"not an \.npz"):
        image_files.archive("no.npz")
    with zipfile.ZipFile(work / "bomb.npz", "w", zipfile.ZIP_DEFLATED) as files:
        stream = io.BytesIO()
        head = np.lib.format.header_data_from_array_1_0(np.zeros(1)) | {"shape": (1 << 31,)}
        np.lib.format.write_array_header_1_0(stream, head)
        files.writestr("images.npy", stream.getvalue() + b"\0" * 1000)
    with pytest.raises(DataError, match="more than"):
        image_files.archive("bomb.npz")
