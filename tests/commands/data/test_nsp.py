"""`lmkit data nsp`."""

import pytest

from lmkit.tokenization.wordpiece_trainer import NAMES, tokenizer_json

TEXT = b"one two\ntwo a\na a a\n\ntwo two\r\none one\n\n\n"


@pytest.fixture
def tokens(lmkit, write):
    write("t.json", tokenizer_json(NAMES, ["one", "two", "##s", "a"], ()))
    assert lmkit("bpe", "import", "t.json", "-o", "wp.lm").status == 0
    return "wp.lm"


def test_pairs_of_sentences(lmkit, tokens):
    done = lmkit("data", "nsp", "--tokens", tokens, stdin=TEXT)
    assert (done.status, done.stderr) == (0, "")
    assert [record["first"] for record in done.records] == ["one two", "two a", "two two"]
    for record in done.records:
        assert list(record) == ["input_ids", "token_type_ids", "label", "first", "second"]
        ids, segments = record["input_ids"], record["token_type_ids"]
        assert (ids[0], ids[-1], ids.count(3)) == (2, 3, 2)
        split = ids.index(3) + 1
        assert segments == [0] * split + [1] * (len(ids) - split)
    following = {"one two": "two a", "two a": "a a a", "two two": "one one"}
    records = [
        record
        for seed in range(20)
        for record in lmkit("data", "nsp", "--tokens", tokens, "--seed", seed, stdin=TEXT).records
    ]
    assert all((following[record["first"]] == record["second"]) == bool(record["label"]) for record in records)
    assert {record["label"] for record in records} == {0, 1}


def test_pairs_are_shown_and_cut(lmkit, tokens, fails):
    done = lmkit("data", "nsp", "--tokens", tokens, "--show", "--context", 6, stdin=b"a a a a\none one one")
    rows = [line.split("\t") for line in done.text.splitlines()]
    assert rows[0] == ["example", "position", "segment", "token", "label"]
    assert [row[3] for row in rows[1:]] == ["[CLS]", "a", "a", "[SEP]", "one", "[SEP]"]
    assert [row[2] for row in rows[1:]] == ["0", "0", "0", "0", "1", "1"]
    assert "no room for two sentences" in fails(2, "data", "nsp", "--tokens", tokens, "--context", 4).stderr


@pytest.mark.parametrize("stdin", [b"", b"\n\n", b"one", b"one\n\ntwo\n"])
def test_texts_without_pairs(lmkit, tokens, stdin):
    done = lmkit("data", "nsp", "--tokens", tokens, stdin=stdin)
    assert (done.status, done.stdout, done.stderr) == (0, b"", "")
