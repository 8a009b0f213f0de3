"""`lmkit finetune seq2seq`, and `train seq2seq --objective` whose models it trains further."""

import json

import pytest

from lmkit import checkpoint

TEXT = b"".join(
    b"the %b %b in the %b . and a %b too !\n" % (one, two, where, one)
    for one in (b"cat", b"dog", b"duck") for two in (b"eats", b"sleeps") for where in (b"house", b"garden")
)  # fmt: skip
PAIRS = b"".join(
    b"el %b %b\tthe %b %b\n" % (one, two, other, more)
    for one, other in ((b"gato", b"cat"), (b"perro", b"dog"), (b"pato", b"duck"))
    for two, more in ((b"come", b"eats"), (b"duerme", b"sleeps"))
)
SMALL = ["--threads", 1, "--width", 16, "--batch-tokens", 100, "--vocab-size", 300, "--seed", 3]


@pytest.fixture
def pretrain(lmkit, write, work):
    """Pre-trains a small encoder-decoder on TEXT; gives the checkpoint, or what stderr says."""
    write("text.txt", TEXT)
    write("pairs.tsv", PAIRS)

    def pretrain(*options, status=0, files=("text.txt",)):
        done = lmkit("train", "seq2seq", *SMALL, "--steps", 2, *files, *options, "-o", "pre.lm")
        assert done.status == status, done.stderr
        return checkpoint.parse((work / "pre.lm").read_bytes()) if status == 0 else done.stderr

    return pretrain


@pytest.mark.few(1)
@pytest.mark.parametrize("objective", ["spans", "noise"])
def test_texts_then_pairs(objective, pretrain, lmkit, work):
    transformer = ["--arch", "transformer", "--heads", 2] if objective == "spans" else []
    made = pretrain("--objective", objective, "--valid-fraction", 0.2, *transformer)
    assert made.config["shared"]
    assert "tokenizer" not in made.config["source"]
    assert set(made.origin["trained"]["validation"]) >= {"nats", "accuracy"}
    done = lmkit(
        "finetune", "seq2seq", "-m", "pre.lm", "pairs.tsv", "--steps", 150, "--lr", 0.02, "--matrix-lr", 0.02,
        "--threads", 1, "--valid", "pairs.tsv", "-o", "tuned.lm",
    )  # fmt: skip
    assert done.status == 0, done.stderr
    tuned = checkpoint.parse((work / "tuned.lm").read_bytes())
    assert tuned.origin["parent"] == made.digest
    assert tuned.tokenizer == made.tokenizer
    assert tuned.origin["trained"]["validation"]["nats"] < 1
    assert lmkit("sample", "-m", "tuned.lm", "--prompt", "el perro duerme").text.startswith("the ")


def test_tasks_are_mixed_by_weight(pretrain, lmkit, write, work):
    pretrain("--objective", "spans")
    write("few.tsv", b"uno\tone\n")
    options = ["--threads", 1, "--steps", 2, "-o", "tuned.lm"]
    common = ["finetune", "seq2seq", "-m", "pre.lm", "pairs.tsv", "few.tsv"]
    assert lmkit(*common, "--weights", "pairs=0.5,few=0.5", *options).status == 0
    weighted = (work / "tuned.lm").read_bytes()
    assert lmkit(*common, "-t", 3, "--restart", *options).status == 0
    assert (work / "tuned.lm").read_bytes() != weighted
    assert "expected a weight for each of pairs, few" in lmkit(*common, "--weights", "pairs=1", *options).stderr


def test_a_folder_is_trained_further(pretrain, lmkit, work):
    pretrain("--objective", "spans", "--arch", "transformer", "--preset", "t5", "--heads", 2)
    assert lmkit("convert", "pre.lm", "-o", "folder").status == 0
    done = lmkit("finetune", "seq2seq", "-m", "folder", "pairs.tsv", "--steps", 2, "--threads", 1, "-o", "tuned.lm")
    assert done.status == 0, done.stderr
    assert json.loads(lmkit("ppl", "-m", "tuned.lm", "--pairs", "pairs.tsv", "--json").text)["tokens"] > 30


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--objective", "spans", "--tokens", "word"], "--tokens bpe, or a file"),
        (["--objective", "spans", "--kind", "mask"], "--kind is for --objective noise"),
        (["--rate", "0.2"], "--rate is for --objective spans or --objective noise"),
        (["--objective", "noise", "--sentinels", "5"], "--sentinels is for --objective spans"),
        (["--objective", "noise", "--kind", "blur"], "'blur' is not one of"),
        (["--objective", "noise", "--target-tokens", "bpe"], "cannot be combined with --target-tokens"),
        (["--objective", "spans", "--select-by", "bleu", "--valid-fraction", "0.1"], "--select-by loss"),
        (["--field", "text"], "--field is about texts"),
    ],
)
def test_careless_objectives(options, words, pretrain):
    pytest.importorskip("sacrebleu")
    assert words in pretrain(*options, status=2)


def test_careless_bases(pretrain, lmkit, write):
    pretrain("--objective", "spans")
    for options, status, words in (
        ([], 2, "name one with -m MODEL"),
        (["-m", "-"], 2, "from a file or folder, not from stdin"),
        (["-m", "text.txt"], 4, "text.txt"),
        (["-m", "pre.lm", "--source", "a", "--target", "b", "--weights", "a=1"], 2, "cannot be combined with --source"),
    ):
        files = [] if "--source" in options else ["pairs.tsv"]
        done = lmkit("finetune", "seq2seq", *options, *files, "-o", "x.lm")
        assert (done.status, words in done.stderr) == (status, True), done.stderr
    write("empty.tsv", b"")
    done = lmkit("finetune", "seq2seq", "-m", "pre.lm", "empty.tsv", "-o", "x.lm")
    assert (done.status, "no pairs to train on" in done.stderr) == (3, True), done.stderr
