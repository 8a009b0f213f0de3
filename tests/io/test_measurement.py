"""Texts in pieces as they are, numbers in files, and compressors."""

import bz2
import gzip
import io
import lzma
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmkit.errors import DataError, UsageError
from lmkit.io import compressors, number_tables, streams, text_files
from lmkit.io.text_files import TextReader

TEXT = st.text(st.sampled_from("ab é€😀\ufeff\r\n\0 "), max_size=40)


class Trickle(io.BytesIO):
    """A pipe that gives a few bytes at a time."""

    def read1(self, size=-1):
        return super().read(min(size, 1))


@pytest.fixture
def pieces(monkeypatch):
    """The pieces of a text that comes in blocks of a few bytes."""

    def pieces(data, *, separators=b"", **settings):
        stream = Trickle(data)
        monkeypatch.setattr(text_files, "open_input", lambda name: stream)
        return list(TextReader(**settings).pieces("x", separators=separators))

    return pieces


@given(text=TEXT, block=st.integers(1, 7), eager=st.booleans())
def test_pieces_are_the_text(text, block, eager, pieces):
    found = pieces(text.encode(), block=block, eager=eager)
    assert b"".join(found).decode() == text.removeprefix("\ufeff")
    assert all(piece.decode() for piece in found)


@given(data=st.binary(max_size=30), block=st.integers(1, 7))
def test_raw_pieces_are_all_bytes(data, block, pieces):
    assert b"".join(pieces(data, block=block, raw=True)) == data


@given(text=TEXT, block=st.integers(1, 7))
def test_pieces_end_with_separators(text, block, pieces):
    found = pieces(text.encode(), block=block, separators=b" \n")
    assert b"".join(found).decode() == text.removeprefix("\ufeff")
    assert all(piece.endswith((b" ", b"\n")) for piece in found[:-1])


@given(before=TEXT, block=st.integers(1, 7))
def test_bad_bytes_are_named_by_line_and_column(before, block, pieces):
    data = before.encode()
    text = data.removeprefix(text_files.BOM)
    line, column = text.count(b"\n") + 1, len(text) - text.rfind(b"\n")
    with pytest.raises(DataError, match=f"x:{line}: not UTF-8 .byte 0xff, column {column}."):
        pieces(data + b"\xffabc\n", block=block)
    assert b"".join(pieces(data + b"\xff", block=block, replace=True)) == text + "\ufffd".encode()


def test_a_tap_sees_all_bytes(write):
    seen = []
    reader = TextReader(block=2, tap=seen.append)
    assert b"".join(reader.blocks(str(write("x", gzip.compress(b"\xef\xbb\xbfa\r\nb"))))) == b"a\nb\n"
    assert b"".join(seen) == b"\xef\xbb\xbfa\r\nb"


# Compressors.


def test_sizes_are_those_of_the_compressors():
    text = "año ".encode() * 1000
    sizes = compressors.Sizes(["gzip", "zlib", "bz2", "lzma", "xz"])
    for begin in range(0, len(text), 1000):
        sizes.add(text[begin : begin + 1000])
    assert (sizes.bytes, sizes.characters) == (5000, 4000)
    assert sizes.finish() == {
        "gzip": len(gzip.compress(text, 6)), "zlib": len(zlib.compress(text)), "bz2": len(bz2.compress(text)),
        "lzma": len(lzma.compress(text, lzma.FORMAT_ALONE)), "xz": len(lzma.compress(text)),
    }  # fmt: skip


def test_zstandard_is_one_of_them():
    zstd = streams.zstandard("this")
    sizes = compressors.Sizes(["zstd"])
    sizes.add(b"a" * 1000)
    assert zstd.decompress(zstd.compress(b"a" * 1000)) == b"a" * 1000
    assert sizes.finish()["zstd"] < 100


def test_names_of_compressors():
    assert compressors.names("gzip, xz,gzip") == ["gzip", "xz"]
    for bad in ("", "rar", "gzip,"):
        with pytest.raises(UsageError, match="not one of gzip"):
            compressors.names(bad)


# Numbers in files.


def read(function, text, write):
    name = str(write("x", text))
    return function(name if function is number_tables.matrix else [name], TextReader())


@pytest.mark.parametrize(
    ("text", "values", "line"),
    [(b"0.5\n.5\n", [0.5, 0.5], 2), (b"0.5 0.25\t1e-1\n", [0.5, 0.25, 0.1], 1), (b"1\ta b\n\n0\tc\n", [1, 0], 3),
     (b"-0", [0], 1), (b"", [], None)],
)  # fmt: skip
def test_weights(text, values, line, write):
    assert read(number_tables.weights, text, write) == (values, f"x:{line}" if line else "x")


@pytest.mark.parametrize("text", [b"-1", b"nan", b"inf", b"1e999", b"x", b"0x1", b"1_0", b"a\t1", b"1 x", b"1\tnan"])
def test_what_is_no_weight(text, write):
    with pytest.raises(DataError, match=r"^x:2: "):
        read(number_tables.weights, b"1\n" + text, write)


def test_counts(write):
    assert list(read(number_tables.counts, b"3\n\n3\n0\n", write).values()) == [3, 3, 0]
    assert read(number_tables.counts, b"a\t1\nb c\t2\na\t4\n", write) == {b"a": 5, b"b c": 2}


@pytest.mark.parametrize("text", [b"a\t-1", b"1.5", b"a", b"a\t", b"9999999999999999999", "٣".encode()])
def test_what_is_no_count(text, write):
    with pytest.raises(DataError, match=r"^x:2: "):
        read(number_tables.counts, b"1\n" + text, write)


@pytest.mark.parametrize(
    "text", [b"1 2\n3 4\n", b"\tA\tB\nx\t1\t2\n\ny\t3\t4\n", b"A B\n1 2\n3 4", b"x 1 2\ny 3 4\n",
             b"X A B\nx 1 2\ny 3 4\n"]
)  # fmt: skip
def test_matrices(text, write):
    rows, place = read(number_tables.matrix, text, write)
    assert rows == [[1, 2], [3, 4]]
    assert place == f"x:{text.rstrip().count(10) + 1}"


@pytest.mark.parametrize(
    "text", [b"1 2\n3\n", b"1 2\n3 x\n", b"1 2\nx\n", b"1 2\n3 -4\n", b"a b\n1 nan\n", b"1 2\n3\t\n"]
)
def test_what_is_no_matrix(text, write):
    with pytest.raises(DataError, match=r"^x:2: "):
        read(number_tables.matrix, text, write)
