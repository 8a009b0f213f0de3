"""`lmkit ppl --mix`: the mixture beside its models."""

import math

import pytest
from bigrams import bigram

from lmkit import registry
from lmkit.checkpoint import serialize


@pytest.fixture
def two(shelf):
    return ["-m", shelf["witten-bell-3.lm"], "-m", shelf["modified-kneser-ney-2.lm"]]


@pytest.fixture
def stream(opened, write, monkeypatch):
    """A model of characters that reads over line ends, with the tokens of the n-gram models of the shelf."""
    monkeypatch.setitem(registry.KINDS, "bigram", "bigrams:BigramModel")
    model = bigram(opened("char-witten-bell.lm").tokenizer, "stream")
    return write("stream.lm", b"".join(bytes(piece) for piece in serialize(model.to_checkpoint({}))))


def test_weights_given(lmkit, shelf, two):
    done = lmkit("ppl", "--json", *two, "--mix", "0.25,0.75", shelf["test.txt"])
    assert done.status == 0, done.stderr
    *models, record = done.records
    assert models == lmkit("ppl", "--json", *two, shelf["test.txt"]).records
    assert (record["model"], record["weights"]) == ("mixture", [0.25, 0.75])
    assert list(record)[:11] == list(models[0])[:11]
    scores = [
        [token["nats"] for line in lmkit("score", "--surprisal", "--json", "-m", name, shelf["test.txt"]).records
         for token in line["surprisal"]]
        for name in two[1::2]
    ]  # fmt: skip
    expected = sum(math.log(0.25 * math.exp(-a) + 0.75 * math.exp(-b)) for a, b in zip(*scores, strict=True))
    assert record["nats"] == pytest.approx(expected, rel=1e-12)
    assert done.stderr.count("\n") == 1
    assert "mixture: weights 0.2500, 0.7500" in done.stderr
    assert "|weights:0.25,0.75|" in f"|{record['signature']}"
    assert lmkit("ppl", "--json", *two, "--mix", "1 3", shelf["test.txt"]).records[-1] == record


def test_weights_tuned(lmkit, shelf, two, stream):
    options = ["-m", shelf["char-witten-bell.lm"], "-m", stream, "--mix", "auto", "--mix-text", shelf["other.txt"]]
    done = lmkit("ppl", "--json", *options, shelf["other.txt"])
    assert done.status == 0, done.stderr
    first, second, record = done.records
    assert sum(record["weights"]) == pytest.approx(1)
    assert record["perplexity"] <= min(first["perplexity"], second["perplexity"])
    assert record["tokens"] == first["tokens"] == second["tokens"]
    weights = ",".join(map(repr, record["weights"]))
    again = lmkit("ppl", "--json", *options[:4], "--mix", weights, shelf["other.txt"]).records[-1]
    assert again == record
    for other in ("0.1,0.9", "0.5,0.5", "0.9,0.1"):
        worse = lmkit("ppl", "--json", *options[:4], "--mix", other, shelf["other.txt"]).records[-1]
        assert worse["perplexity"] >= record["perplexity"]
    assert f"weights {', '.join(f'{weight:.4f}' for weight in record['weights'])}" in done.stderr
    assert lmkit("ppl", "--json", *options, shelf["other.txt"]).stdout == done.stdout


def test_several_files_bare_and_as_a_table(lmkit, shelf, two):
    texts = [shelf["test.txt"], shelf["juan.txt"]]
    records = lmkit("ppl", "--json", *two, "--mix", "1,1", *texts).records
    assert [record["file"] for record in records] == [str(texts[0])] * 3 + [str(texts[1])] * 3 + ["total"] * 3
    assert records[-1]["tokens"] == records[2]["tokens"] + records[5]["tokens"]
    bare = lmkit("ppl", "-q", "-b", *two, "--mix", "1,1", *texts)
    assert [float(line) for line in bare.lines] == [record["perplexity"] for record in records[-3:]]
    rows = lmkit("ppl", *two, "--mix", "1,1", *texts).rows
    assert [row["model"] for row in rows[-3:]] == [str(two[1]), str(two[3]), "mixture"]


def test_models_with_other_words(lmkit, shelf):
    done = lmkit("ppl", "--json", "-m", shelf["witten-bell-2.lm"], "-m", shelf["other.lm"], "--mix", "1,1",
                 stdin=b"the cave\n")  # fmt: skip
    assert done.status == 0, done.stderr
    first, second, record = done.records
    assert (first["unknown_tokens"], second["unknown_tokens"], record["unknown_tokens"]) == (1, 0, 0)
    assert "they count as its unknown one" in done.stderr


def test_a_mixture_can_do_what_one_of_its_models_can(lmkit, shelf):
    done = lmkit("ppl", "--json", "-m", shelf["juan.lm"], "-m", shelf["witten-bell-2.lm"], "--mix", "auto",
                 "--mix-text", shelf["juan.txt"], stdin=b"soy yo\n")  # fmt: skip
    first, _, record = done.records
    assert first["perplexity"] == math.inf
    assert record["perplexity"] < math.inf
    assert "NaN" not in done.text


def test_bad_options(fails, shelf, two, write):
    text = shelf["test.txt"]
    for words, said in {
        ("--mix", "auto"): "--mix auto finds weights on a text",
        ("--mix-text", str(text)): "--mix-text is the text on which",
        ("--mix", "1,1", "--mix-text", str(text)): "--mix-text is the text on which",
        ("--mix", "1"): "not a list of 2 numbers",
        ("--mix", "1,x"): "not a list of 2 numbers",
        ("--mix", "1,-1"): "not a list of 2 numbers",
        ("--mix", "0,0"): "not a list of 2 numbers",
        ("--mix", "nan,1"): "not a list of 2 numbers",
        ("--mix", "1e308,1e308"): "not a list of 2 numbers",
        ("--mix", ""): "not a list of 2 numbers",
        ("--mix", "1,1", "--no-eos"): "--no-eos and --mix exclude each other",
        ("--mix", "auto", "--mix-text", "-"): "",
    }.items():
        stdin = [] if "-" in words else [text]
        assert said in fails(2, "ppl", *two, *words, *stdin).stderr
    assert "two models or more" in fails(2, "ppl", *two[:2], "--mix", "1", text).stderr
    assert "none.txt" in fails(3, "ppl", *two, "--mix", "auto", "--mix-text", "none.txt", text).stderr
    empty = write("empty.txt", b"")
    assert "empty.txt: no text" in fails(3, "ppl", *two, "--mix", "auto", "--mix-text", empty, text).stderr


def test_tokens_that_do_not_line_up(fails, shelf):
    text = shelf["test.txt"]
    done = fails(3, "ppl", "-m", shelf["witten-bell-2.lm"], "-m", shelf["char-katz.lm"], "--mix", "1,1", text)
    assert "model 1 has word tokens and model 2 char tokens" in done.stderr


# One line in, one answer out.


def test_lines_under_a_mixture(lmkit, shelf, stream):
    names = [shelf["char-witten-bell.lm"], stream]
    options = ["-m", names[0], "-m", names[1], "--mix", "1,3"]
    text = "the cat\n\na niña\n".encode()
    done = lmkit("score", "--json", "--explain", *options, stdin=text)
    assert done.status == 0, done.stderr
    alone = [lmkit("score", "--json", "--explain", "-m", name, stdin=text).records for name in names]
    for record, *others in zip(done.records, *alone, strict=True):
        factors = zip(record["factors"], *(other["factors"] for other in others), strict=True)
        for factor, first, second in factors:
            expected = math.log(0.25 * math.exp(first["nats"]) + 0.75 * math.exp(second["nats"]))
            assert factor["nats"] == pytest.approx(expected)
            assert factor["token"] == first["token"] == second["token"]
        assert record["nats"] == pytest.approx(sum(factor["nats"] for factor in record["factors"]))
    assert "kind:mixture|weights:0.25,0.75|" in done.records[0]["signature"]


def test_lines_under_a_tuned_mixture(lmkit, shelf, two):
    """The weights are those that ppl finds."""
    tuning = [*two, "--mix", "auto", "--mix-text", shelf["other.txt"]]
    bare = lmkit("score", "-b", *tuning, shelf["test.txt"]).lines
    record = lmkit("ppl", "--json", *tuning, shelf["test.txt"]).records[-1]
    assert sum(map(float, bare)) == pytest.approx(record["nats"])


def test_several_models_without_a_mixture(fails, shelf, two):
    assert "--mix WEIGHTS" in fails(2, "score", *two, shelf["test.txt"]).stderr
    assert "--mix auto" in fails(2, "score", *two, "--mix", "auto", shelf["test.txt"]).stderr
