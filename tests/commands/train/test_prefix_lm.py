"""`lmkit train transformer --prefix-lm`, and what is done with its models."""

import json

import pytest
from tiny_seq2seq import tiny_prefix_lm

from lmkit import checkpoint

PAIRS = b"".join(
    b"el %b %b\tthe %b %b\n" % (one, two, other, more)
    for one, other in [(b"gato", b"cat"), (b"perro", b"dog"), (b"pato", b"duck")]
    for two, more in [(b"come", b"eats"), (b"duerme", b"sleeps"), (b"canta", b"sings loudly")]
)
SMALL = ["train", "transformer", "--prefix-lm", "--threads", 1, "--layers", 2, "--width", 24, "--tokens", "word"]


def test_a_source_is_read_both_ways_and_its_target_learned(lmkit, write, work):
    write("pairs.tsv", PAIRS)
    done = lmkit(*SMALL, "--batch", 1, "--steps", 40, "pairs.tsv", "--valid", "pairs.tsv", "-o", "p.lm")
    assert done.status == 0, done.stderr
    made = checkpoint.parse((work / "p.lm").read_bytes())
    assert (made.kind, made.config["shared"]) == ("prefix-lm", True)
    sources = b"".join(line.split(b"\t")[0] + b"\n" for line in PAIRS.splitlines())
    wanted = "".join(line.decode().split("\t")[1] + "\n" for line in PAIRS.splitlines())
    assert lmkit("sample", "-m", "p.lm", stdin=sources).text == wanted
    assert lmkit("sample", "-m", "p.lm", "--beam", 2, stdin=sources).text == wanted
    scores = [float(line) for line in lmkit("score", "-b", "-m", "p.lm", "--pairs", "pairs.tsv").text.split()]
    total = json.loads(lmkit("ppl", "-m", "p.lm", "--pairs", "pairs.tsv", "--json").text)
    assert sum(scores) == pytest.approx(total["nats"])


def test_careless_use(lmkit, fails, write):
    write("pairs.tsv", PAIRS)
    assert "cannot be combined with --by" in fails(2, *SMALL, "--by", "line", "pairs.tsv", "-o", "p.lm").stderr
    long = lmkit(*SMALL, "--context", 8, "pairs.tsv", "-o", "p.lm")
    assert (long.status, long.stderr.count("hint: --context N")) == (3, 2)
    assert "no room for a source" in fails(2, *SMALL, "--context", 3, "pairs.tsv", "-o", "p.lm").stderr


def test_what_it_is_not(lmkit, fails, write):
    write("p.lm", b"".join(checkpoint.serialize(tiny_prefix_lm().to_checkpoint({}))))
    write("pairs.tsv", PAIRS)
    assert "of kind prefix-lm, which transformers does not know" in fails(4, "convert", "p.lm", "-o", "folder").stderr
    assert "has no labels" in fails(4, "finetune", "classify", "-m", "p.lm", "pairs.tsv", "-o", "c.lm").stderr
    assert "no attention to its source alone" in fails(4, "attention", "-m", "p.lm", "--align", "--text", "the").stderr
    assert "score --pairs" in fails(4, "ppl", "-m", "p.lm", "pairs.tsv").stderr
