"""Records that go out as Parquet are the records that go out as lines."""

import json

import pytest

parquet = pytest.importorskip("pyarrow.parquet")
RECORDS = [
    {"text": "uno dos", "id": 1, "more": {"a": [1]}}, {"text": "tres\ncuatro", "id": 2.5, "source": "x", "more": None},
    {"text": "uno dos", "id": None}, {"text": "cinco", "source": "y"},
]  # fmt: skip


@pytest.mark.parametrize(
    "command",
    ["shuffle", "dedup", "dedup --substring 2", "filter --language es,en,other", "decontaminate --against t.txt",
     "mix --tokens 8 t.txt"],
)  # fmt: skip
@pytest.mark.few(3)
def test_rows_are_the_records(command, lmkit, write, work, monkeypatch):
    monkeypatch.setattr("lmkit.io.parquet_output.ROWS", 2)
    data = write("a.jsonl", "".join(json.dumps(record) + "\n" for record in RECORDS).encode())
    write("t.txt", b"another one\n")
    lines = lmkit("data", *command.split(), data).records
    assert lmkit("data", *command.split(), data, "-o", "a.parquet").status == 0
    names = dict.fromkeys(name for record in lines for name in record)
    rows = parquet.read_table(work / "a.parquet").to_pylist()
    assert rows == [{name: record.get(name) for name in names} for record in lines]
    assert [list(row) for row in rows] == [list(names)] * len(rows)
    assert lmkit("data", "stats", "a.parquet").lines[-1].split("\t")[2] == str(len(lines))


def test_lines_and_tables(lmkit, write, work):
    lmkit("data", "dedup", "-o", "a.parquet", stdin=b"a\nb\na\n")
    assert parquet.read_table(work / "a.parquet").to_pylist() == [{"text": "a"}, {"text": "b"}]
    table = write("t.tsv", b"k\tw\n1\tx\n2\ty\n")
    lmkit("data", "dedup", "--field", "w", table, "-o", "b.parquet")
    assert parquet.read_table(work / "b.parquet").to_pylist() == [{"k": "1", "w": "x"}, {"k": "2", "w": "y"}]
    assert lmkit("data", "filter", "--exclude", ".", "--input", "jsonl", "-o", "c.parquet", stdin=b"").status == 0


def test_a_column_has_one_type(fails, write, work):
    data = write("a.jsonl", b'{"text": "a", "id": 1}\n{"text": "b", "id": "x"}\n')
    assert "a Parquet column has values of one type" in fails(3, "data", "dedup", data, "-o", "a.parquet").stderr
    assert not (work / "a.parquet").exists()
