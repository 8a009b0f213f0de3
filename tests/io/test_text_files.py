"""Text files as lines of UTF-8."""

import gzip

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmkit.errors import DataError
from lmkit.io.text_files import TextReader

TEXT = "".join(f"line {number} of many é\n" for number in range(3000)).encode()


def read(name, **settings):
    return b"".join(TextReader(**settings).blocks(str(name)))


@pytest.mark.parametrize("block", [1, 2, 3, 7, 1 << 20])
@pytest.mark.parametrize("eager", [False, True])
@pytest.mark.parametrize(
    ("text", "lines"),
    [(b"", []), (b"\n", [b""]), (b"a", [b"a"]), (b"a\n", [b"a"]), (b"a\nb", [b"a", b"b"]),
     (b"\n\na\n\n", [b"", b"", b"a", b""]),
     (b"a\r\nb\r\n", [b"a", b"b"]), (b"a\rb\r\r\nc", [b"a\rb\r", b"c"]), (b"\xef\xbb\xbfa\n", [b"a"]),
     (b"\xef\xbb\xbf", []), (b"\xef\xbb\xbf\n", [b""]),
     ("é\u2028ñ\x85\n".encode(), ["é\u2028ñ\x85".encode()]), (b"long " * 50 + b"\nx", [b"long " * 50, b"x"])],
)  # fmt: skip
def test_lines(text, lines, block, eager, write):
    path = str(write("text", text))
    assert list(TextReader(block=block, eager=eager).lines(path)) == lines
    for piece in TextReader(block=block, eager=eager).blocks(path):
        assert piece.endswith(b"\n")


PIECES = (b"a", b"\n", b"\r\n", b"\r", "é".encode(), b"\xef\xbb\xbf", "\u2028".encode(), b" ")


@settings(max_examples=80)
@given(text=st.lists(st.sampled_from(PIECES), max_size=20).map(b"".join), block=st.integers(1, 9), eager=st.booleans())
def test_lines_do_not_depend_on_blocks(text, block, eager, write):
    path = str(write("text", text))
    expected = text.removeprefix(b"\xef\xbb\xbf")
    if expected and not expected.endswith(b"\n"):
        expected += b"\n"
    assert read(path, block=block, eager=eager) == expected.replace(b"\r\n", b"\n")


@settings(max_examples=80)
@given(
    text=st.binary(max_size=30).filter(lambda text: text[:1] not in (b"(", b"B", b"\x1f", b"\xfd")),
    block=st.integers(1, 9),
)
def test_replaced_bytes_do_not_depend_on_blocks(text, block, write):
    path = str(write("text", text))
    whole, cut = TextReader(replace=True), TextReader(replace=True, block=block)
    assert b"".join(cut.blocks(path)) == b"".join(whole.blocks(path))
    assert cut.replaced == whole.replaced
    b"".join(cut.blocks(path)).decode()


def test_a_carriage_return_and_its_feed_in_two_blocks(write):
    assert read(write("text", b"ab\r\ncd\r\n"), block=3) == b"ab\ncd\n"


def test_raw_takes_any_bytes(write):
    assert read(write("text", b"\xff\xfe\0\n\xef\xbb\xbf"), raw=True) == b"\xff\xfe\0\n\xef\xbb\xbf\n"


@pytest.mark.parametrize("block", [1, 5, 64, 1 << 20])
def test_errors_name_line_and_column_whatever_the_block(block, write):
    path = str(write("text", b"one\ntwo\nthr\xc3\xa9\xff\nfour\n"))
    with pytest.raises(DataError, match=r"text:3: not UTF-8 \(byte 0xff, column 6\)"):
        list(TextReader(block=block).blocks(path))


def test_replaced_bytes_are_counted(write):
    reader = TextReader(replace=True)
    path = str(write("text", "a\ufffd".encode() + b"\xff\xe2\x82\n\xff\n"))
    assert b"".join(reader.blocks(path)).decode() == "a\ufffd\ufffd\ufffd\n\ufffd\n"
    assert reader.replaced == 3


def test_files_are_closed(write):
    """Also where reading stops early; an unclosed file would be a warning, and warnings are errors here."""
    path = str(write("text", gzip.compress(TEXT)))
    lines = TextReader().lines(path)
    next(lines)
    lines.close()
    with pytest.raises(DataError):
        read(write("bad", gzip.compress(TEXT)[:-9]))
