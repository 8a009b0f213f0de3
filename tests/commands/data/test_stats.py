"""`lmkit data stats`."""

import json

import pytest


def jsonl(*records):
    return "".join(json.dumps(record) + "\n" for record in records).encode()


RECORDS = jsonl(
    {"text": "x\ny\n\nz", "source": "web", "licence": None},
    {"text": "El gato de la casa\ny el perro de los niños", "source": "books", "licence": "CC0"},
    {"text": "", "source": "web"},
    {"text": "the cat that was in the house", "source": "web", "licence": "CC0"},
)


def test_plain_text_is_one_document_a_file(lmkit, write):
    write("a.txt", b"one two\r\n\n three")
    write("b.txt", b"")
    done = lmkit("data", "stats", "a.txt", "b.txt", "--json")
    assert done.records == [
        {"source": "a.txt", "bytes": 16, "documents": 1, "lines": 3, "words": 3},
        {"source": "b.txt", "bytes": 0, "documents": 1, "lines": 0, "words": 0},
        {"source": "total", "bytes": 16, "documents": 2, "lines": 3, "words": 3},
    ]


def test_sources_and_their_sums(lmkit, write):
    data = write("a.jsonl", RECORDS)
    done = lmkit("data", "stats", "--json", "--by", "source,licence", "--languages", "--tokens", "char", data)
    *rows, total = done.records
    assert [(row["source"], row["licence"], row["documents"]) for row in rows] == [
        ("web", "", 2), ("books", "CC0", 1), ("web", "CC0", 1),
    ]  # fmt: skip
    assert [(row["lines"], row["words"], row["tokens"]) for row in rows] == [(4, 3, 3), (2, 11, 41), (1, 7, 29)]
    assert [(row["es"], row["en"], row["other"]) for row in rows] == [(0, 0, 6), (43, 0, 0), (0, 29, 0)]
    for column in ("bytes", "documents", "lines", "words", "tokens", "es", "en", "other"):
        assert total[column] == sum(row[column] for row in rows)
    assert total["bytes"] == total["es"] + total["en"] + total["other"] == 78


def test_tokens_of_a_tokenizer(lmkit, shelf, write):
    write("a.txt", shelf["corpus.txt"].read_bytes())
    done = lmkit("data", "stats", "--tokens", shelf["witten-bell-2.lm"], "--json", "a.txt")
    assert done.records[0]["tokens"] == done.records[0]["words"] > 50


def test_lengths_of_pairs(lmkit):
    text = b"a b\tc\nx y\tx  y\n\tz\na b c d\tq\n"
    (row,) = lmkit("data", "stats", "--pairs", "--json", stdin=text).records
    assert row == {
        "source": "<stdin>", "pairs": 4, "copies": 1, "empty": 1, "source_words": 8, "target_words": 5,
        "ratio_min": 0.25, "ratio_p01": 0.25, "ratio_median": 0.5, "ratio_p99": 1.0, "ratio_max": 1.0,
        "duplicates": 0,
    }  # fmt: skip
    assert lmkit("data", "stats", "--pairs", "--json", stdin=text + text).records[0]["duplicates"] == 4
    pairs = jsonl({"source": "a", "target": "b", "id": 1})
    assert lmkit("data", "stats", "--pairs", "--input", "jsonl", "--json", stdin=pairs).records[0]["pairs"] == 1


@pytest.mark.parametrize(
    ("status", "arguments", "said"),
    [(2, ["--by", "source"], "plain text, which has no fields"), (2, ["--by", "a,a"], "not a list of different fields"),
     (2, ["--pairs", "--by", "x"], "--pairs cannot be combined"),
     (3, ["--pairs"], "<stdin>:1: 1 column, expected source"),
     (3, ["--input", "jsonl"], "<stdin>:1: not JSON"), (2, ["--tokens", "none.lm"], "none.lm")],
)  # fmt: skip
def test_careless_input(status, arguments, said, fails):
    assert said in fails(status, "data", "stats", *arguments, stdin=b"a\n").stderr
