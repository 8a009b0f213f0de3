"""What people see in terminals of 40, 80 and 200 columns: progress, tables, errors, help."""

import re
import subprocess

import pytest
from screen import Screen, Session, shown

WIDTHS = [40, 80, 200]
STEPS = """
import sys
from lmkit.io import messages, progress
progress.PATIENCE = progress.PERIOD = 0.0
terminal = messages.Terminal()
with terminal.progress("training", 10, "") as shown:
    shown.begin()
    for step in range(9):
        shown.advance(1, f"{step}.123 nats", "12,345 tokens/s", "4.637 bits a byte")
        if step == 3:
            shown.keep("validation 3.100")
        if step == 6:
            terminal.notice("a line that stays")
            shown.advance(0, "7.5 nats")
        sys.stdin.readline()
"""
IMPATIENT = (
    "from lmkit.io import progress; progress.PATIENCE = progress.PERIOD = 0.0; from lmkit import cli; cli.main()"
)
WIDE = (
    "中文 text 👍🏽 ñ e\u0301\nthe \x1b[31mcat \u202e sat\ntail\tof a line that is much longer than forty columns are\n"
)


@pytest.fixture
def model(shelf, write):
    return write("m.lm", shelf["witten-bell-2.lm"].read_bytes())


@pytest.mark.parametrize("clips", [False, True])
def test_progress_is_one_line_in_any_width(clips, work):
    """From 80 columns to 200, 40 and 80, while the line is shown; in the end only what stays is there."""
    drawn_for = 80
    with Session(program=("-c", STEPS), clips=clips, stdin=subprocess.PIPE) as session:
        for step in range(9):
            rows = session.read(until="7.5 nats" if step == 6 else "3.100" if step == 3 else f"{step}.123 nats")
            above = ["lmkit: a line that stays"] if step >= 6 else []
            assert rows[: len(above)] == above
            (line,) = rows[len(above) :]
            assert re.search(r"^training .*\d+% .*\d s left  \d.\d+ nats", line)
            assert ("━" in line) == (drawn_for > 40)
            assert ("validation 3.100" in line) == (step >= 3 and drawn_for > 40)
            drawn_for = {2: 200, 4: 40, 7: 80}.get(step, drawn_for)
            session.resize(drawn_for)
            session.type(b"\n")
        session.process.stdin.close()
        assert session.read() == ["lmkit: a line that stays", ""]
    assert not session.screen.wrapped
    assert not session.screen.obeyed


@pytest.mark.few(1)
@pytest.mark.parametrize("columns", WIDTHS)
def test_tables_under_progress(columns, model, write):
    """Two models on two files, rows and progress on one terminal: aligned, or turned, and no line of it is left."""
    write("one.txt", b"the cat sat on the mat and the dog saw it\n" * 3000)
    write("two.txt", b"a cat\n")
    texts = ["one.txt", "two.txt"]
    rows, session = shown("ppl", "-m", model, "-m", model, *texts, columns=columns, program=("-c", IMPATIENT))
    assert "scoring" in session.text
    assert not [row for row in rows if "scoring" in row]
    table = rows[: next(place for place, row in enumerate(rows) if row.startswith("signature: kind:ngram"))]
    assert max(map(len, table)) <= columns
    names = ["model", "file", "perplexity", "perplexity_known", "tokens"]
    if columns == 200:
        assert table[0].split()[:5] == names
        assert [row.split()[1] for row in table[1:]] == ["one.txt", "one.txt", "two.txt", "two.txt", "total", "total"]
    else:
        assert [row.split()[0] for row in table[:5]] == names
        assert table[3].split().count("-") == 0
    assert "\t" not in session.text


@pytest.mark.few(1)
@pytest.mark.parametrize("columns", WIDTHS)
def test_texts_in_tables_are_folded_and_escaped(columns, model, write):
    write("text.txt", WIDE.encode())
    rows, session = shown("score", "-q", "-m", model, "text.txt", columns=columns)
    assert max(map(len, session.screen.lines)) <= columns
    column = rows[0].index("text")
    cells = [[*"".join(line[:column]), *line[column:]] for line in session.screen.lines if line]
    texts = " ".join("".join(cell[column:]).strip() for cell in cells)
    assert "中文 text 👍🏽 ñ e\u0301" in texts
    assert "\\x1b[31mcat \\u202e sat" in texts
    assert "tail\\tof a line that is much longer than forty columns are" in texts
    assert len(rows) == {40: 9, 80: 5, 200: 4}[columns]


def test_columns_are_aligned_under_wide_characters(write, lmkit):
    write("text.txt", "中文 中文 b 中文 b 👍 b 👍\n".encode() * 5)
    lmkit("ngram", "fit", "-q", "--order", "1", "--smoothing", "wb", "text.txt", "-o", "m.lm")
    _, session = shown("next", "-m", "m.lm", columns=40)
    lines = [line for line in session.screen.lines if line]
    assert {"中", "👍"} <= {line[0] for line in lines}
    ends = {max(place for place, cell in enumerate(line) if cell.strip()) for line in lines}
    assert len(ends) == 1


def test_a_row_is_shown_before_more_is_typed(model):
    with Session("score", "-q", "-m", model, stdin=subprocess.PIPE) as session:
        for text, word in ((b"the cat\n", "the cat"), (b"the dog sat\n", "the dog sat")):
            session.type(text)
            rows = session.read(until=word)
        session.process.stdin.close()
        assert session.read()[: len(rows)] == rows
    assert [row.split()[0] for row in rows if row] == ["line", "1", "2"]


@pytest.mark.few(1)
@pytest.mark.parametrize("columns", WIDTHS)
def test_errors_and_help(columns, work):
    _, session = shown("info", "none\x1b[31m.lm", columns=columns)
    assert session.process.returncode == 3
    assert session.text.startswith("\x1b[1;31mlmkit info:\x1b[0m none\\x1b[31m.lm: No such file")
    _, session = shown("info", "--help", columns=columns)
    assert "\x1b[1mUsage\x1b[0m: lmkit info" in session.text
    assert "  \x1b[1mExamples\x1b[0m:\r\n" in session.text
    _, wide = shown("info", "--help", columns=columns, env={"COLUMNS": "150"})
    assert max(map(len, wide.screen.lines)) > 80 >= max(map(len, session.screen.lines))


@pytest.mark.few(1)
@pytest.mark.parametrize("variables", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_no_colours_where_none_are_wanted(variables, model, write):
    write("text.txt", b"the cat\n")
    for command in (["score", "-m", model, "text.txt"], ["info", model], ["info", "--help"], ["info", "none"]):
        assert "\x1b" not in shown(*command, env=variables)[1].text


def test_the_model_of_a_screen():
    screen = Screen(5)
    screen.feed("abcdefg\rx\x1b[K\r\n12\x1b[1m3\x1b[0m\r\x1b[J中e\u0301")
    assert screen.rows == ["abcde", "x", "中e\u0301"]
    assert (screen.wrapped, screen.obeyed) == ({1}, [])
    screen.resize(3)
    assert screen.rows == ["abc", "dex", "", "中e\u0301"]
    screen.feed("\x1b[2A\x07")
    assert screen.obeyed == ["2A", "\x07"]
