"""Rows of Parquet files."""

import datetime
import gzip
import random
import sys
from pathlib import Path

import pytest

from lmkit.errors import DataError, MissingError
from lmkit.io import text_files
from lmkit.io.parquet_records import rows
from lmkit.io.record_reader import RecordFile

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")


@pytest.fixture
def table(work):
    """Write a Parquet file of columns; give its name."""

    def table(name="a.parquet", **columns):
        pq.write_table(pa.table(columns), work / name)
        return name

    return table


def test_groups_are_of_a_few_rows(table):
    name = table(n=list(range(600)))
    assert [len(group) for group in rows(name)] == [256, 256, 88]
    records = list(RecordFile(name, text_files.TextReader()).records("parquet"))
    assert [record.fields["n"] for record in records] == list(range(600))
    assert (records[300].place, records[300].number, records[300].data) == ("a.parquet:301", 301, b"")


def test_only_the_fields_that_are_wanted_are_read(table):
    assert list(rows(table(a=[1], b=[2]), ("b",))) == [[{"b": 2}]]


def test_a_compressed_file_is_copied_first(table, write):
    data = Path(table(a=["x"])).read_bytes()
    assert list(rows(str(write("b.parquet.gz", gzip.compress(data))))) == [[{"a": "x"}]]


def test_values_are_those_of_json(table):
    nested = [{"x": [1, 2], "y": None}]
    name = table(day=[datetime.date(2024, 1, 2)], raw=[b"a\xff"], nan=[float("nan")], half=[0.5], nested=nested)
    ((row,),) = rows(name)
    expected = {"day": "2024-01-02", "raw": "a\ufffd", "nan": None, "half": 0.5, "nested": {"x": [1, 2], "y": None}}
    assert row == expected


def test_what_is_wrong_is_said(table, write):
    with pytest.raises(DataError, match=r"^a.parquet: no field 'text'$") as raised:
        list(rows(table(a=[1], b=[2]), ("text",)))
    assert raised.value.hint == "--field NAME; there is 'a', 'b'"
    data = Path("a.parquet").read_bytes()
    for name, wrong in {"text": b"no table\n" * 9, "empty": b"", "cut": data[: len(data) // 2]}.items():
        with pytest.raises(DataError, match=f"^{name}: not Parquet, or damaged"):
            list(rows(str(write(name, wrong))))


def test_a_text_that_is_not_utf_8_is_found(work):
    array = pa.array([b"ok", b"a\xff"]).view(pa.string())
    pq.write_table(pa.table({"text": array}), work / "a.parquet")
    with pytest.raises(DataError, match=r"^a.parquet:2: a text that is not UTF-8 \(byte 0xff\)$"):
        list(rows("a.parquet"))


def test_without_pyarrow_it_is_said_what_to_do(table, monkeypatch):
    name = table(a=[1])
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingError, match="pyarrow") as raised:
        list(rows(name))
    assert raised.value.package == "pyarrow"


@pytest.mark.parametrize("compression", ["none", "snappy", "zstd"])
def test_damage_ends_with_one_error(compression, work):
    pq.write_table(
        pa.table({"text": [f"línea {n} " * (n % 9) for n in range(300)]}), work / "a", compression=compression
    )
    data, draw = (work / "a").read_bytes(), random.Random(compression)
    refused = []
    for _ in range(60):
        wrong = bytearray(data[: draw.choice([len(data), draw.randrange(len(data))])])
        for _ in range(4 if wrong else 0):
            wrong[draw.randrange(len(wrong))] = draw.randrange(256)
        (work / "b").write_bytes(wrong)
        try:
            list(rows("b", ("text",)))
        except DataError as error:
            refused.append(str(error))
    assert len(refused) > 20
    assert all(message.startswith("b:") for message in refused)
