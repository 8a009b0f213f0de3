"""`lmkit w2v pairs`."""

import pytest

COURSE = b"Yo vi un ave volando en cielo\n"


def test_pairs_of_the_course(lmkit):
    done = lmkit("w2v", "pairs", "--window", "2", stdin=COURSE)
    assert done.lines[0] == "centre\tcontext"
    assert len(done.lines) == 1 + 22
    assert [row["context"] for row in done.rows if row["centre"] == "ave"] == ["vi", "un", "volando", "en"]
    assert lmkit("w2v", "pairs", "--bare", stdin=COURSE).text == "22\n"


def test_grouped_and_json(lmkit):
    done = lmkit("w2v", "pairs", "--grouped", stdin=COURSE)
    assert done.lines[4] == "ave\tvi un volando en"
    assert lmkit("w2v", "pairs", "--grouped", "--json", stdin=COURSE).records[3] == {
        "centre": "ave", "contexts": ["vi", "un", "volando", "en"],
    }  # fmt: skip
    assert lmkit("w2v", "pairs", "--window", "1", "--json", stdin=COURSE).records[:2] == [
        {"centre": "Yo", "context": "vi"}, {"centre": "vi", "context": "Yo"},
    ]  # fmt: skip
    assert lmkit("w2v", "pairs", "--grouped", "-b", stdin=COURSE).text == "7\n"


def test_context_ends_with_a_line_and_with_a_file(lmkit, write):
    one, two = write("1.txt", b"a b\r\n\nc"), write("2.txt", b"d e f \x00 g")
    done = lmkit("w2v", "pairs", "--window", "1", "--grouped", one, two)
    assert done.lines[1:] == ["a\tb", "b\ta", "c\t", "d\te", "e\td f", "f\te g", "g\tf"]


def test_nothing_in_nothing_out(lmkit):
    assert lmkit("w2v", "pairs", stdin=b"").stdout == b""
    assert lmkit("w2v", "pairs", "-b", stdin=b"\n\nalone\n").text == "0\n"


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["none.txt"], 3, "none.txt: No such file"),
        (["--window", "0"], 2, "--window"),
        (["-", "-"], 2, "stdin is wanted for two things"),
        (["--json", "-b"], 2, "exclude each other"),
    ],
)
def test_what_is_refused(words, status, said, fails):
    assert said in fails(status, "w2v", "pairs", *words).stderr


def test_bytes_that_are_no_text(fails, lmkit):
    assert "<stdin>:1: not UTF-8" in fails(3, "w2v", "pairs", stdin=b"a \xff b\n").stderr
    done = lmkit("w2v", "pairs", "--encoding-errors", "replace", "-b", stdin=b"a \xff b\n")
    assert (done.text, done.stderr) == ("6\n", "lmkit: <stdin>: 1 invalid byte sequence replaced by U+FFFD\n")
