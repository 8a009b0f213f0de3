"""`lmkit attention --align` and `--count`."""

import numpy as np
import pytest
from rounding import assert_close
from tiny_seq2seq import tiny_rnn

from lmkit.checkpoint import serialize


@pytest.fixture
def model(write):
    for name, form in (("mt.lm", "general"), ("fixed.lm", "fixed")):
        write(name, b"".join(serialize(tiny_rnn(form).to_checkpoint({}))))
    return "mt.lm"


PAIR = ["--align", "--text", "llegó la bruja", "--target", "the green witch"]


def test_a_matrix_of_source_and_target(lmkit, model):
    done = lmkit("attention", "-m", model, *PAIR, "--json")
    assert (done.status, done.stderr) == (0, "")
    (record,) = done.records
    assert list(record)[:3] == ["source", "target", "weights"]
    weights = np.array(record["weights"])
    assert weights.shape == (len(record["target"]), len(record["source"])) == (4, 4)
    assert_close(weights.sum(axis=1), np.ones(4))
    done = lmkit("attention", "-m", model, *PAIR)
    assert done.lines[0].split("\t") == ["token", "llegó", "la", "bruja", "</s>"]
    assert [row.split("\t")[0] for row in done.lines[1:]] == ["the", "green", "witch", "</s>"]
    assert done.lines[1].split("\t")[1] == f"{weights[0, 0]:.4g}"
    assert "rows are target tokens" in done.stderr
    drawn = lmkit("attention", "-m", model, *PAIR, "--term")
    assert len(drawn.lines) == 5 + 4
    assert any(shade in drawn.text for shade in "░▒▓█")


def test_scores_are_counted(lmkit, model):
    done = lmkit("attention", "-m", model, "--count", "--text", "la la la la la la", "--target", "the the")
    found = dict(line.split("\t") for line in done.lines)
    assert (found["source_tokens"], found["target_tokens"], found["scores"]) == ("7", "3", "21")
    assert (
        lmkit("attention", "-m", model, "--count", "--text", "la", "--target", "", "--json").records[0]["scores"] == 2
    )


def test_figures(lmkit, model, work):
    for name in ("a.svg", "a.html"):
        assert lmkit("attention", "-m", model, *PAIR, "--plot", name).status == 0
    assert b"<svg" in (work / "a.svg").read_bytes()
    page = (work / "a.html").read_bytes()
    assert b'"columns": ["lleg' in page
    assert b"http://" not in page.replace(b"http://www.w3.org", b"")


def test_careless_use(lmkit, fails, model, shelf, write):
    assert "fixed.lm: it has no attention" in fails(4, "attention", "-m", "fixed.lm", *PAIR).stderr
    write("ngram.lm", shelf["witten-bell-3.lm"].read_bytes())
    assert "a model of kind ngram reads no source" in fails(4, "attention", "-m", "ngram.lm", *PAIR).stderr
    assert "counted from 0" in fails(2, "attention", "-m", model, *PAIR, "--layer", 1).stderr
    assert "hint: --align prints" in fails(4, "attention", "-m", model, "--text", "a").stderr
    assert "needs --align" in fails(2, "attention", "-m", model, "--text", "a", "--target", "b").stderr
    assert "no text" in fails(2, "attention", "-m", model, "--align").stderr


@pytest.mark.slow
def test_the_alignment_of_a_copy_is_the_diagonal(lmkit, write):
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(list("abcdefghij"), rng.integers(1, 13))) for _ in range(4040)]
    write("copy.tsv", "".join(f"{text}\t{text}\n" for text in texts[40:]).encode())
    small = ["--tokens", "word", "--width", 48, "--batch-tokens", 1000, "--lr", 0.02, "--matrix-lr", 0.03]
    done = lmkit("train", "seq2seq", *small, "--threads", 1, "--steps", 200, "copy.tsv", "-o", "copy.lm")
    assert done.status == 0
    hits = []
    for text in texts[:40]:
        (record,) = lmkit("attention", "-m", "copy.lm", "--align", "--text", text, "--target", text, "--json").records
        best = np.argmax(record["weights"], axis=1)[:-1]
        hits += (best == np.arange(len(best))).tolist()
    assert np.mean(hits) >= 0.95
