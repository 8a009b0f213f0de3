import io
import json

import pytest

from lmkit.errors import DataError
from lmkit.io import record_reader, text_files
from lmkit.io.record_reader import FORMS, Form, Record, RecordFile, encoded, form_of


@pytest.fixture
def opened(write):
    """Give a function that opens a file of some bytes."""

    def opened(data, **more):
        return RecordFile(str(write("file", data)), text_files.TextReader(), **more)

    return opened


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("a.txt", "text"),
        ("a.TSV", "tsv"),
        ("a.jsonl", "jsonl"),
        ("a.ndjson.gz", "jsonl"),
        ("a.tsv.zst", "tsv"),
        ("a.csv", "csv"),
        ("a.parquet", "parquet"),
        ("a.html", "other"),
        ("jsonl", "other"),
        ("-", "other"),
    ],
)
def test_a_name_tells_the_form(name, form):
    assert form_of(name, "auto", "other") == form
    assert form_of(name, "tsv", "other") == "tsv"


def test_only_the_forms_of_a_command_are_told_by_names():
    assert form_of("a.tsv", "auto", "text", ("text", "jsonl")) == "text"


@pytest.mark.parametrize(
    ("data", "form"),
    [
        (b'\n \n{"a": 1}\nb\n', "jsonl"),
        (b"{}\n", "jsonl"),
        (b'{"a": 1\n', "text"),
        (b'{"a": NaN}\n', "text"),
        (b"[1]\n", "text"),
        (b"a\tb\n", "text"),
        (b"\n\n", "text"),
        (b"", "text"),
    ],
)
def test_the_first_line_that_is_not_blank_tells_the_form(data, form, opened):
    file = opened(data, size=1)
    assert file.sniffed_form() == form
    assert b"".join(record.data + b"\n" for record in file.records("text")) == data  # nothing is lost


def test_records_of_each_form_have_their_places(opened):
    data = b'{"a": 1}\n\n{"b": "x\\ty"}'
    found = {form: list(opened(data).records(form)) for form in ("text", "jsonl")}
    assert [record.columns for record in found["text"]] == [('{"a": 1}',), ("",), ('{"b": "x\\ty"}',)]
    assert [record.fields for record in found["jsonl"]] == [{"a": 1}, {"b": "x\ty"}]
    assert [record.number for record in found["jsonl"]] == [1, 3]
    assert [record.place.rpartition("/")[2] for record in found["text"]] == ["file:1", "file:2", "file:3"]
    assert [record.columns for record in opened(b"a\tb\nc").records("tsv")] == [["a", "b"], ["c"]]


def test_groups_are_of_lines_that_are_there_at_once(opened):
    data = b"a\n" * 600
    file = opened(data)
    assert [len(list(group)) for group in file.groups("text")] == [256, 256, 88]
    assert file.line_count == 600
    assert [len(list(group)) for group in opened(data, size=None).groups("text")] == [600]


def test_records_before_a_wrong_one_are_read(opened):
    records = opened(b'{"a": 1}\n\nwrong\n').records("jsonl")
    assert next(records).fields == {"a": 1}
    with pytest.raises(DataError, match=r"file:3: not JSON \(Expecting value, column 1\)"):
        next(records)


def test_bytes_that_are_let_in_are_kept(write):
    file = RecordFile(str(write("file", b"\xff\xc3\xa9\n")), text_files.TextReader(raw=True))
    (record,) = file.records("text")
    assert record.data == record.columns[0].encode(errors="surrogateescape") == b"\xff\xc3\xa9"


def test_what_is_read_is_watched(opened):
    seen = []

    def watch(blocks):
        for block in blocks:
            seen.append(block)
            yield block

    assert len(list(opened(b"a\nb\n", watch=watch).records("text"))) == 2
    assert seen == [b"a\nb\n"]


def test_half_a_surrogate_pair_is_no_text():
    assert encoded("é", "a:1") == b"\xc3\xa9"
    with pytest.raises(DataError, match=r"^a:1: it has half a surrogate pair, which is no character$"):
        encoded("\ud800", "a:1", "it has ")


def test_a_form_is_one_row(opened, monkeypatch):
    def read(file):
        import csv

        for group in file.lines():
            rows = csv.DictReader(io.StringIO("".join(data.decode() + "\n" for _, _, data in group)))
            yield (Record(*line, fields=fields) for line, fields in zip(group[1:], rows, strict=True))

    monkeypatch.setitem(record_reader.FORMS, "rows", Form((".rows",), read))
    assert form_of("a.rows.gz", "auto", "text", tuple(FORMS)) == "rows"
    records = list(opened(b'text,label\n"a, b",pos\n').records("rows"))
    assert json.dumps([record.fields for record in records]) == '[{"text": "a, b", "label": "pos"}]'
    assert records[0].place.endswith("file:2")
