"""What a terminal is, and what it would obey."""

import io
import itertools
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmkit.io.terminal import (
    NARROWEST,
    WIDTH,
    VisibleStream,
    columns_asked,
    columns_of,
    has_colours,
    is_terminal,
    styled,
)  # fmt: skip


class Screen(io.StringIO):
    def isatty(self):
        return True


def test_what_is_a_terminal():
    closed = io.StringIO()
    closed.close()
    assert is_terminal(Screen())
    assert not any(map(is_terminal, (io.StringIO(), closed, None)))


@pytest.mark.parametrize(
    ("variables", "terminal", "pipe"),
    [
        ({}, True, False), ({"TERM": "dumb"}, False, False), ({"NO_COLOR": "1"}, False, False),
        ({"NO_COLOR": ""}, True, False), ({"FORCE_COLOR": "1"}, True, True),
        ({"FORCE_COLOR": "1", "TERM": "dumb"}, True, True), ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False, False),
    ],
)  # fmt: skip
def test_where_there_are_colours(variables, terminal, pipe, monkeypatch):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert (has_colours(Screen()), has_colours(io.StringIO())) == (terminal, pipe)
    assert styled("x", "error", Screen()) == ("\x1b[1;31mx\x1b[0m" if terminal else "x")
    assert styled("", "error", Screen()) == ""


@pytest.mark.parametrize(
    ("value", "columns"),
    [("120", 120), ("1", NARROWEST), ("", None), ("0", None), ("-5", None), ("x", None), ("9" * 9, None)],
)  # fmt: skip
def test_columns_that_are_asked_for(value, columns, monkeypatch):
    assert columns_asked() is None
    monkeypatch.setenv("COLUMNS", value)
    assert columns_asked() == columns
    assert columns_of(Screen()) == WIDTH


@given(st.text(), st.lists(st.integers(0, 200)))
def test_nothing_reaches_a_terminal_that_it_would_obey(text, cuts):
    data = text.encode(errors="surrogatepass")
    stream = io.BytesIO()
    shown = VisibleStream(stream)
    for begin, end in itertools.pairwise([0, *sorted(cuts), len(data)]):
        shown.write(data[begin:end])
    shown.finish()
    found = stream.getvalue().decode()
    assert not [c for c in found if unicodedata.category(c) == "Cc" and c not in "\n\t"]
    assert not set(found) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
    if text.isprintable() and text.isascii():
        assert found == text


def test_what_is_no_text_is_shown_as_numbers():
    stream = io.BytesIO()
    shown = VisibleStream(stream)
    shown.write(b"a\x1b[31m\xc2")
    shown.write(b"\x9b \xff\x9b \xe2\x80\xae b\r\n\t\x7f\xe2")
    shown.finish()
    assert stream.getvalue() == rb"a\x1b[31m\x9b \xff\x9b \u202e b\r".replace(rb"\r", rb"\x0d") + b"\n\t" + rb"\x7f\xe2"
