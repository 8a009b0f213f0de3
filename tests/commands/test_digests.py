"""Damaged models by the commands that read them, checkpoints of earlier versions, and `lmkit info --verify`."""

import json

import pytest
from conftest import without_digests

NOTICE = "lmkit: old.lm: written by an earlier lmkit without digests, damage is not detected\n"


def header(data):
    size = int.from_bytes(data[:8], "little")
    return json.loads(data[8 : 8 + size]), 8 + size


def damaged(data, tensor):
    """One bit of a tensor's first byte flipped."""
    content, begin = header(data)
    place = begin + content[tensor]["data_offsets"][0]
    return data[:place] + bytes([data[place] ^ 32]) + data[place + 1 :]


@pytest.fixture
def old(shelf, write):
    """A checkpoint without digests."""
    return write("old.lm", without_digests(shelf["witten-bell-3.lm"].read_bytes()))


@pytest.mark.parametrize(
    "command",
    [["ppl", "-q", "-b", "text.txt"], ["score", "-q", "-b", "text.txt"], ["next", "-q", "--prompt", "the cat"],
     ["sample", "-q"], ["ngram", "query", "-q", "the cat sat"], ["ngram", "export", "-q"], ["info", "--verify"],
     ["ngram", "prune", "-q"], ["compress", "text.txt"]],
    ids=lambda command: " ".join(command[:2]),
)  # fmt: skip
def test_a_flipped_bit_is_refused_by_name(command, shelf, fails, write):
    write("text.txt", b"the cat sat on the mat\n")
    data = shelf["witten-bell-3.lm"].read_bytes()
    model = write("damaged.lm", damaged(data, "ngrams.2.key"))
    done = fails(4, *command, *([] if command == ["ngram", "export", "-q"] else ["-m"]), model)
    assert done.stdout == b""
    assert "damaged.lm: damaged checkpoint: tensor 'ngrams.2.key' is not what was written (block 1 of 1)" in done.stderr


@pytest.mark.parametrize("tensor", ["embed_tokens.weight", "norm.weight", "tokenizer.pieces"])
@pytest.mark.parametrize("command", [["ppl", "-q", "-b", "text.txt"], ["sample", "-q"], ["convert", "-o", "folder"]])
def test_a_flipped_bit_of_a_neural_model(command, tensor, shelf, fails, write):
    write("text.txt", b"the cat sat on the mat\n")
    model = write("damaged.lm", damaged(shelf["transformer.lm"].read_bytes(), tensor))
    done = fails(4, *command, *([] if command[0] == "convert" else ["-m"]), model)
    assert f"damaged.lm: damaged checkpoint: tensor {tensor!r} is not what was written" in done.stderr


def test_a_tokenizer_is_read_without_the_model_beside_it(shelf, lmkit, write):
    data = shelf["transformer.lm"].read_bytes()
    model = write("damaged.lm", damaged(data, "embed_tokens.weight"))
    done = lmkit("bpe", "encode", "-m", model, stdin=b"the cat\n")
    assert (done.status, done.stderr) == (0, "")
    assert lmkit("bpe", "encode", "-m", shelf["transformer.lm"], stdin=b"the cat\n").stdout == done.stdout


def test_old_checkpoints_are_read_with_one_notice(old, lmkit, shelf, write):
    text = write("text.txt", b"the cat sat on the mat\n")
    new = lmkit("ppl", "-b", "-m", shelf["witten-bell-3.lm"], text)
    done = lmkit("ppl", "-b", "-m", old, text)
    assert (done.status, done.stdout, done.stderr) == (0, new.stdout, NOTICE)
    assert lmkit("ppl", "-q", "-b", "-m", old, text).stderr == ""
    assert lmkit("ppl", "-b", "-m", old, "-m", old, text).stderr == NOTICE
    assert lmkit("bpe", "encode", "-m", old, text).stderr == NOTICE


def test_info_describes_old_checkpoints_without_a_notice(old, lmkit):
    done = lmkit("info", old)
    assert (done.status, done.stderr) == (0, "")


def test_verify_says_what_it_found(old, lmkit, shelf):
    done = lmkit("info", "--verify", shelf["witten-bell-3.lm"])
    assert (done.status, done.lines[-1], done.stderr) == (0, "verified\tintact", "")
    assert done.text.startswith(lmkit("info", shelf["witten-bell-3.lm"]).text)
    (record,) = lmkit("info", "--verify", "--json", shelf["witten-bell-3.lm"]).records
    assert record["verified"] == "intact"
    done = lmkit("info", "--verify", old)
    assert (done.status, done.lines[-1]) == (1, "verified\tno digests")
    assert done.stderr == "lmkit info: old.lm: no digests to compare its tensors with\n"
    assert lmkit("info", "--verify", shelf["by-hand.arpa"]).status == 1
    assert lmkit("info", "--verify", stdin=shelf["counts.lm"].read_bytes()).lines[-1] == "verified\tintact"
    assert lmkit("info", "--verify", "--gradients", shelf["lstm.lm"]).status == 2


def test_info_alone_reads_the_header_only(lmkit, shelf, write):
    data = shelf["witten-bell-3.lm"].read_bytes()
    model = write("damaged.lm", damaged(data, "ngrams.2.key"))
    assert lmkit("info", model).stdout == lmkit("info", shelf["witten-bell-3.lm"]).stdout
