"""`lmkit fill`, and pseudo-likelihoods of `lmkit score` and `lmkit ppl`."""

import math

import pytest
from tiny_encoders import encoder_file

TEXT = "the [MASK] sat on the [MASK]."


@pytest.fixture
def model(write):
    write("enc.lm", encoder_file())


def test_each_mask_has_its_tokens(lmkit, model):
    done = lmkit("fill", "-m", "enc.lm", TEXT, "a [MASK]", "--top", 3, "--json")
    assert done.status == 0, done.stderr
    assert [(r["line"], r["mask"]) for r in done.records] == [(1, 0)] * 3 + [(1, 1)] * 3 + [(2, 0)] * 3
    assert list(done.records[0]) == ["line", "mask", "token", "id", "probability", "nats"]
    assert all(math.exp(r["nats"]) == pytest.approx(r["probability"]) for r in done.records)
    by_lines = lmkit("fill", "-m", "enc.lm", "--top", 3, "--json", stdin=f"{TEXT}\na [MASK]\n".encode())
    assert by_lines.stdout == done.stdout
    records = f'{{"q": "{TEXT}"}}\n{{"q": "a [MASK]"}}\n'.encode()
    asked = ("fill", "-m", "enc.lm", "--top", 3, "--json", "--input", "jsonl", "--field", "q")
    assert lmkit(*asked, stdin=records).stdout == done.stdout


def test_bare_fills_in(lmkit, model):
    first = [r["token"] for r in lmkit("fill", "-m", "enc.lm", TEXT, "--top", 1, "--json").records]
    (line,) = lmkit("fill", "-m", "enc.lm", TEXT, "-b").stdout.decode().splitlines()
    assert line == f"the {first[0]} sat on the {first[1]}."


def test_numpy_and_torch_say_the_same(lmkit, model):
    pytest.importorskip("torch")
    long = (f"{TEXT}\n" * 1000).encode()  # more than numpy reads
    short = lmkit("fill", "-m", "enc.lm", TEXT, "--top", 1, "--json").records
    many = lmkit("fill", "-m", "enc.lm", "--top", 1, "--json", stdin=long).records
    assert len(many) == 2000
    for one, other in zip(short, many[-2:], strict=True):
        assert one["id"] == other["id"]
        assert one["nats"] == pytest.approx(other["nats"], abs=1e-4)


@pytest.mark.parametrize(
    ("arguments", "stdin", "status", "said"),
    [
        (("no mask",), b"", 3, "text 1: no mask in the text"),
        (("",), b"", 3, "no mask in the text"),
        ((), b"a [MASK]\n\n", 3, "<stdin>:2: no mask in the text"),
        (("a " * 40 + "[MASK]",), b"", 3, "43 tokens with the special ones, the model takes 32"),
        (("[MASK]", "--field", "q"), b"", 2, "--input and --field are about stdin"),
        (("[MASK]", "-b", "--json"), b"", 2, "exclude each other"),
    ],
)
def test_bad_input(fails, model, arguments, stdin, status, said):
    done = fails(status, "fill", "-m", "enc.lm", *arguments, stdin=stdin)
    assert said in done.stderr


def test_long_texts_are_read_around_each_mask(lmkit, model):
    done = lmkit("fill", "-m", "enc.lm", "a " * 4000 + "[MASK] b [MASK]", "--window", "--top", 1)
    assert [row["mask"] for row in done.rows] == ["0", "1"]


@pytest.mark.parametrize("command", ["sample", "next", "ppl", "score", "compress"])
def test_an_encoder_does_not_say_what_comes_next(fails, model, command):
    done = fails(4, command, "-m", "enc.lm", *(("-o", "x.lmz") if command == "compress" else ()), stdin=b"the cat\n")
    assert "an encoder, which reads both ways and does not say what comes next" in done.stderr


def test_encoders_without_a_head_or_a_mask_do_not_fill(fails, write):
    write("electra.lm", encoder_file("electra"))
    for command in (("fill", "a [MASK]"), ("ppl", "--pseudo"), ("score", "--pseudo")):
        done = fails(4, command[0], "-m", "electra.lm", *command[1:], stdin=b"the cat\n")
        assert "predicts no tokens" in done.stderr


def test_pseudo_scores_and_perplexity(lmkit, model):
    text = b"the cat sat on the mat.\n\nthe dog ran\n"
    lines = lmkit("score", "-m", "enc.lm", "--pseudo", "--json", stdin=text).records
    assert [r["tokens"] for r in lines] == [7, 0, 3]
    assert "score:pseudo" in lines[0]["signature"]
    (total,) = lmkit("ppl", "-m", "enc.lm", "--pseudo", "--json", stdin=text).records
    assert total["perplexity"] == pytest.approx(math.exp(-sum(r["nats"] for r in lines) / 10), rel=1e-5)
    surprisals = lmkit("score", "-m", "enc.lm", "--pseudo", "--surprisal", "--json", stdin=text).records
    assert sum(t["nats"] for t in surprisals[0]["surprisal"]) == pytest.approx(-lines[0]["nats"], rel=1e-5)


def test_pseudo_refuses_what_it_cannot_use(fails, model, write):
    for more in (("--mix", "1"), ("--explain",), ("--no-eos",), ("--stride", "2")):
        fails(2, "score", "-m", "enc.lm", "--pseudo", *more, stdin=b"a\n")
    write("long.txt", b"a\n" + b"a " * 40 + b"\n")
    done = fails(3, "ppl", "-m", "enc.lm", "--pseudo", "long.txt")
    assert "long.txt:2: 42 tokens" in done.stderr
    fails(3, "ppl", "-m", "enc.lm", "--pseudo", stdin=b"")
