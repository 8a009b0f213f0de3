"""`word_vectors.text_heads` through `finetune`: scikit-learn's numbers on mean vectors."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from lmkit.word_vectors.text_heads import text_vectors

TEXTS = ["the cat sat", "the dog sat on the mat", "a bird", "a cat, a Dog!", "mat", "zzz"]
LABELS = ["x", "y", "x", "y", "x", "y"]


@pytest.fixture
def trained(lmkit, write, shelf):
    def trained(kind, labels, *words):
        vectors = write("v.txt", b"5 3\n" + b"".join(
            b"%s %f %f %f\n" % (word, *np.random.default_rng(number).normal(size=3))
            for number, word in enumerate([b"cat", b"dog", b"mat", b"bird", b"the"])
        ))  # fmt: skip
        assert lmkit("w2v", "import", vectors, "-o", "v.lm").status == 0
        rows = "".join(f"{text}\t{label}\n" for text, label in zip(TEXTS, labels, strict=True)).encode()
        done = lmkit("finetune", kind, "-m", "v.lm", write("t.tsv", rows), *words, "-o", "m.lm")
        assert done.status == 0, done.stderr
        return done

    return trained


def test_a_classifier_of_mean_vectors(lmkit, trained):
    from lmkit.commands.loading.models import open_any

    done = trained("classify", LABELS, "--train", "head", "--valid", "t.tsv")
    assert "word vectors: 6 examples, 8 parameters; validation accuracy" in done.stderr
    space = open_any("v.lm")
    x = text_vectors(space, [(text,) for text in TEXTS])
    assert not x[5].any()
    assert x[3] == pytest.approx((space.vector_of(b"cat") + space.vector_of(b"dog")) / 2)
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    expected = LogisticRegression(C=1.0, tol=1e-10).fit(x, LABELS).predict_proba(x)
    found = lmkit("predict", "-m", "m.lm", "--json", "t.tsv").records
    assert [list(record["scores"].values()) for record in found] == pytest.approx(expected, abs=1e-4)


def test_a_regressor_and_what_is_refused(lmkit, trained, write):
    trained("regress", ["1", "2", "3", "2.5", "0", "1"], "--train", "head")
    assert len(lmkit("predict", "-m", "m.lm", "t.tsv").lines) == 6
    assert "of kind w2v with a head" in lmkit("w2v", "similar", "-m", "m.lm", "cat").stderr
    refused = lmkit("finetune", "classify", "-m", "v.lm", "t.tsv", "--rank", "2", "-o", "m.lm")
    assert (refused.status, "--rank is not for word vectors" in refused.stderr) == (2, True)
    assert lmkit("finetune", "tag", "-m", "v.lm", write("t.conll", b"a O\nb B-X\n"), "-o", "m.lm").status == 4


def test_vectors_train_with_their_head(lmkit, trained):
    """Also from scratch; the result is a bag of n-grams, whose words include those that no example has."""
    done = trained("classify", LABELS, "--epochs", "40", "--ngrams", "1-2", "--valid", "t.tsv")
    assert "n-grams with vectors of 3; epoch " in done.stderr
    assert lmkit("predict", "-m", "m.lm", "-b", "t.tsv").lines[:5] == LABELS[:5]
    assert "origin.parent" in lmkit("info", "m.lm").text
    trained("regress", ["1", "2", "3", "2.5", "0", "1"])
    assert len(lmkit("predict", "-m", "m.lm", "t.tsv").lines) == 6
    scratch = ("finetune", "classify", "--dim", "4", "--lr", "0.2", "t.tsv", "-o")
    rows = "".join(f"{text}\t{label}\n" for text, label in zip(TEXTS, LABELS, strict=True)).encode()
    for name in ("one.lm", "two.lm"):
        assert lmkit("finetune", "classify", "--dim", "4", "--lr", "0.2", "-", "-o", name, stdin=rows).status == 0
    with open("one.lm", "rb") as one, open("two.lm", "rb") as two:
        assert one.read() == two.read()
    assert "--l2 is for n-grams without vectors" in lmkit(*scratch, "x.lm", "--l2", "1").stderr
    assert (
        "--epochs 1.5: vectors of n-grams train for whole epochs" in lmkit(*scratch, "x.lm", "--epochs", "1.5").stderr
    )
