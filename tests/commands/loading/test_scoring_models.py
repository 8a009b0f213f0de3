"""`lmkit ppl`, `score` and `entropy -m` with models that reach over line ends, and with neural ones."""

import math
import sys

import numpy as np
import pytest
from bigrams import bigram, stepped, tokenizer_of

from lmkit import registry
from lmkit.architectures.feedforward import FFNConfig
from lmkit.architectures.neural_model import LoadedModel
from lmkit.architectures.recurrent import RNNConfig
from lmkit.architectures.transformer import TransformerConfig
from lmkit.checkpoint import serialize
from lmkit.data.sequences import TextFormat

TEXT = "ab é\n\nzb\r\na a".encode()
CHARS = tokenizer_of("char", "ab é")


@pytest.fixture
def save(write, monkeypatch):
    """Writes a checkpoint of a model written by hand, which commands then open."""
    monkeypatch.setitem(registry.KINDS, "bigram", "bigrams:BigramModel")

    def save(name, model):
        return write(name, b"".join(bytes(piece) for piece in serialize(model.to_checkpoint({}))))

    return save


@pytest.fixture
def neural(save):
    """Writes a neural model with random weights."""
    pytest.importorskip("lmkit.inference.transformer")

    def neural(name, settings, by="stream"):
        rng = np.random.default_rng(0)
        tensors = {key: rng.normal(size=shape).astype(np.float32) * 0.3 for key, shape in settings.shapes().items()}
        return save(name, LoadedModel(settings, TextFormat.of(by, CHARS), CHARS, tensors))

    return neural


def transformer(**more):
    shape = {"vocabulary": CHARS.size, "layers": 1, "width": 8, "heads": 2, "kv_heads": 2, "head_width": 4}
    return TransformerConfig(**{**shape, "hidden": 8, "context": 6, **more})


@pytest.mark.parametrize("by", ["stream", "file", "blank-line"])
def test_one_text_is_read_from_its_beginning(by, lmkit, save):
    model = bigram(CHARS, by)
    done = lmkit("ppl", "--json", "-m", save("m.lm", model), stdin=TEXT)
    assert done.status == 0, done.stderr
    (record,) = done.records
    ids = {
        "stream": [3, 4, 5, 6, 2, 2, 0, 4, 2, 3, 5, 3, 2],
        "file": [3, 4, 5, 6, 2, 2, 0, 4, 2, 3, 5, 3, 2, 1],
        "blank-line": [3, 4, 5, 6, 2, 1, 0, 4, 2, 3, 5, 3, 2, 1],
    }[by]
    ends = {6, 14} if by == "blank-line" else ()
    assert record["nats"] == pytest.approx(stepped(model, ids, ends).sum())
    assert (record["tokens"], record["unknown_tokens"]) == (len(ids), 1)
    bits = -record["nats"] / math.log(2)
    assert record["bits_per_byte"] == pytest.approx(bits / 14)
    assert record["bits_per_character"] == pytest.approx(bits / 13)
    assert record["bits_per_word"] == pytest.approx(bits / 5)
    assert "|eos:yes|unknown:scored" in record["signature"]


def test_each_file_is_a_text_of_its_own(lmkit, save, write):
    model = save("m.lm", bigram(CHARS, "file"))
    texts = [write("1.txt", b"ab\n"), write("2.txt", b"ba\n")]
    *each, whole = lmkit("ppl", "--json", "-m", model, *texts).records
    alone = [lmkit("ppl", "--json", "-m", model, text).records[0] for text in texts]
    assert [record["nats"] for record in each] == [record["nats"] for record in alone]
    assert whole["nats"] == pytest.approx(sum(record["nats"] for record in alone))
    (joined,) = lmkit("ppl", "--json", "-m", model, stdin=b"ab\nba\n").records
    assert (whole["tokens"], joined["tokens"]) == (8, 7)
    assert joined["nats"] != pytest.approx(whole["nats"])


def test_lines_are_scored_on_their_own(lmkit, save):
    model = bigram(CHARS, "stream")
    records = lmkit("score", "--json", "--explain", "-m", save("m.lm", model), stdin=b"ab\nab\n").records
    expected = stepped(model, [3, 4, 2]).sum()
    assert [record["nats"] for record in records] == pytest.approx([expected] * 2)
    assert [factor["token"] for factor in records[0]["factors"]] == ["a", "b", "</s>"]
    assert [factor["context"] for factor in records[0]["factors"]] == [[], ["a"], ["a", "b"]]
    (first, _) = lmkit("score", "--no-eos", "-b", "-m", "m.lm", stdin=b"ab\nab\n").lines
    assert float(first) == pytest.approx(stepped(model, [3, 4]).sum())


def test_line_ends_that_are_tokens_are_not_left_out(fails, save, shelf):
    done = fails(2, "ppl", "--no-eos", "-m", shelf["char-katz.lm"], "-m", save("m.lm", bigram(CHARS, "stream")), "x")
    assert "--no-eos: line ends are ordinary tokens of m.lm" in done.stderr
    assert "reads across line ends" in fails(2, "ppl", "--explain", "-m", "m.lm", stdin=b"a\n").stderr


def test_entropy_under_a_model_reads_on_too(lmkit, save):
    model = save("m.lm", bigram(CHARS, "stream"))
    (record,) = lmkit("entropy", "--json", "-m", model, stdin=TEXT).records
    (other,) = lmkit("ppl", "--json", "-m", model, stdin=TEXT).records
    assert record["perplexity"] == other["perplexity"]
    assert record["signature"] == other["signature"]


@pytest.mark.parametrize("by", ["stream", "file", "blank-line"])
def test_an_empty_text(by, fails, save, write):
    """The end of a document is a token, but no text."""
    model, empty = save("m.lm", bigram(CHARS, by)), write("empty.txt", b"")
    assert "the input is empty" in fails(3, "ppl", "-m", model).stderr
    assert "the input is empty" in fails(3, "entropy", "-m", model).stderr
    done = fails(3, "ppl", "-m", model, "-m", model, "--mix", "auto", "--mix-text", empty, stdin=TEXT)
    assert "empty.txt: no text" in done.stderr


# Neural ones.


def without_torch(monkeypatch):
    monkeypatch.setitem(sys.modules, "lmkit.nn.network", None)


@pytest.mark.parametrize("torch", [True, False], ids=["torch", "numpy"])
def test_strides_and_batches(torch, lmkit, neural, monkeypatch):
    if not torch:
        without_torch(monkeypatch)
    else:
        pytest.importorskip("torch")
    model = neural("t.lm", transformer())

    def record(*options, text=b"abba\n" * 9):
        done = lmkit("ppl", "--json", "-m", model, *options, stdin=text)
        assert done.status == 0, done.stderr
        return done.records[0], done.stderr

    plain, said = record()
    assert "|context:6/3|" in plain["signature"]
    assert said == "lmkit: t.lm: 45 tokens exceed the context length, using sliding windows of 6 tokens, stride 3\n"
    assert record("--stride", "3")[0] == plain
    assert record("--batch-tokens", "1")[0]["nats"] == pytest.approx(plain["nats"], rel=1e-5)
    other, said = record("--stride", "1")
    assert "|context:6/1|" in other["signature"]
    assert said.endswith("stride 1\n")
    assert other["tokens"] == plain["tokens"] == 45
    assert other["nats"] != pytest.approx(plain["nats"], rel=1e-5)
    assert record(text=b"abba\n")[1] == ""
    lines = lmkit("ppl", "-b", "-m", neural("lines.lm", transformer(), by="line"), stdin=b"abba\n" * 9)
    assert (lines.status, lines.stderr) == (0, "")
    scored = lmkit("score", "-b", "-m", model, stdin=b"abba\nabbabba\nabababab\n")
    assert scored.stderr.count("windows of 6 tokens") == 1


def test_torch_and_numpy_agree(lmkit, neural, monkeypatch):
    pytest.importorskip("torch")
    options = ["-m", neural("t.lm", transformer()), "-m", neural("r.lm", RNNConfig(vocabulary=CHARS.size), by="file")]
    with_torch = lmkit("ppl", "--json", *options, stdin=TEXT)
    without_torch(monkeypatch)
    without = lmkit("ppl", "--json", *options, stdin=TEXT)
    assert (with_torch.status, without.status, len(without.records)) == (0, 0, 2), without.stderr
    for one, other in zip(with_torch.records, without.records, strict=True):
        assert one["nats"] == pytest.approx(other["nats"], rel=1e-5)
        assert one["signature"] == other["signature"]


def test_torch_and_numpy_explain_alike(lmkit, neural, monkeypatch):
    pytest.importorskip("torch")
    feedforward = FFNConfig(vocabulary=CHARS.size, width=4, hidden=4)
    models = [
        neural("t.lm", transformer()),
        neural("f.lm", feedforward),
        neural("r.lm", RNNConfig(vocabulary=CHARS.size)),
    ]

    def contexts():
        done = [lmkit("score", "--explain", "--json", "-m", model, stdin=b"abbaabababbab\n\n") for model in models]
        return [[factor["context"] for line in one.records for factor in line["factors"]] for one in done]

    with_torch = contexts()
    without_torch(monkeypatch)
    assert contexts() == with_torch
    assert [max(map(len, found)) for found in with_torch] == [6, 3, 14]


def test_options_for_neural_models(fails, neural, shelf):
    model = neural("t.lm", transformer())
    for option in ("--stride", "--batch-tokens"):
        assert f"{option} needs a neural model" in fails(2, "ppl", option, "3", "-m", shelf["juan.lm"], "x").stderr
        assert "range" in fails(2, "ppl", option, "0", "-m", model, "x").stderr
    assert "exceeds the context length of t.lm, 6" in fails(2, "score", "--stride", "7", "-m", model, "x").stderr
    done = fails(2, "ppl", "--stride", "2", "-m", neural("r.lm", RNNConfig(vocabulary=CHARS.size)), "x")
    assert "--stride needs a transformer" in done.stderr
    assert "not one of cpu, cuda, mps" in fails(2, "ppl", "--device", "tpu", "-m", model, "x").stderr


def test_a_device_needs_torch(fails, neural, monkeypatch):
    model = neural("t.lm", transformer())
    without_torch(monkeypatch)
    done = fails(69, "ppl", "--device", "cuda", "-m", model, stdin=b"a\n")
    assert "--device cuda needs PyTorch, the extra `torch`" in done.stderr


def test_a_device_that_is_not_there(fails, neural, monkeypatch):
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert "no cuda device" in fails(69, "ppl", "--device", "cuda", "-m", neural("t.lm", transformer()), "x").stderr
