"""`lmkit data next`."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st


def pairs(done):
    assert done.status == 0, done.stderr
    return [(record["x"], record["y"]) for record in done.records]


def test_the_example_of_the_course(lmkit):
    done = lmkit("data", "next", "--context", 2, stdin=b"a b c")
    assert [json.loads(line) for line in done.lines] == [{"x": "a b", "y": "c"}]
    assert list(done.records[0]) == ["x", "y"]


def test_lines_are_apart_unless_the_text_is_a_stream(lmkit):
    text = b"a b c\nd\n\ne f g\n"
    assert pairs(lmkit("data", "next", "--context", 2, stdin=text)) == [("a b", "c"), ("e f", "g")]
    assert pairs(lmkit("data", "next", "--context", 2, "--by", "stream", stdin=text)) == [
        ("a b", "c"), ("b c", "\n"), ("c\n", "d"), ("\nd", "\n"), ("d\n", "\n"), ("\n\n", "e"), ("\ne", "f"),
        ("e f", "g"), ("f g", "\n"),
    ]  # fmt: skip


def test_characters_bytes_and_ids(lmkit, shelf):
    assert pairs(lmkit("data", "next", "--tokens", "char", "--context", 1, stdin="ñá".encode())) == [("ñ", "á")]
    assert pairs(lmkit("data", "next", "--tokens", "byte", "--context", 1, stdin=b"a\xff")) == [("a", "\ufffd")]
    model = shelf["char-witten-bell.lm"]
    shown = pairs(lmkit("data", "next", "--tokens", model, "--context", 2, "--by", "stream", stdin=b"the"))
    assert shown == [("th", "e"), ("he", "\n")]
    ids = pairs(lmkit("data", "next", "--tokens", model, "--context", 2, "--by", "stream", "--as", "ids", stdin=b"the"))
    assert ids[1] == ([*ids[0][0][1:], ids[0][1]], 2)


@given(st.lists(st.lists(st.sampled_from("ab"), max_size=5), max_size=4), st.integers(1, 3), st.booleans())
def test_every_token_with_enough_before_it_comes_once(lmkit, lines, context, across):
    text = "\n".join(map("".join, lines)) + "\n"
    by = "stream" if across else "line"
    done = lmkit("data", "next", "--tokens", "char", "--context", context, "--by", by, stdin=text.encode())
    expected = []
    for line in [text] if across else text.split("\n"):
        expected += [(line[end - context : end], line[end]) for end in range(context, len(line))]
    assert pairs(done) == expected


def test_files_are_one_text_and_nothing_comes_of_nothing(lmkit, write):
    first, second = write("1", b"a b\n"), write("2", b"c d\n")
    assert pairs(lmkit("data", "next", "--context", 1, first, second)) == [("a", "b"), ("c", "d")]
    assert lmkit("data", "next").stdout == b""


@pytest.mark.parametrize(
    ("arguments", "status"),
    [(["--context", 0], 2), (["--tokens", "absent"], 2), (["--as", "ids"], 2), (["--by", "file"], 2),
     (["absent.txt"], 3), (["--tokens", "text.txt"], 4), (["--tokens", "-"], 2), (["-o", "text.txt", "text.txt"], 2)],
)  # fmt: skip
def test_what_makes_no_sense(arguments, status, fails, write):
    write("text.txt", b"a b c d\n")
    fails(status, "data", "next", *arguments)


def test_bytes_that_are_no_text(fails, lmkit):
    assert "<stdin>:2: not UTF-8" in fails(3, "data", "next", stdin=b"a b c d\n\xff\n").stderr
    assert pairs(lmkit("data", "next", "--context", 1, "--encoding-errors", "replace", stdin=b"a \xff")) == [
        ("a", "\ufffd")
    ]
