"""Messages, progress and tables; records as lines; sizes of memory; scratch files."""

import io
import itertools
import json
import math
import os
import pty
import sys
import unicodedata
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmkit.errors import UsageError
from lmkit.io import temp_storage, terminal
from lmkit.io.outputs import Output
from lmkit.io.records import Table, cell, to_json
from lmkit.io.terminal import Terminal, VisibleStream, is_terminal, table


class Screen(io.StringIO):
    def isatty(self):
        return True


# Progress.


@pytest.fixture
def impatient(monkeypatch):
    """Progress is shown at once and at every step."""
    monkeypatch.setattr(terminal, "PATIENCE", 0.0)
    monkeypatch.setattr(terminal, "PERIOD", 0.0)


def work_on(shown, total=100, **settings):
    with Terminal(stream=shown, **settings).progress("counting", total) as progress:
        assert list(progress.over([b"x" * 10] * 10)) == [b"x" * 10] * 10
    return shown.getvalue()


def test_progress_is_shown_on_a_terminal(impatient):
    text = work_on(Screen())
    assert "counting [" in text
    assert "50%" in text
    assert text.endswith("\r\x1b[K")
    assert "\n" not in text


def test_progress_of_unknown_size(impatient):
    text = work_on(Screen(), None)
    assert "counting: 50B" in text
    assert "%" not in text


def test_progress_is_not_shown_elsewhere(impatient, monkeypatch):
    assert work_on(io.StringIO()) == ""
    assert work_on(Screen(), quiet=True) == ""
    monkeypatch.setenv("TERM", "dumb")
    assert work_on(Screen()) == ""


def test_progress_of_quick_work_is_not_shown():
    assert work_on(Screen()) == ""


def test_progress_is_wiped_before_a_message(impatient):
    screen = Screen()
    shown = Terminal(stream=screen)
    with shown.progress("counting", 100) as progress:
        progress.advance(10)
        shown.notice("look")
    assert screen.getvalue().endswith("\r\x1b[Klmkit: look\n")


def test_progress_of_more_than_was_promised(impatient):
    with Terminal(stream=Screen()).progress("counting", 10) as progress:
        for _ in range(5):
            progress.advance(10)
    with Terminal(stream=Screen()).progress("counting", 0) as progress:
        progress.advance(10)
        progress.advance(0)


def shown_on_terminal(lmkit_words, monkeypatch):
    """What a command run in this process shows on a real terminal as stderr."""
    from lmkit import cli

    controller, side = pty.openpty()
    stream = os.fdopen(side, "w", encoding="utf-8")
    out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(sys, "stdout", out)
    status = cli.run(lmkit_words)
    monkeypatch.undo()
    stream.close()
    shown = b""
    with suppress(OSError):  # as nobody is left who could write
        while piece := os.read(controller, 1 << 16):
            shown += piece
    os.close(controller)
    return shown.decode(), status


@pytest.mark.parametrize("command", [["ngram", "fit"], ["ngram", "count"], ["ppl", "-b", "-m", "{}"]])
def test_progress_of_commands(command, impatient, shelf, monkeypatch, write):
    write("text.txt", b"the cat sat on the mat and the dog saw it\n" * 120_000)
    words = [str(shelf["witten-bell-2.lm"]) if word == "{}" else word for word in command]
    shown, status = shown_on_terminal([*words, "-o", "out", "text.txt"], monkeypatch)
    assert status == 0
    assert ("scoring [" if "ppl" in command else "counting [") in shown
    after = shown.rpartition("\x1b[K")[2]
    assert after == "" or after.startswith("lmkit: ")


@pytest.mark.parametrize("options", [["-q"], []])
def test_no_progress_of_commands_that_are_quiet_or_quick(options, shelf, monkeypatch, tmp_path):
    if options:
        monkeypatch.setattr(terminal, "PATIENCE", 0.0)
    words = ["ngram", "count", *options, "-o", str(tmp_path / "out"), str(shelf["corpus.txt"])]
    assert shown_on_terminal(words, monkeypatch) == ("", 0)


def test_no_progress_where_stderr_is_no_terminal(impatient, lmkit, shelf):
    done = lmkit("ppl", "-b", "-m", shelf["witten-bell-2.lm"], shelf["corpus.txt"])
    assert (done.status, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [(0, "B", "0B"), (999, "B", "999B"), (1000, "B", "1.0kB"), (12_345, "B", "12.3kB"), (123_456, "B", "123kB"),
     (5e6, "", "5.0M"), (7e9, "B", "7.0GB"),
     (2.5e12, "B", "2.5TB"), (1e16, "B", "10000TB")],
)  # fmt: skip
def test_quantities(value, unit, text):
    assert terminal._quantity(value, unit) == text


# Messages.


def test_messages():
    for quiet, verbose, expected in (
        (False, False, "lmkit: a\n"),
        (True, False, ""),
        (False, True, "lmkit: a\nlmkit: b\n"),
    ):
        stream = io.StringIO()
        shown = Terminal(quiet=quiet, verbose=verbose, stream=stream)
        shown.notice("a")
        shown.detail("b")
        assert stream.getvalue() == expected


def test_messages_to_nowhere(monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    shown = Terminal(verbose=True)
    shown.notice("a")
    shown.detail("b")
    with shown.progress("x", 1) as progress:
        progress.advance(1)


def test_what_is_a_terminal():
    closed = io.StringIO()
    closed.close()
    assert is_terminal(Screen())
    assert not any(map(is_terminal, (io.StringIO(), closed, None)))


# Tables on a terminal.


def test_columns_are_aligned():
    assert table([["name", "n", "x"], ["a", "10", "inf"], ["long one", "-2.5", "1e-05"]]) == (
        "name         n      x\na           10    inf\nlong one  -2.5  1e-05"
    )
    assert table([["only", "a header"]]).split() == ["only", "a", "header"]


# Records.


@given(
    st.dictionaries(
        st.text(max_size=5), st.none() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5), max_size=4
    )
)
def test_json_is_one_line_in_full_precision(record):
    text = to_json(record)
    assert "\n" not in text
    assert json.loads(text) == record


@pytest.mark.parametrize(
    ("value", "text"),
    [(1.5, "1.5"), (1 / 3, "0.333333"), (1e-9, "1e-09"), (math.inf, "inf"), (-math.inf, "-inf"), (12, "12"),
     (10**30, str(10**30)), (None, ""), ("", ""),
     ("a\tb\nc\rd\\e", "a\\tb\\nc\\rd\\\\e"), (True, "True"), ("é\u2028", "é\u2028")],
)  # fmt: skip
def test_cells(value, text):
    assert cell(value) == text


def test_tables_of_records():
    for as_json, expected in ((False, b"a\tb\n1\t\nx\\ty\t2\n"), (True, b'{"a": 1, "c": 3}\n{"a": "x\\ty", "b": 2}\n')):
        stream = io.BytesIO()
        rows = Table(Output(stream, live=False), ["a", "b"], as_json=as_json)
        rows.row({"a": 1, "c": 3})
        rows.row({"a": "x\ty", "b": 2})
        assert stream.getvalue() == expected


# Memory and scratch.


@pytest.mark.parametrize(
    ("text", "size"),
    [("1", 1), ("500", 500), ("1k", 1024), ("1K", 1024), ("1kB", 1024), ("500M", 500 << 20), ("500m", 500 << 20),
     ("500MB", 500 << 20), ("2G", 2 << 30),
     ("2gb", 2 << 30), ("1T", 1 << 40), ("1.5G", 3 << 29), ("0.5k", 512), ("7B", 7)],
)  # fmt: skip
def test_sizes_of_memory(text, size):
    assert temp_storage.memory_size(text) == size


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0",
        "-1",
        "-1G",
        "G",
        "x",
        "1X",
        "1 G M",
        "1GG",
        "1e9",
        "nan",
        "inf",
        "1..5",
        "0.1",
        "0x10",
        "1,5G",
        "k1",
        "9" * 400,
    ],
)
def test_sizes_that_are_none(text):
    with pytest.raises(UsageError, match="--memory"):
        temp_storage.memory_size(text)


def test_half_of_what_is_free_by_default():
    size = temp_storage.memory_size(None)
    assert size >= 128 << 20
    assert temp_storage.free_memory() >= 256 << 20


def test_arrays_on_disk(work):
    disk = temp_storage.Disk(str(work))
    writer = disk.writer(np.int64)
    for begin in range(0, 10_000, 1000):
        writer.append(np.arange(begin, begin + 1000, dtype=np.int32))
    array = writer.finish()
    assert array.dtype == np.int64
    assert array.tolist() == list(range(10_000))
    assert os.listdir(work) == []
    disk.release()
    assert array[9999] == 9999
    assert disk.writer(np.float32).finish().tolist() == []


def test_folders_for_arrays(tmp_path, monkeypatch, write):
    assert temp_storage.Disk().folder == str(tmp_path / "tmp")
    for folder in ("none", str(write("file", b""))):
        with pytest.raises(UsageError, match="--temp-dir"):
            temp_storage.Disk(folder)


# What a terminal would obey.


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
