"""`lmkit finetune tag`, and `lmkit predict` of taggers."""

import json

import numpy as np
import pytest
from tiny_encoders import tiny_encoder

from lmkit import checkpoint

ROWS = [
    [("the", "O"), ("cats", "B-ANI"), ("sat", "O")],
    [("a", "O"), ("mat", "B-OBJ"), ("street", "I-OBJ")],
    [("it", "O"), ("was", "O"), ("a", "O"), ("dog", "B-ANI")],
    [("cat", "B-ANI"), ("dog", "B-ANI"), ("ran", "O")],
]
CONLL = "\n".join("".join(f"{word}\tX\t{label}\n" for word, label in rows) for rows in ROWS)
QUICK = ("--batch", "2", "--threads", "1", "--dropout", "0", "-q")


@pytest.fixture
def base(tmp_path):
    """A tiny encoder, as a file."""
    name = tmp_path / "enc.lm"
    name.write_bytes(b"".join(map(bytes, checkpoint.serialize(tiny_encoder("bert", width=32).to_checkpoint({})))))
    return name


@pytest.fixture
def tuned(lmkit, write, base):
    def tuned(*words, data=CONLL):
        done = lmkit("finetune", "tag", "-m", base, write("t.conll", data.encode()), *QUICK, *words, "-o", "ner.lm")
        assert done.status == 0, done.stderr
        return done

    return tuned


def test_from_columns_to_spans(lmkit, tuned):
    tuned("--epochs", "40", "--lr", "0.003", "--valid", "t.conll")
    columns = lmkit("predict", "-m", "ner.lm", "t.conll")
    scored = lmkit("eval", "tag", "--json", stdin=columns.stdout).records[0]
    assert (scored["f1"], scored["n"], scored["tokens"]) == (1.0, 4, 13)
    text = "".join(" ".join(word for word, _ in rows) + "\n" for rows in ROWS).encode()
    bio = lmkit("predict", "-m", "ner.lm", stdin=text + b"\n")
    assert bio.lines == [*(" ".join(label for _, label in rows) for rows in ROWS), ""]
    record = lmkit("predict", "-m", "ner.lm", "--json", stdin=b"  a mat  street\n").records[0]
    assert list(record) == ["line", "tokens", "labels", "spans"]
    assert record["spans"] == [{"type": "OBJ", "start": 4, "end": 15, "text": "mat  street"}]
    rows = json.dumps({"id": 7, "tokens": ["a", "mat", "street"], "labels": ["O", "O", "O"]}).encode()
    record = lmkit("predict", "-m", "ner.lm", "--input", "jsonl", stdin=rows).records[0]
    assert (record["id"], record["gold"], record["labels"]) == (7, ["O"] * 3, ["O", "B-OBJ", "I-OBJ"])
    assert record["spans"][0] == {"type": "OBJ", "start": 2, "end": 12, "text": "mat street"}


def test_schemes_and_long_sentences(lmkit, tuned):
    tuned("--scheme", "bioes", "--epochs", "1")
    labels = lmkit("info", "--json", "ner.lm").records[0]["config"]["head"]["labels"]
    assert labels == ["B-OBJ", "E-OBJ", "O", "S-ANI"]
    long = lmkit("predict", "-m", "ner.lm", stdin=b"cat " * 50 + b"\n")
    assert long.lines[0].split()[-1] == "O"
    assert len(long.lines[0].split()) == 50


def test_other_labels_have_an_accuracy(lmkit, tuned):
    tuned("--epochs", "1", "--valid", "t.conll", data=CONLL.replace("B-ANI", "NOUN").replace("\tO", "\tDET"))
    measured = lmkit("info", "--json", "ner.lm").records[0]["origin"]["trained"]["validation"]
    assert set(measured) == {"loss", "accuracy"}
    assert lmkit("predict", "-m", "ner.lm", "--json", stdin=b"cat\n").records[0]["spans"] == []


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("a O\n", "t.conll: all labels are 'O'"),
        ("a O\nb x O\n", "t.conll:2: 3 columns, but 2 in the lines before"),
        ("a O\nb PER\n", "t.conll:1: the label 'PER' does not belong to BIO"),
    ],
)
def test_bad_files(lmkit, write, base, data, message):
    words = ("finetune", "tag", "-m", base, write("t.conll", data.encode()), "--scheme", "bio", "-o", "ner.lm")
    done = lmkit(*words)
    assert (done.status, message in done.stderr) == (3, True), done.stderr
    assert lmkit("finetune", "tag", "t.conll", "--scheme", "bio", "-o", "ner.lm").status == 3


def test_options_of_other_models(lmkit, write):
    rows = b"good\tx\nbad\ty\n"
    assert lmkit("finetune", "classify", write("t.tsv", rows), "--min-count", "1", "-q", "-o", "c.lm").status == 0
    assert "--as and --input conll are for taggers" in lmkit("predict", "-m", "c.lm", "--as", "bio", "t.tsv").stderr
    assert np.isfinite(float(lmkit("predict", "-m", "c.lm", "--scores", stdin=b"good\n").rows[0]["x"]))


def test_a_linear_tagger_needs_no_model(lmkit, write):
    write("t.conll", CONLL.encode())
    done = lmkit("finetune", "tag", "--min-count", 1, "t.conll", "--valid", "t.conll", "-o", "crf.lm")
    assert done.status == 0
    assert "linear tagger: 4 sentences, 4 labels" in done.stderr
    assert "f1 1.0000" in done.stderr
    first = lmkit("predict", "-m", "crf.lm", "--as", "conll", "t.conll")
    assert lmkit("eval", "tag", "-b", stdin=first.stdout).lines == ["1.0"]
    assert lmkit("predict", "-m", "crf.lm", stdin=b"\nthe cats\n").lines == ["", "O B-ANI"]
    again = lmkit("finetune", "tag", "-q", "--min-count", 1, "t.conll", "--valid", "t.conll")
    assert again.stdout == (write("x", b"").parent / "crf.lm").read_bytes()
    for options, said in ((("--epochs", 2), "--epochs needs a model"), (("--crf",), "--crf needs a model")):
        done = lmkit("finetune", "tag", *options, "t.conll")
        assert (done.status, said in done.stderr) == (2, True)


def test_a_conditional_random_field_over_a_model(lmkit, tuned):
    tuned("--epochs", "40", "--lr", "0.003", "--valid", "t.conll", "--crf")
    head = lmkit("info", "--json", "ner.lm").records[0]
    assert head["config"]["head"]["crf"]
    assert head["tensors"]["head.transitions"] == ["F32", [4, 4]]
    columns = lmkit("predict", "-m", "ner.lm", "t.conll")
    assert lmkit("eval", "tag", "--json", stdin=columns.stdout).records[0]["f1"] == 1.0
    done = lmkit("convert", "ner.lm", "-o", "folder")
    assert done.status == 4
    assert "conditional random field" in done.stderr
