"""`lmkit data spans`."""

import json
import re

import pytest

PARTY = b"Thank you for inviting me to your party last week\n"
TEXT = PARTY + b"\n<extra_id_0> a  b\t<extra_id_1> c \none\n" + b"x y " * 500 + b"\n"


def test_input_and_target_have_the_sentinels_in_order(lmkit):
    done = lmkit("data", "spans", "--rate", 0.3, stdin=TEXT)
    assert (done.status, done.stderr) == (0, "")
    party = done.records[0]
    assert list(party) == ["input", "target"]
    kept = re.split(r"<extra_id_\d+>", party["input"])
    removed = re.split(r"<extra_id_\d+>", party["target"])
    assert sum(len(part.split()) for part in removed) == 3
    assert re.findall(r"\d+", party["target"]) == [str(number) for number in range(len(kept))]
    assert "".join(kept) + "".join(removed) != TEXT.decode()
    assert done.records[1] == {"input": "", "target": "<extra_id_0>"}
    assert done.records[3] == {"input": "one", "target": "<extra_id_0>"}


@pytest.mark.parametrize("tokens", ["word", "char", "bpe.lm"])
def test_texts_come_back_byte_for_byte(tokens, lmkit):
    text = TEXT + "“¿Qué?” \\<\\extra_id_3> 😀\n".encode()
    lmkit("bpe", "train", "--vocab-size", 290, "--sentinels", 4, "-o", "bpe.lm", stdin=text)
    done = lmkit("data", "spans", "--tokens", tokens, "--seed", 5, stdin=text)
    assert lmkit("data", "spans", "--invert", stdin=done.stdout).stdout == text


def test_spans_depend_on_seed_epoch_and_number(lmkit):
    def inputs(*options, stdin=TEXT):
        return [record["input"] for record in lmkit("data", "spans", *options, stdin=stdin).records]

    assert inputs() == inputs("--seed", 0, "--epoch", 0)
    assert inputs()[4] != inputs("--epoch", 1)[4]
    assert inputs(stdin=b"\n\n\n\n" + TEXT.split(b"\n")[4])[4] == inputs()[4]
    shorter = lmkit("data", "spans", "--sentinels", 10, stdin=TEXT)
    assert shorter.records[4]["input"].count("<extra_id_") == 9
    assert "1 text with longer spans" in shorter.stderr


def test_records_keep_their_fields(lmkit):
    text = json.dumps({"id": 7, "text": "a b\nc d e f g h"}).encode()
    done = lmkit("data", "spans", "--input", "jsonl", stdin=text)
    assert list(done.records[0]) == ["input", "target", "id"]
    back = lmkit("data", "spans", "--invert", "--json", stdin=done.stdout)
    assert back.records == [{"text": "a b\nc d e f g h", "id": 7}]


def test_ids_of_a_tokenizer(lmkit, fails):
    lmkit("bpe", "train", "--vocab-size", 280, "--sentinels", 3, "-o", "bpe.lm", stdin=TEXT)
    (record,) = lmkit("data", "spans", "--tokens", "bpe.lm", "--as", "ids", stdin=b"abcdefgh").records
    assert list(record) == ["input_ids", "labels"]
    assert (record["labels"][0], record["labels"][-1]) == (3, 4)
    assert len(record["input_ids"]) + len(record["labels"]) == 8 + 3
    lmkit("bpe", "train", "--vocab-size", 280, "-o", "plain.lm", stdin=TEXT)
    assert "no sentinels" in fails(4, "data", "spans", "--tokens", "plain.lm", "--as", "ids", stdin=b"a").stderr


def test_careless_input(lmkit, fails):
    assert "--as ids needs a vocabulary" in fails(2, "data", "spans", "--as", "ids", stdin=b"a").stderr
    assert "<stdin>:1: not JSON" in fails(3, "data", "spans", "--invert", stdin=b"a").stderr
    assert "no text in the field 'target'" in fails(3, "data", "spans", "--invert", stdin=b'{"input": "a"}').stderr
    wrong = b'{"input": "a <extra_id_1>", "target": "<extra_id_0> b <extra_id_1>"}'
    assert "<stdin>:1: the input does not have" in fails(3, "data", "spans", "--invert", stdin=wrong).stderr
    lmkit("bpe", "train", "--algorithm", "wordpiece", "--vocab-size", 24, "-o", "wp.lm", stdin=b"some words here\n")
    spelled = fails(3, "data", "spans", "--tokens", "wp.lm", stdin=b"Other  words").stderr
    assert "<stdin>:1: its tokens do not spell the text" in spelled
