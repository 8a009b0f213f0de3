"""Files of word vectors: what is read from them to the bit, what is written, and what is refused."""

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmkit.errors import CheckpointError, DataError
from lmkit.word_vectors.readers import detect, read_binary, read_text
from lmkit.word_vectors.vector_space import VectorSpace
from lmkit.word_vectors.word_order import listed
from lmkit.word_vectors.writers import Export

TEXT = b"3 2\nking 1 -2.5e-3\n</s> 0.1 3\nNew York .5 4\n"


def as_read(listing):
    """Words and the bits of their numbers, in order."""
    space = listing.space()
    ids = listed(space)
    return [(space.tokenizer.piece(i), space.centre[i].tobytes()) for i in ids.tolist()]


def expected(*rows):
    """The same by Python's own parsing of numbers."""
    return [(word, b"".join(struct.pack("<f", float(number)) for number in numbers)) for word, *numbers in rows]


def in_blocks(data, size):
    """Blocks of `size` lines."""
    lines = data.splitlines(keepends=True)
    return [b"".join(lines[at : at + size]) for at in range(0, len(lines), size)]


ROWS = expected((b"king", "1", "-2.5e-3"), (b"</s>", "0.1", "3"), (b"New York", ".5", "4"))


@pytest.mark.parametrize("size", [1, 2, 9])
@pytest.mark.parametrize("end", [b"\n", b" \n", b"  \t\n"])
def test_texts(size, end):
    data = TEXT.replace(b"\n", end)
    assert detect(data) == "text"
    assert as_read(read_text(in_blocks(data, size), header=True)) == ROWS


def test_texts_without_a_first_line():
    data = TEXT.split(b"\n", 1)[1] + b"7 8 9\n\n1e-50 3.4028235e38 -0\n"
    assert detect(data) == "glove"
    more = expected((b"7", "8", "9"), (b"1e-50", "3.4028235e38", "-0"))
    assert as_read(read_text([data], header=False)) == ROWS + more


@pytest.mark.parametrize("between", [b"", b"\n"])
@pytest.mark.parametrize("size", [1, 5, 100])
def test_binaries(between, size):
    rows = [(word, bits) for word, bits in ROWS if b" " not in word]
    data = b"2 2\n" + b"".join(word + b" " + bits + between for word, bits in rows)
    assert detect(data) == "bin"
    assert as_read(read_binary(data[at : at + size] for at in range(0, len(data), size))) == rows


def test_of_a_word_met_twice_the_first_vector_is_kept():
    listing = read_text([b"a 1\nb 2\na 3\nb 4\nc 5\n"], header=False)
    assert (listing.words, listing.duplicates, listing.duplicate) == (3, 2, b"a")
    assert as_read(listing) == expected((b"a", "1"), (b"b", "2"), (b"c", "5"))


@pytest.mark.parametrize("places", [(0, 4), (3, 1), (4, 0), (2, 3)])
def test_special_words_have_their_ids_and_keep_their_places(places):
    words = ["x", "y", "z"]
    for place, name in sorted(zip(places, ("<unk>", "</s>"), strict=True)):
        words.insert(place, name)
    data = "".join(f"{word} {number}\n" for number, word in enumerate(words)).encode()
    space = read_text([data], header=False).space()
    assert space.centre[[0, 1, 2], 0].tolist() == [places[0], 0, places[1]]
    assert b"".join(Export(space).text(header=False)).replace(b".0", b"") == data


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"2 2\na 1 2\nb 1\n", "line 3, word 'b': 1 numbers, expected 2"),
        (b"2 2\na 1 2\nb\n", "line 3, word 'b': 0 numbers"),
        (b"2 2\na 1 2\n\nb 1 2 3\n", "line 4, word 'b': more numbers than 2"),
        (b"2 2\na 1 2\nb  1 2\n", "line 3, word 'b': two spaces"),
        (b"2 2\na 1 2\nb 1 x\n", "line 3, word 'b': 'x' is not a number"),
        (b"2 2\na 1 2\nb 1  2\n", "line 3, word 'b': more numbers than 2"),
        (b"2 2\na 1\t5 2\nb 1 2\n", "line 2, word 'a': '1\\t5' is not a number"),
        (b"2 2\na 1 2\nb 1_0 2\n", "line 3, word 'b': '1_0' is not a number"),
        (b"2 2\na 1 2\nb nan 2\n", "line 3, word 'b': its numbers are not all finite"),
        (b"2 2\na 1 2\nb 1 1e39\n", "line 3, word 'b': its numbers are not all finite"),
        (b"2 2\na 1 2\nb\0 1 2\n", "line 3, word 'b\\x00': a NUL byte"),
        (b"3 2\na 1 2\nb 1 2\n", "line 4: the end after 2 words, but line 1 says 3"),
        (b"1 2\na 1 2\nb 1 2\n", "2 words or more, but line 1 says 1"),
        (b"0 2\n", "line 1: 0 words"),
        (b"2 0\n", "line 1: vectors of 0 numbers"),
        (b"2 99999999999999\n", "line 1: vectors of 99999999999999 numbers"),
        (b"a 1 2\n", "line 1: expected `V D`, found 'a 1 2'"),
    ],
)
@pytest.mark.parametrize("size", [1, 9])
def test_damaged_texts(data, message, size):
    with pytest.raises(DataError) as error:
        read_text(in_blocks(data, size), header=True)
    assert str(error.value).startswith(message)


A = b"a " + struct.pack("<2f", 1, 2)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"2 2\n" + A, "the end after 1 words, but line 1 says 2 words"),
        (b"2 2\n" + A + b"b \0\0", "the end in word 2"),
        (b"1 2\n" + A + A, "more behind word 1"),
        (b"1 2\na " + struct.pack("<2f", 1, float("nan")), "word 1, 'a': its numbers are not all finite"),
        (b"1 2\n\xff " + A[2:], "word 1, '\ufffd': not UTF-8 (byte 0xff)"),
        (b"1 2\na\0 " + A[2:], "word 1, 'a\\x00': a NUL byte"),
        (b"2 2\n" + b"x" * (1 << 21), "word 1: no end"),
    ],
)
def test_damaged_binaries(data, message):
    with pytest.raises(DataError) as error:
        read_binary([data])
    assert str(error.value).startswith(message)


def test_words_that_are_not_utf8_can_be_mended():
    listing = read_binary([b"2 2\n" + A + A.replace(b"a", b"\xff\xc3")], replace=True)
    assert listing.replaced == 2
    assert [word for word, _ in as_read(listing)] == [b"a", "\ufffd\ufffd".encode()]


@pytest.mark.parametrize(
    ("start", "message"),
    [
        (b"", "empty"), (b" \n\n", "empty"), (b"just words\n", "line 1"), (b"\x80\x04\x95", "a pickle"),
        (b"PK\x03\x04", "a zip"), (b"\xba\x16\x4f\x2f", "fastText"), (b"\x93NUMPY", "an array"),
        (b"\x7fELF\x01\x02", "line 1"),
    ],
)  # fmt: skip
def test_files_that_are_something_else(start, message):
    with pytest.raises(DataError, match=message):
        detect(start)


# Writing.

words = st.text(st.characters(exclude_characters=" \t\n\r\0\x0b\x0c\x1c\x1d\x1e\x1f", codec="utf-8"), min_size=1).map(
    str.encode
)
number = st.floats(width=32, allow_nan=False, allow_infinity=False)


@given(st.data(), st.integers(1, 4), st.lists(words, min_size=1, max_size=8, unique=True))
def test_what_is_written_reads_back_to_the_bit(data, width, names):
    names = [b"<unk>" if name == b"0" else b"</s>" if name == b"1" else name for name in names]
    names = list(dict.fromkeys(names))
    vectors = np.array(data.draw(st.lists(
        st.lists(number, min_size=width, max_size=width), min_size=len(names), max_size=len(names)
    )), dtype=np.float32)  # fmt: skip
    binary = b"%d %d\n" % vectors.shape + b"".join(
        name + b" " + row.astype("<f4").tobytes() for name, row in zip(names, vectors, strict=True)
    )
    first = read_binary([binary])
    rows, space = as_read(first), first.space()
    assert rows == [(name, row.tobytes()) for name, row in zip(names, vectors, strict=True)]
    export = Export(space)
    assert as_read(read_text([b"".join(export.text(header=True))], header=True)) == rows
    assert as_read(read_binary(export.binary())) == rows
    again = read_binary(export.binary()).space()
    assert b"".join(Export(again).binary()) == b"".join(export.binary())


@given(st.lists(number, min_size=1, max_size=30))
def test_numbers_are_the_shortest_that_read_back(numbers):
    values = np.array(numbers, dtype=np.float32)
    space = read_binary([b"1 %d\nw " % len(values) + values.tobytes()]).space()
    _, *fields = b"".join(Export(space).text(header=False)).split()
    for value, field in zip(values, fields, strict=True):
        assert np.float32(field.decode()).tobytes() == value.tobytes()
        digits = len(field.lower().partition(b"e")[0].replace(b".", b"").strip(b"-").strip(b"0"))
        for fewer in range(1, digits):
            with np.errstate(over="ignore"):
                assert np.float32(f"{value:.{fewer - 1}e}") != value


def two_tables():
    space = read_text([b"a 1 2\nb 3 4\n"], header=False).space()
    return VectorSpace(space.tokenizer.vocabulary, space.centre, -space.centre)


def test_which_vectors():
    space = two_tables()
    shown = {which: b"".join(Export(space, which).text(header=True)) for which in ("centre", "context", "both")}
    assert shown["centre"] == b"2 2\na 1.0 2.0\nb 3.0 4.0\n"
    assert shown["context"] == b"2 2\na -1.0 -2.0\nb -3.0 -4.0\n"
    assert shown["both"] == b"2 4\na 1.0 2.0 -1.0 -2.0\nb 3.0 4.0 -3.0 -4.0\n"
    space = VectorSpace(space.tokenizer.vocabulary, space.centre)
    for which in "context", "both":
        with pytest.raises(CheckpointError, match="no context vectors"):
            Export(space, which)


def test_the_projector_gets_a_line_for_each_word():
    files = {name: b"".join(pieces) for name, pieces in Export(two_tables()).projector().items()}
    assert files == {"vectors.tsv": b"1.0\t2.0\n3.0\t4.0\n", "metadata.tsv": b"a\nb\n"}


def test_words_that_a_format_has_no_place_for():
    spaced, tabbed = (read_text([word + b" 1 2\nx 1 2\ny 1 2\n"], header=False).space() for word in (b"a b", b"a\tb"))
    with pytest.raises(DataError, match="'a b' has a space"):
        b"".join(Export(spaced).binary())
    with pytest.raises(DataError, match="'a\\\\tb' has a tab"):
        Export(tabbed).projector()
