"""`lmkit data mask`."""

import pytest

from lmkit.tokenization.wordpiece_trainer import NAMES, tokenizer_json


@pytest.fixture
def tokens(lmkit, write):
    write("t.json", tokenizer_json(NAMES, ["one", "two", "##s", "a"], ()))
    assert lmkit("bpe", "import", "t.json", "-o", "wp.lm").status == 0
    return "wp.lm"


TEXT = b"one twos\n\na a a a a a a a a a a a a a a a a a a a a a a a\none twos\n"


def test_a_record_for_each_line(lmkit, tokens):
    done = lmkit("data", "mask", "--tokens", tokens, stdin=TEXT)
    assert (done.status, done.stderr) == (0, "")
    first, empty, letters, _ = done.records
    assert list(first) == ["input_ids", "labels"]
    assert empty == {"input_ids": [2, 3], "labels": [-100, -100]}
    assert len(letters["input_ids"]) == len(letters["labels"]) == 26
    assert letters["labels"][0] == letters["labels"][-1] == -100
    assert set(letters["labels"]) == {-100, 8}


def test_masks_depend_on_seed_epoch_and_line(lmkit, tokens):
    def labels(*options, stdin=TEXT):
        done = lmkit("data", "mask", "--tokens", tokens, "--mask-rate", 0.5, *options, stdin=stdin)
        return [record["labels"] for record in done.records]

    assert labels() == labels("--seed", 0, "--epoch", 0)
    assert labels()[2] != labels("--epoch", 1)[2]
    assert labels()[2] != labels("--seed", 1)[2]
    assert labels(stdin=b"\n\n" + TEXT.split(b"\n")[2])[2] == labels()[2]


def test_examples_are_shown_as_a_table(lmkit, tokens):
    done = lmkit("data", "mask", "--tokens", tokens, "--mask-rate", 1, "--whole-word", "--show", stdin=b"one twos")
    rows = [line.split("\t") for line in done.text.splitlines()]
    assert rows[0] == ["line", "position", "input", "label"]
    assert [row[3] for row in rows[1:]] == ["", "one", "two", "##s", ""]
    assert rows[1][2] == "[CLS]"
    assert lmkit("data", "mask", "--tokens", tokens, "--show", "--json", stdin=b"a").records[0]["input"] == "[CLS]"


def test_a_long_line(lmkit, tokens):
    done = lmkit("data", "mask", "--tokens", tokens, stdin=b"one " + b"x" * 1_000_000)
    assert done.records == [{"input_ids": [2, 5, 1, 3], "labels": [-100] * 4}]


def test_tokenizers_without_a_mask_token(lmkit, fails, write):
    assert "--algorithm wordpiece" in fails(2, "data", "mask", "--tokens", "char", stdin=b"a").stderr
    lmkit("bpe", "train", "--vocab-size", 260, "-o", "bpe.lm", stdin=b"aaaa bbbb")
    assert (
        "bpe.lm: the tokenizer has no [MASK] or <mask>"
        in fails(4, "data", "mask", "--tokens", "bpe.lm", stdin=b"a").stderr
    )
    assert "Missing option '--tokens'" in fails(2, "data", "mask", stdin=b"a").stderr
    lmkit("bpe", "train", "--vocab-size", 261, "--special", "<mask>", "-o", "m.lm", stdin=b"aaaa bbbb")
    ids = lmkit("data", "mask", "--tokens", "m.lm", stdin=b"a").records[0]["input_ids"]
    assert (ids[0], ids[-1]) == (1, 2)
