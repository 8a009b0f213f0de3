"""Running text out of files of any form."""

import csv
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmkit.errors import DataError, UsageError
from lmkit.io import size_limits, streams, text_sources
from lmkit.io.record_reader import files_in
from lmkit.io.text_sources import PLAIN, SourceReader, TextSource

TEXTS = st.lists(st.text(st.characters(exclude_categories=("Cs",)), max_size=9), max_size=6)


def as_jsonl(texts):
    return "".join(json.dumps({"id": at, "text": text}) + "\n" for at, text in enumerate(texts)).encode()


def as_csv(texts):
    written = io.StringIO()
    csv.writer(written, quoting=csv.QUOTE_ALL).writerows([("id", "text"), *enumerate(texts)])
    return written.getvalue().encode()


def as_parquet(texts):
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    written = io.BytesIO()
    pq.write_table(pa.table({"id": pa.array(range(len(texts))), "text": pa.array(texts, pa.string())}), written)
    return written.getvalue()


def as_plain(texts):
    return b"".join(text.encode() + b"\n" * (not text.endswith("\n")) for text in texts)


WRITERS = {"jsonl": as_jsonl, "csv": as_csv, "parquet": as_parquet}


def read(path, source, **more):
    return b"".join(SourceReader(source=source, **more).blocks(str(path)))


@pytest.mark.parametrize("form", WRITERS)
@given(texts=TEXTS, block=st.sampled_from([1, 7, 1 << 20]), eager=st.booleans())
def test_texts_of_records_are_those_of_a_plain_file(form, texts, block, eager, tmp_path_factory):
    folder = tmp_path_factory.getbasetemp()
    (folder / "plain").write_bytes(b"\n" + as_plain(texts))  # a first character may be a byte order mark
    (folder / "records").write_bytes(WRITERS[form](["", *texts]))
    found = read(folder / "records", TextSource(form), block=block, eager=eager)
    assert found == read(folder / "plain", PLAIN, block=block, eager=eager)


def test_line_ends_within_texts_are_line_ends(write):
    path = write("a.jsonl", as_jsonl(["a\nb", "c\n", "", "d\r\ne"]))
    assert read(path, TextSource()) == b"a\nb\nc\n\nd\ne\n"
    reader = SourceReader(source=TextSource())
    assert b"".join(reader.pieces(str(path))) == b"a\nb\nc\n\nd\r\ne\n"
    assert list(reader.texts(str(path))) == [[b"a\nb", b"c\n", b"", b"d\r\ne"]]
    assert reader.completed == 0


def test_bytes_are_seen_as_the_text_has_them(write):
    seen = []
    path = str(write("a.jsonl", as_jsonl(["é"])))
    assert list(SourceReader(source=TextSource(), tap=seen.append).pieces(path)) == seen == ["é\n".encode()]
    assert list(SourceReader(source=TextSource()).as_it_is(path)) == seen
    assert list(SourceReader().as_it_is(str(write("b", b"\xff\r\n")))) == [b"\xff\r\n"]


@pytest.mark.parametrize(
    ("name", "source", "form"),
    [
        ("a.txt", TextSource(), "text"),
        ("a.csv", TextSource(), "csv"),
        ("a.tsv", TextSource(), "text"),
        ("a.tsv", TextSource(field="x"), "tsv"),
        ("a.txt", TextSource(field="x"), "text"),
        ("-", TextSource(), "text"),
        ("-", TextSource(field="x"), "jsonl"),
        ("-", TextSource("csv"), "csv"),
        ("a.jsonl.gz", TextSource(), "jsonl"),
        ("a.jsonl", PLAIN, "text"),
    ],
)
def test_names_and_options_tell_the_form(name, source, form):
    assert source.form_of(name) == form
    assert source.describe(name) == ({} if form == "text" else {"form": form, "field": source.field or "text"})


@pytest.mark.parametrize("asked", [("text", "x"), ("tsv", None)])
def test_what_cannot_be_combined(asked):
    with pytest.raises(UsageError, match=f"--input {asked[0]}"):
        TextSource(*asked)


def test_a_column_of_tsv_is_named_by_the_header(write):
    path = write("a.tsv", b'n\tx\n1\ta "b\n\n2\tc\n')
    assert read(path, TextSource(field="x")) == b'a "b\nc\n'
    assert read(path, TextSource()) == path.read_bytes()
    assert read(write("b.tsv", b"x\n\na\n"), TextSource(field="x")) == b"\na\n"
    assert read(write("c.tsv", b""), TextSource(field="x")) == b""
    with pytest.raises(DataError, match=r"d.tsv:3: 1 columns, and the header has 2"):
        read(write("d.tsv", b"n\tx\n1\ta\n2\n"), TextSource(field="x"))


@pytest.mark.parametrize(
    ("data", "message", "hint"),
    [
        (b'{"text": "a"}\n\n{"b": 1, "c": 2}\n', "a:3: no field 'text'", "--field NAME; there is 'b', 'c'"),
        (b"{}\n", "a:1: no field 'text'", "--field NAME; it has no field"),
        (b'{"text": 1}', "a:1: the field 'text' is not a text, expected a text", None),
        (b'{"text": null}', "a:1: the field 'text' is null, expected a text", None),
        (b'{"text": "\\ud800"}', "a:1: the field 'text' has half a surrogate pair, which is no character", None),
        (b"a\n", r"a:1: not JSON \(Expecting value, column 1\)", None),
        (b'"a"\n', "a:1: not a JSON object, in braces", None),
        (b'{"text": "\xff"}', r"a:1: not UTF-8 \(byte 0xff, column 11\)", "--encoding-errors replace"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(data, message, hint, write):
    with pytest.raises(DataError, match=f"^{message}$") as raised:
        read(write("a", data), TextSource("jsonl"), raw=True)
    assert hint is None or hint in raised.value.hint


def test_invalid_bytes_are_replaced_and_counted(write):
    reader = SourceReader(source=TextSource(), replace=True, forgiving=True)
    path = str(write("a.jsonl", b'{"text": "\xff"}\n'))
    assert b"".join(reader.blocks(path)) == "\ufffd\n".encode()
    assert (reader.replaced, reader.replaced_in) == (1, {path})


def test_a_record_has_a_limit(write, monkeypatch):
    monkeypatch.setattr(text_sources.size_limits, "RECORD", size_limits.Limit(9, "records", "split it"))
    with pytest.raises(DataError, match=r"a.jsonl:1: longer than 9 bytes"):
        read(write("a.jsonl", as_jsonl(["x" * 10])), TextSource())
    with pytest.raises(DataError, match=r"a.parquet:2: longer than 9 bytes"):
        read(write("a.parquet", as_parquet(["x" * 9, "x" * 10])), TextSource())


def test_folders_are_files_in_order(work, write):
    for folder in ("data", "data/more", "data/x.txt", "none"):
        (work / folder).mkdir()
    for name in ("b.parquet", "a.jsonl.gz", "c.txt", ".hidden.txt", "_SUCCESS", "notes.html", "more/d.txt"):
        write(f"data/{name}", b"")
    assert files_in("data") == ["data/a.jsonl.gz", "data/b.parquet", "data/c.txt"]
    assert files_in("data/notes.html") == ["data/notes.html"]
    assert files_in(streams.STDIN) == [streams.STDIN]
    with pytest.raises(DataError, match=r"^none: a folder without files of text$"):
        files_in("none")
