"""Files, pipes and standard streams."""

import bz2
import gzip
import importlib.util
import io
import lzma
import os
import sys

import pytest

from lmkit.errors import DataError, UsageError
from lmkit.io import streams
from lmkit.io.streams import open_input
from lmkit.io.text_files import TextReader

TEXT = "".join(f"line {number} of many é\n" for number in range(3000)).encode()
PACKERS = {
    "plain": bytes, "gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress,
    "gz in two": lambda data: gzip.compress(data[:1000]) + gzip.compress(data[1000:]),
    "bz2 in two": lambda data: bz2.compress(data[:1000]) + bz2.compress(data[1000:]),
    "xz in two": lambda data: lzma.compress(data[:1000]) + lzma.compress(data[1000:]),
    "gz of nothing and all": lambda data: gzip.compress(b"") + gzip.compress(data),
    "gz with a name": lambda data: with_name(data),
}  # fmt: skip


def with_name(data):
    packed = io.BytesIO()
    with gzip.GzipFile("a name.txt", "wb", fileobj=packed, mtime=1) as stream:
        stream.write(data)
    return packed.getvalue()


def zstd(data):
    """One frame of zstd that stores its bytes as they are (RFC 8878), in blocks of 128 KiB at most."""
    header = b"\x28\xb5\x2f\xfd" + b"\xa0" + len(data).to_bytes(4, "little")
    pieces = [data[place : place + (1 << 17)] for place in range(0, len(data), 1 << 17)] or [b""]
    blocks = b"".join(
        ((len(piece) << 3) | (number == len(pieces) - 1)).to_bytes(3, "little") + piece
        for number, piece in enumerate(pieces)
    )
    return header + blocks


def has_zstd():
    name = "compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd"
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


def read(name, **settings):
    return b"".join(TextReader(**settings).blocks(str(name)))


@pytest.fixture
def stdin(monkeypatch):
    def stdin(data):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(data))))

    return stdin


# Compressed files.


@pytest.mark.parametrize("name", PACKERS)
def test_compressed_files_are_read_as_they_are(name, write, stdin):
    packed = PACKERS[name](TEXT)
    assert read(write("any name", packed)) == TEXT
    stdin(packed)
    assert read("-") == TEXT
    with open_input("any name") as stream:
        assert stream.read() == TEXT


@pytest.mark.parametrize("name", PACKERS)
@pytest.mark.parametrize("size", [0, 1, 2, 3, 4])
def test_very_short_files(name, size, write):
    text = b"a\n\xc3\xa9"[:size]
    expected = b"" if not text else text if text.endswith(b"\n") else text + b"\n"
    assert read(write("short", PACKERS[name](text)), raw=True) == expected


@pytest.mark.parametrize(
    "pieces", [[TEXT], [TEXT[:1000], TEXT[1000:]], [b"", TEXT], [TEXT * 10]], ids=["one", "two", "empty first", "long"]
)
def test_zstd(pieces, write, lmkit):
    path = write("text.zst", b"".join(map(zstd, pieces)))
    if has_zstd():
        assert read(path) == b"".join(pieces)
    else:
        done = lmkit("ngram", "count", path)
        assert done.status == 69
        assert (
            done.stderr == "lmkit ngram count: reading .zst needs backports.zstd\n  hint: pip install backports.zstd\n"
        )


def test_zstd_that_is_damaged(write, lmkit):
    path = write("text.zst", zstd(TEXT)[:-10])
    assert lmkit("ngram", "count", path).status == (3 if has_zstd() else 69)


@pytest.mark.parametrize("pack", ["gz", "bz2", "xz"])
def test_every_command_reads_compressed_files(pack, lmkit, shelf, write):
    model = write("model", PACKERS[pack](shelf["witten-bell-2.lm"].read_bytes()))
    arpa = write("arpa", PACKERS[pack](shelf["mkn.arpa"].read_bytes()))
    text = write("text", PACKERS[pack](shelf["test.txt"].read_bytes()))
    plain = lmkit("ppl", "-b", "-m", shelf["witten-bell-2.lm"], "-m", shelf["mkn.arpa"], shelf["test.txt"])
    assert lmkit("ppl", "-b", "-m", model, "-m", arpa, text).stdout == plain.stdout != b""
    counts = write("counts", PACKERS[pack](shelf["counts.lm"].read_bytes()))
    assert lmkit("ngram", "merge", counts).stdout == lmkit("ngram", "merge", shelf["counts.lm"]).stdout != b""


# Sizes.


def test_sizes(write, work):
    one, two = write("one", b"abc"), write("two", b"")
    assert streams.size_of([str(one), str(two), str(one)]) == 6
    assert streams.size_of([]) == 0
    assert streams.size_of(["none"]) is None
    assert streams.size_of([str(work)]) is None
    assert streams.size_of(["/dev/null"]) is None


# Whole files.


@pytest.mark.parametrize("name", ["plain", "gz", "bz2", "xz", "gz in two"])
def test_whole_files(name, write, stdin):
    packed = PACKERS[name](TEXT)
    assert bytes(streams.read_whole(str(write("file", packed)))) == TEXT
    stdin(packed)
    assert bytes(streams.read_whole("-")) == TEXT


def test_whole_files_that_are_empty_or_not_there(write, stdin, work):
    assert bytes(streams.read_whole(str(write("file", b"")))) == b""
    stdin(b"")
    assert bytes(streams.read_whole("-")) == b""
    for name in ("none", str(work)):
        with pytest.raises(DataError):
            streams.read_whole(name)


# Arguments.


def test_arguments_are_the_bytes_that_were_typed():
    assert streams.argument_bytes(os.fsdecode("café".encode())) == "café".encode()
    assert streams.argument_bytes(os.fsdecode(b"caf\xe9 \xc3\xa9"), raw=True) == b"caf\xe9 \xc3\xa9"
    with pytest.raises(UsageError, match="byte 0xe9"):
        streams.argument_bytes(os.fsdecode(b"caf\xe9 \xc3\xa9"))
