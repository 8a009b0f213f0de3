"""Rows of CSV."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmkit.errors import DataError
from lmkit.io import csv_records, size_limits, text_files
from lmkit.io.csv_records import Rows
from lmkit.io.record_reader import RecordFile

TEXT = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\r"), max_size=8)


def rows(lines, size):
    """Groups of the rows of some lines, which come `size` at a time."""
    placed = [(f"a:{at}", at, line) for at, line in enumerate(lines, 1)]
    found = Rows(iter([placed[begin : begin + size] for begin in range(0, len(placed), size)]))
    while found.more():
        yield list(found.group())


@given(st.lists(st.tuples(TEXT, TEXT), max_size=6), st.integers(1, 5))
def test_what_was_written_is_read(table, size):
    written = io.StringIO()
    writer = csv.writer(written, quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writerows([("a", "b"), *table])
    lines = written.getvalue().encode().removesuffix(b"\n").split(b"\n")
    found = [fields for group in rows(lines, size) for _, fields in group]
    assert found == [{"a": first, "b": second} for first, second in table]


def test_rows_come_with_their_last_line():
    found = rows([b"a,b", b'1,"x', b'y"', b"2,z"], 1)
    assert next(found) == []
    assert next(found) == [(("a:2", 2, b'1,"x'), {"a": "1", "b": "x\ny"})]
    assert next(found) == [(("a:4", 4, b"2,z"), {"a": "2", "b": "z"})]
    assert list(found) == []


def test_blank_lines_are_no_rows():
    (group,) = rows([b"", b"a", b"", b"x", b'""'], 9)
    assert [fields for _, fields in group] == [{"a": "x"}, {"a": ""}]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([b"a,b", b'1,"x', b"y"], r"a:2: not CSV \(unexpected end of data\)"),
        ([b"a,b", b"1,2", b'1,"x"y'], r"a:3: not CSV \(',' expected after '\"'\)"),
        ([b"a,b", b"1,2,3"], "a:2: 3 columns, and the header has 2"),
        ([b"a,b", b"1"], "a:2: 1 columns, and the header has 2"),
        ([b"a,b,a"], "a:1: the header has 'a' twice"),
        ([b"a", b"x\ry"], r"a:2: not CSV \(new-line character"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(lines, message):
    with pytest.raises(DataError, match=message):
        list(rows(lines, 2))


def test_an_open_quote_is_read_no_further_than_a_limit(write, monkeypatch):
    limit = size_limits.Limit(100, "records", "split it")
    monkeypatch.setattr(csv_records, "RECORD", limit)
    path = write("a.csv", b'text\n"' + b"x\n" * 1000)
    with pytest.raises(DataError, match=r"a.csv:2: longer than 100 bytes, the limit for records"):
        list(RecordFile(str(path), text_files.TextReader()).records("csv"))


def test_rows_are_records(write):
    path = write("a.csv", b'\xef\xbb\xbfid,text\r\n1,"a ""b"", c"\r\n\r\n2,d')
    first, second = RecordFile(str(path), text_files.TextReader()).records("csv")
    assert (first.place, first.number, first.fields) == ("a.csv:2", 2, {"id": "1", "text": 'a "b", c'})
    assert (second.place, second.number, second.fields) == ("a.csv:4", 4, {"id": "2", "text": "d"})
