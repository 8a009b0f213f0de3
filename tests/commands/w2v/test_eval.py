"""`lmkit w2v eval`."""

import json

import pytest

TEXT = b"6 3\nking 1 0 1\nqueen 1 1 1\nman 0 0 1\nwoman 0 1 1\nKing 0 5 0\nrare 9 0 0\n"
QUESTIONS = b""": family
man king woman queen
Man Woman King Queen
man king woman rare
man king woman none

: gram8-plural
man king woman king
"""
PAIRS = b"word1,word2,score\nking,queen,9\nman,woman,8\nman,rare,1\nman,none,3\n"


@pytest.fixture
def vectors(lmkit, write):
    done = lmkit("w2v", "import", write("vectors.txt", TEXT), "-o", "vectors.lm")
    assert done.status == 0, done.stderr
    return "vectors.lm"


def test_questions_are_counted_by_section(vectors, lmkit, write):
    done = lmkit("w2v", "eval", "-m", vectors, write("q.txt", QUESTIONS))
    assert done.lines == [
        "section\tcorrect\ttotal\taccuracy\tquestions",
        "family\t2\t3\t0.666667\t4",
        "gram8-plural\t0\t1\t0\t1",
        "semantic\t2\t3\t0.666667\t4",
        "syntactic\t0\t1\t0\t1",
        "total\t2\t4\t0.5\t5",
    ]
    records = lmkit("w2v", "eval", "--json", "-m", vectors, stdin=QUESTIONS).records
    assert list(records[0]) == ["section", "correct", "total", "questions", "accuracy", "file"]
    assert records[-1] == {
        "section": "total", "correct": 2, "total": 4, "accuracy": 0.5, "questions": 5, "file": "<stdin>",
    }  # fmt: skip


def test_first_words_only_and_case_kept(vectors, lmkit, write):
    name = write("q.txt", QUESTIONS)
    assert lmkit("w2v", "eval", "-m", vectors, "--restrict", "4", name).rows[-1]["total"] == "3"
    assert lmkit("w2v", "eval", "-m", vectors, "--restrict", "0", name).rows[-1]["total"] == "4"
    none = lmkit("w2v", "eval", "-m", vectors, "--restrict", "1", "--json", name)
    assert (none.records[-1]["total"], none.records[-1]["accuracy"]) == (0, None)
    assert "q.txt: no line has known words only" in none.stderr
    kept = lmkit("w2v", "eval", "-m", vectors, "--keep-case", "--method", "cosmul", name).rows
    assert [row["total"] for row in kept[:2]] == ["2", "1"]


def test_similarity_and_several_files(vectors, lmkit, write):
    pairs, questions = write("p.csv", PAIRS), write("q.txt", QUESTIONS)
    (record,) = lmkit("w2v", "eval", "-m", vectors, "--json", pairs).records
    assert {**record, "pearson": 0, "spearman": 0} == {
        "spearman": 0, "pearson": 0, "pairs": 3, "unknown": 1, "file": "p.csv",
    }  # fmt: skip
    assert record["spearman"] == 1  # cosines .82, .71 and 0
    assert record["pearson"] == pytest.approx(0.99996, abs=1e-5)
    assert lmkit("w2v", "eval", "-m", vectors, "--restrict", "4", "--json", pairs).records[0]["pairs"] == 2
    done = lmkit("w2v", "eval", "-m", vectors, pairs, pairs, questions)
    assert [line.split("\t")[0] for line in done.lines] == ["file", "p.csv", "p.csv", "file", *["q.txt"] * 5]
    assert lmkit("w2v", "eval", "-m", vectors, "--task", "similarity", pairs).lines[0].startswith("spearman")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"", "neither questions of four words nor two words and a number"),
        (b"some text of some more\n", "neither questions"),
        (b": family\na b c\n", "q.txt:2: a question has 4 words, this has 3"),
        (b": family\n", "q.txt: no questions"),
        (b"a b c d\n: x\n\xff\n", "q.txt:3: not UTF-8"),
        (b"a\tb\t1\nc\td\n", "q.txt:2: expected two words and a number"),
        (b"word\tword\tscore\na\tb\tc\n1\t2\t3\n", "neither"),
        (b"\x00\x01\x02\n" * 3, "neither"),
    ],
)
def test_what_is_no_test_set(text, said, vectors, fails, write):
    done = fails(3, "w2v", "eval", "-m", vectors, write("q.txt", text))
    assert said in done.stderr
    assert "--encoding-errors" not in done.stderr


def test_what_is_no_model(fails, write, shelf):
    name = write("q.txt", QUESTIONS)
    assert "of kind ngram" in fails(4, "w2v", "eval", "-m", shelf["juan.lm"], name).stderr
    assert "no model" in fails(2, "w2v", "eval").stderr
    assert "is not one of" in fails(2, "w2v", "eval", "-m", name, "--task", "x", name).stderr


def test_same_question_same_bytes(vectors, lmkit, write):
    name = write("q.txt", QUESTIONS)
    first, second = (lmkit("w2v", "eval", "-m", vectors, "--json", name) for _ in range(2))
    assert first.stdout == second.stdout
    assert json.loads(first.lines[0])["section"] == "family"
