"""`lmkit train seq2seq`, and what is done with its models."""

import json

import numpy as np
import pytest

import lmkit as api
from lmkit import checkpoint
from lmkit.errors import Status, Stopped
from lmkit.training.trainer import Trainer

PAIRS = b"".join(
    b"el %b %b\tthe %b %b\n" % (one, two, other, more)
    for one, other in [(b"gato", b"cat"), (b"perro", b"dog"), (b"pato", b"duck")]
    for two, more in [(b"come", b"eats"), (b"duerme", b"sleeps"), (b"corre", b"runs"), (b"canta", b"sings loudly")]
)
SMALL = ["--threads", 1, "--width", 16, "--batch-tokens", 40, "--tokens", "word"]


@pytest.fixture
def train(lmkit, write, work):
    """Trains a small encoder-decoder on PAIRS; gives the checkpoint, or what stderr says."""
    write("pairs.tsv", PAIRS)

    def train(*options, files=("pairs.tsv",), output="mt.lm", status=0, steps=4):
        done = lmkit("train", "seq2seq", *SMALL, "--steps", steps, *files, *options, "-o", output)
        assert done.status == status, done.stderr
        return checkpoint.parse((work / output).read_bytes()) if status == 0 else done.stderr

    return train


def test_a_translator_is_learned_and_used(train, lmkit, write, work):
    made = train("--lr", 0.05, steps=60)
    assert made.kind == "seq2seq-rnn"
    assert made.tokenizer["size"] == 3 + 9
    assert made.config["source"]["tokenizer"]["size"] == 3 + 8
    sources = write("sources.txt", b"".join(line.split(b"\t")[0] + b"\n" for line in PAIRS.splitlines()))
    wanted = "".join(line.decode().split("\t")[1] + "\n" for line in PAIRS.splitlines())
    greedy = lmkit("sample", "-m", "mt.lm", sources)
    assert greedy.text == wanted
    assert lmkit("sample", "-m", "mt.lm", stdin=(work / "sources.txt").read_bytes()).text == wanted
    assert lmkit("sample", "-m", "mt.lm", sources, "--beam", 3).text == wanted
    drawn = [lmkit("sample", "-m", "mt.lm", sources, "-t", 2, "-n", 3, *more).stdout for more in ([], ["--batch", 1])]
    assert drawn[0] == drawn[1]
    assert len(set(drawn[0].splitlines())) > 12
    two = lmkit(
        "sample", "-m", "mt.lm", "--prompt", "el gato canta", "--choice", "the cat runs", "--choice", "dog", "--json"
    )
    assert json.loads(two.text)["text"] == "the cat runs"
    write("s.jsonl", b'{"source": "el pato corre", "id": "x", "more": 1}\n')
    record = json.loads(lmkit("sample", "-m", "mt.lm", "s.jsonl").text)
    assert (record["text"], record["id"], record["more"]) == ("the duck runs", "x", 1)

    scores = [float(line) for line in lmkit("score", "-b", "-m", "mt.lm", "--pairs", "pairs.tsv").text.split()]
    total = json.loads(lmkit("ppl", "-m", "mt.lm", "--pairs", "pairs.tsv", "--json").text)
    assert sum(scores) == pytest.approx(total["nats"])
    explained = lmkit("score", "-m", "mt.lm", "--pairs", "pairs.tsv", "--explain", "--json").text.splitlines()
    factors = json.loads(explained[0])["factors"]
    assert [one["token"] for one in factors] == ["the", "cat", "eats", "</s>"]
    assert factors[2]["context"] == ["the", "cat"]
    assert sum(one["nats"] for one in factors) == pytest.approx(scores[0])
    surprisal = lmkit("score", "-m", "mt.lm", "--pairs", "pairs.tsv", "--surprisal", "--json").text.splitlines()
    assert sum(one["nats"] for one in json.loads(surprisal[0])["surprisal"]) == pytest.approx(-scores[0])
    assert total["tokens"] == 4 * 12 + 3
    assert record["nats"] == pytest.approx(scores[10], abs=1e-4)
    model = api.load(work / "mt.lm")
    assert model.score("el gato come", "the cat eats").nats == pytest.approx(scores[0], abs=1e-4)
    assert model.sample("el pato corre")[0].text == "the duck runs"
    assert model.alignment("el pato corre", "the duck runs").shape == (1, 1, 4, 4)
    answer = lmkit(
        "prompt", "answer", "-m", "mt.lm", "--prompt", "el pato corre", "--candidates", "the duck runs,the cat"
    )
    assert json.loads(answer.text)["answer"] == "the duck runs"
    about = dict(line.split("\t", 1) for line in lmkit("info", "mt.lm").text.splitlines())
    assert (about["source.tokenizer.type"], about["source.tokenizer.size"]) == ("word", "11")
    assert "only for a source" in lmkit("ppl", "-m", "mt.lm", sources).stderr


def test_a_resumed_run_ends_in_the_same_bytes(train, work, monkeypatch):
    options = ["--valid-fraction", 0.3, "--evaluate-every", 2, "--dropout", 0.1, "--label-smoothing", 0.1]
    train(*options, output="whole.lm")
    steps = Trainer._take_step

    def stops(self):
        if self.step == 3:
            raise Stopped(Status.TERMINATED)
        return steps(self)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_take_step", stops)
        with pytest.raises(Stopped):
            train(*options, "--save-every", 0)
    train(*options, "--resume")
    assert (work / "mt.lm").read_bytes() == (work / "whole.lm").read_bytes()


@pytest.mark.parametrize(
    "options",
    [
        ["--attention", "none", "--context-every-step", "--cell", "gru"],
        ["--attention", "concat", "--attn-timing", "prev", "--cell", "elman"],
        ["--input-feeding", "--layers", 2, "--tied", "--teacher-forcing", 0.5, "--accumulate", 2],
        ["--shared", "--vocab-size", 6],
        ["--target-tokens", "char", "--optimizer", "adamw"],
    ],
    ids=lambda options: " ".join(map(str, options)),
)
def test_forms(options, train):
    made = train(*map(str, options), steps=2)
    assert made.origin["trained"]["steps"] == 2
    if "--shared" in options:
        assert made.config["vocabulary"] == made.config["source_vocabulary"] == 9
        assert "tokenizer" not in made.config["source"]


def test_weights_are_chosen_by_bleu(train, lmkit, work):
    pytest.importorskip("sacrebleu")
    made = train("--valid", "pairs.tsv", "--select-by", "bleu", "--evaluate-every", 2, "--log", "log.jsonl")
    events = [json.loads(line) for line in (work / "log.jsonl").read_text().splitlines()]
    found = [event["bleu"] for event in events if event["event"] == "evaluation"]
    assert len(found) == 2
    assert made.origin["trained"]["validation"]["bleu"] == max(found)


def test_weights_of_evaluations_are_averaged(train, work, monkeypatch):
    options = ["--valid", "pairs.tsv", "--evaluate-every", 1, "--average", 2, "--log", "log.jsonl"]
    seen, keep, steps = [], Trainer._keep, Trainer._take_step
    monkeypatch.setattr(
        Trainer, "_keep", lambda self, merit: seen.append(self.network.to_arrays()) or keep(self, merit)
    )
    made = train(*options, output="whole.lm")
    for name, array in seen[-2].items():  # the last one is of the mean itself
        mean = (seen[-3][name].astype(np.float64) + array) / 2
        np.testing.assert_allclose(made.array(name, "F32", array.shape), mean, rtol=1e-6, atol=1e-9)
    last = json.loads((work / "log.jsonl").read_text().splitlines()[-1])
    assert (last["event"], last["nats"]) == ("evaluation", made.origin["trained"]["validation"]["nats"])

    def stops(self):
        if self.step == 3:
            raise Stopped(Status.TERMINATED)
        return steps(self)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_take_step", stops)
        with pytest.raises(Stopped):
            train(*options, "--save-every", 0)
    train(*options, "--resume")
    assert (work / "mt.lm").read_bytes() == (work / "whole.lm").read_bytes()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"a\tb\nc\td\te\n", "pairs.tsv:2: 3 columns, expected source and target"),
        (b"a\n", "pairs.tsv:1: 1 column,"),
        (b"", "no pairs"),
        (b"a\t\n\tb\n", "each pair has an empty side"),
    ],
)
def test_files_that_are_no_pairs(text, message, lmkit, write):
    write("pairs.tsv", text)
    done = lmkit("train", "seq2seq", *SMALL, "pairs.tsv", "-o", "mt.lm")
    assert done.status == 3
    assert message in done.stderr


def test_two_files_of_different_numbers_of_lines(lmkit, write):
    write("a.txt", b"a\nb\n")
    write("b.txt", b"a\n")
    done = lmkit("train", "seq2seq", *SMALL, "--source", "a.txt", "--target", "b.txt", "-o", "mt.lm")
    assert done.status == 3
    assert "a.txt has 2 lines, b.txt has 1" in done.stderr


def test_odd_pairs_are_left_out_and_counted(train, write):
    write("pairs.tsv", PAIRS + b"\tthe\n" + b"el " * 300 + b"\tthe\n")
    made = train("-v")
    assert made.origin["inputs"][0]["pairs"] == 13


@pytest.mark.parametrize(
    "options",
    [
        ["--source", "pairs.tsv"], ["--select-by", "loss"], ["--valid", "x", "--valid-fraction", 0.1],
        ["--width", 7], ["--attention", "none", "--input-feeding"], ["--shared", "--target-tokens", "char"],
    ],
    ids=lambda options: " ".join(map(str, options)),
)  # fmt: skip
def test_options_that_cannot_be_combined(options, train):
    train(*options, status=2)


def test_embeddings_have_a_rate_of_their_own(train):
    """At rate 0 they stay; where they are the head too they move with it."""
    for options, staying in ([], {"encoder.embed_tokens.weight", "decoder.embed_tokens.weight"}), (["--tied"], set()):
        one, two = (train("--embedding-lr", 0, *options, steps=steps).tensors for steps in (1, 3))
        weights = [name for name in one if not name.startswith("tokenizer.")]
        assert {name for name in weights if np.array_equal(one[name], two[name])} == staying


@pytest.mark.slow
@pytest.mark.parametrize(("attention", "least", "most"), [("dot", 0.9, 1.0), ("none", 0.0, 0.6)])
def test_copies_need_attention(attention, least, most, lmkit, write):
    """E4 and E9: with attention sequences are copied, along the diagonal; a fixed context loses the long ones."""
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(list("abcdefghij"), rng.integers(1, 13))) for _ in range(4200)]
    write("train.tsv", "".join(f"{text}\t{text}\n" for text in texts[:4000]).encode())
    options = ["--tokens", "word", "--width", 48, "--batch-tokens", 1000, "--lr", 0.02, "--matrix-lr", 0.03]
    options += ["--threads", 1, "--steps", 200, "--attention", attention]
    assert lmkit("train", "seq2seq", *options, "train.tsv", "-o", "copy.lm").status == 0
    held_out = texts[4000:]
    sources = write("test.txt", "".join(text + "\n" for text in held_out).encode())
    written = lmkit("sample", "-m", "copy.lm", sources).text.splitlines()
    long = [place for place, text in enumerate(held_out) if len(text.split()) >= 7]
    assert least <= sum(written[place] == held_out[place] for place in long) / len(long) <= most
    if attention == "none":
        return
    model = api.load("copy.lm")
    rows = [model.alignment(text, text)[0, 0, :-1].argmax(axis=1) for text in held_out[:40]]
    right = [row == place for own in rows for place, row in enumerate(own.tolist())]
    assert sum(right) / len(right) >= 0.95


def test_the_largest_batch_is_searched(train, lmkit):
    train()
    done = lmkit("train", "seq2seq", *SMALL, "pairs.tsv", "--find-batch", "--mem-limit", "1G", "--json")
    assert done.status == 0, done.stderr
    found = json.loads(done.text)
    assert found["batch_tokens"] == 12 * 5
    assert "holds the whole text" in done.stderr
