"""Running text as commands read it: blocks, documents, and what is said of them."""

import io

import pytest

from lmkit.commands.loading import running_text
from lmkit.commands.options.standard import Run
from lmkit.io.messages import Terminal
from lmkit.io.text_sources import TextSource

RECORDS = b'{"text": "a\\n\\nb"}\n{"text": ""}\n{"text": "c"}\n'


@pytest.fixture
def run(monkeypatch):
    """A run whose messages are kept."""
    said = io.StringIO()
    monkeypatch.setattr("sys.stderr", said)
    run = Run("test", {}, Terminal())
    monkeypatch.setattr(run.terminal, "notice", lambda message: said.write(message + "\n"))
    return run, said


@pytest.mark.parametrize(
    ("by", "records", "plain"),
    [
        ("stream", [b"a\n\nb\n\nc\n", b"d\n"], [b"e\n", b"f\n"]),
        ("line", [b"a\n\nb\n\nc\n", b"d\n"], [b"e\n", b"f\n"]),
    ],
)
def test_all_files_are_one_text_to_streams_and_lines(by, records, plain, run, write):
    run, _ = run
    names = [str(write("a.jsonl", RECORDS)), str(write("b.txt", b"d\n"))]
    reader = running_text.text_reader("strict", TextSource())
    (found,) = [list(blocks) for blocks in running_text.read_documents(run, reader, names, by, "reading")]
    assert found == records
    names = [str(write("e.txt", plain[0])), str(write("f.txt", plain[1]))]
    (found,) = [list(blocks) for blocks in running_text.read_documents(run, reader, names, by, "reading")]
    assert found == plain


def test_records_and_files_are_documents(run, write):
    run, _ = run
    names = [str(write("a.jsonl", RECORDS)), str(write("b.txt", b"d\ne"))]
    reader = running_text.text_reader("strict", TextSource())
    documents = [[b"a\n\nb\n"], [b"\n"], [b"c\n"], [b"d\n", b"e\n"]]
    for by in running_text.DOCUMENTS:
        records, lines = running_text.read_documents(run, reader, names, by, "reading")
        assert [*([text] for text in records.texts), list(lines)] == documents
    plain = [str(write("c.txt", b"x\n")), names[1]]
    found = {by: list(running_text.read_documents(run, reader, plain, by, "reading")) for by in running_text.DOCUMENTS}
    assert {by: len(texts) for by, texts in found.items()} == {"file": 2, "blank-line": 1}


@pytest.mark.parametrize(
    ("name", "data", "asked", "message"),
    [
        ("a", b'{"text": "b"}\n', "auto", "a: JSON Lines, taken for plain text; --input jsonl reads"),
        ("a", b"PAR1...", "auto", "a: Parquet, taken for plain text; --input parquet reads"),
        ("a", b'{"text": "b"}\n', "text", ""),
        ("a.txt", b'{"text": "b\n"}', "auto", ""),
        ("a", b"", "auto", ""),
        ("a", b'"{"\n', "auto", ""),
    ],
)
def test_records_taken_for_text_are_noticed(name, data, asked, message, run):
    run, said = run
    found = running_text.warn_if_no_text(run, name, iter([data] if data else []), TextSource(asked))
    assert b"".join(found) == data
    assert said.getvalue().startswith(message)
    assert bool(said.getvalue()) == bool(message)
