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
    assert lmkit("finetune", "tag", "t.conll", "-o", "ner.lm").status == 2


def test_options_of_other_models(lmkit, write):
    rows = b"good\tx\nbad\ty\n"
    assert lmkit("finetune", "classify", write("t.tsv", rows), "--min-count", "1", "-q", "-o", "c.lm").status == 0
    assert "--as and --input conll are for taggers" in lmkit("predict", "-m", "c.lm", "--as", "bio", "t.tsv").stderr
    assert np.isfinite(float(lmkit("predict", "-m", "c.lm", "--scores", stdin=b"good\n").rows[0]["x"]))
