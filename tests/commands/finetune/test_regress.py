"""`lmkit finetune regress` without a base model."""

import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import Ridge

TEXTS = ["a fine warm film", "fine and warm", "a dull cold film", "dull", "a cold story"]
VALUES = [4.5, 5.0, 1.25, 0.5, 2.0]


def rows(values=VALUES):
    return "".join(f"{text}\t{value}\n" for text, value in zip(TEXTS, values, strict=True)).encode()


def test_values_are_those_of_scikit_learn(lmkit, write):
    train = write("train.tsv", rows())
    done = lmkit("finetune", "regress", train, "--valid", train, "--min-count", "1", "--l2", "0.5", "-o", "reg.lm")
    assert done.status == 0, done.stderr
    assert "5 examples, values from 0.5 to 5," in done.stderr
    assert "validation pearson 0.9" in done.stderr
    peer = TfidfVectorizer(token_pattern=r"\w+", ngram_range=(1, 2), sublinear_tf=True)
    expected = Ridge(alpha=0.5).fit(peer.fit_transform(TEXTS), VALUES).predict(peer.transform(["warm story", "x"]))
    found = lmkit("predict", "-m", "reg.lm", stdin=b"warm story\nx\n")
    assert [float(line) for line in found.lines] == pytest.approx(expected, abs=1e-4)
    assert [list(record) for record in lmkit("predict", "-m", "reg.lm", "--json", stdin=b"a\n").records] == [
        ["line", "value"]
    ]
    piped = lmkit("predict", "-m", "reg.lm", "-b", "train.tsv")
    scored = lmkit("eval", "regress", "-b", "--gold", "train.tsv", stdin=piped.stdout)
    assert float(scored.text) > 0.9


def test_labels_must_be_numbers(lmkit, write):
    for label in ("good", "nan", "1_0", "inf"):
        done = lmkit("finetune", "regress", write("t.tsv", rows([*VALUES[:4], label])), "-o", "reg.lm")
        assert done.status == 3
        assert f"t.tsv:5: '{label}' is not a finite number" in done.stderr


def test_probabilities_need_labels(lmkit, write):
    assert lmkit("finetune", "regress", write("t.tsv", rows()), "-q", "-o", "reg.lm").status == 0
    assert lmkit("predict", "-m", "reg.lm", "--scores", stdin=b"a\n").status == 2
