"""Tables laid out for a terminal."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from lmkit.io.tables import RowPrinter, aligned, cell_width, folded, laid_out, paired, turned

HEADER = ("word", "n", "x")
WIDE = st.text("ab é中国👍🏽e\u0301", max_size=40)


class Screen:
    def __init__(self, columns):
        self.columns = columns

    def heading(self, text):
        return text


def shown(rows, numeric, columns=80, header=HEADER):
    lines = []
    RowPrinter(Screen(columns), header, lines.append).show(rows, numeric, more=False)
    return "\n".join(lines).split("\n")


def test_columns_are_aligned():
    rows = [("a", "10", "inf"), ("long one", "-2.5", "1e-05")]
    assert shown(rows, (False, True, True)) == [
        "word         n      x",
        "a           10    inf",
        "long one  -2.5  1e-05",
    ]
    rows = [("中国", "1", ""), ("👍", "20", "x")]
    assert shown(rows, (False, True, False)) == ["word   n  x", "中国   1", "👍    20  x"]


def test_texts_are_folded_between_words():
    rows = [("one two three  four", "1", "x" * 14)]
    assert shown(rows, (False, True, False), columns=33) == [
        "word            n  x", "one two three   1  xxxxxxxxxxxxxx", "four",
    ]  # fmt: skip


def test_tables_of_too_many_numbers_are_turned():
    rows = [("a b", "1234567", "1234567"), ("c", "1", "2"), ("d", "3", "4")]
    assert shown(rows, (False, True, True), columns=21) == [
        "word      a b  c  d", "n     1234567  1  3", "x     1234567  2  4",
    ]  # fmt: skip
    lines = list(turned(HEADER, [("x" * 30, "1", "2"), ("y", "3", "4")], 20, str))
    assert lines == [
        "word  " + "x" * 14,
        "      " + "x" * 14,
        "      xx",
        "n     1",
        "x     2",
        "",
        "word  y",
        "n     3",
        "x     4",
    ]


@given(st.lists(st.tuples(WIDE, st.integers().map(str), WIDE), min_size=1, max_size=5), st.sampled_from([20, 40, 80]))
def test_nothing_is_wider_than_the_terminal_and_nothing_is_lost(rows, columns):
    lines = shown(rows, (False, True, False), columns)
    if max(len(row[1]) for row in rows) <= columns - len("word  "):
        assert max(map(cell_len, lines)) <= columns
    letters = sorted("".join("".join(row).split()) for row in [HEADER, *rows])
    layout = laid_out(HEADER, rows, (False, True, False), columns, more=False)
    if layout is not None:
        assert sorted("".join("".join(lines).split())) == sorted("".join(letters))
        assert all(len({cell_len(part) for part in (line[:0],)}) == 1 for line in aligned(rows[0], layout))


@given(WIDE, st.integers(2, 20))
def test_folding_keeps_all_but_blanks_at_ends(text, width):
    lines = folded(text, width)
    assert "".join("".join(lines).split()) == "".join(text.split())
    assert all(cell_width(line) <= width for line in lines)


def test_later_rows_follow_in_the_layout_unless_their_numbers_do_not_fit():
    lines = []
    printer = RowPrinter(screen := Screen(40), ("a", "n"), lines.append)
    printer.show([("x", "1")], (False, True), more=True)
    printer.show([("y", "12345678")], (False, True), more=True)
    assert lines == ["a                      n\nx                      1", "y               12345678"]
    printer.show([("z", "1" * 20)], (False, True), more=False)
    screen.columns = 30
    printer.show([("z", "1")], (False, True), more=False)
    assert [text.startswith("\na") for text in lines[2:]] == [True, True]


@pytest.mark.parametrize("columns", [20, 40])
def test_pairs(columns):
    lines = list(paired([("name", "a value of some words"), ("n", "1")], 4, columns, str.upper))
    assert lines[0].startswith("NAME  a value of")
    assert lines[-1] == "N     1"
    assert max(map(len, lines)) <= columns
