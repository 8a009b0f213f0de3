"""Sizes of memory; scratch files."""

import os

import numpy as np
import pytest

from lmkit.errors import UsageError
from lmkit.io import temp_storage


@pytest.mark.parametrize(
    ("text", "size"),
    [("1", 1), ("500", 500), ("1k", 1024), ("1K", 1024), ("1kB", 1024), ("500M", 500 << 20), ("500m", 500 << 20),
     ("500MB", 500 << 20), ("2G", 2 << 30),
     ("2gb", 2 << 30), ("1T", 1 << 40), ("1.5G", 3 << 29), ("0.5k", 512), ("7B", 7)],
)  # fmt: skip
def test_sizes_of_memory(text, size):
    assert temp_storage.memory_size(text) == size


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0",
        "-1",
        "-1G",
        "G",
        "x",
        "1X",
        "1 G M",
        "1GG",
        "1e9",
        "nan",
        "inf",
        "1..5",
        "0.1",
        "0x10",
        "1,5G",
        "k1",
        "9" * 400,
    ],
)
def test_sizes_that_are_none(text):
    with pytest.raises(UsageError, match="--memory"):
        temp_storage.memory_size(text)


def test_half_of_what_is_free_by_default():
    size = temp_storage.memory_size(None)
    assert size >= 128 << 20
    assert temp_storage.free_memory() >= 256 << 20


def test_arrays_on_disk(work):
    disk = temp_storage.Disk(str(work))
    writer = disk.writer(np.int64)
    for begin in range(0, 10_000, 1000):
        writer.append(np.arange(begin, begin + 1000, dtype=np.int32))
    array = writer.finish()
    assert array.dtype == np.int64
    assert array.tolist() == list(range(10_000))
    assert os.listdir(work) == []
    disk.release()
    assert array[9999] == 9999
    assert disk.writer(np.float32).finish().tolist() == []


def test_folders_for_arrays(tmp_path, monkeypatch, write):
    assert temp_storage.Disk().folder == str(tmp_path / "tmp")
    for folder in ("none", str(write("file", b""))):
        with pytest.raises(UsageError, match="--temp-dir"):
            temp_storage.Disk(folder)


@pytest.mark.parametrize("command", ["bpe encode -m bpe.lm --as npy", "data dedup --near 0.8"])
def test_a_full_disk_is_one_line(command, shell, write, lmkit):
    """A limit on the size of files stands in for it."""
    write("text.txt", b"".join(b"line %d of a text\n" % number for number in range(2000)))
    assert lmkit("bpe", "train", "--vocab-size", "270", "text.txt", "-o", "bpe.lm", "-q").status == 0
    done = shell(f"trap '' XFSZ; ulimit -f 2; PYTHONDONTWRITEBYTECODE=1 lmkit {command} text.txt -o out")
    assert done.status == 74
    assert [line for line in done.stderr.splitlines() if not line.startswith("  hint: ")] == [
        f"lmkit {' '.join(command.split()[:2])}: {os.environ['TMPDIR']}: File too large"
    ]
