"""Classifiers, regressors and taggers from Python: the numbers of `lmkit predict`."""

import pytest

import lmkit as package
from lmkit.errors import UsageError

TRAIN = b"a fine warm film\tgood\nwarm and lovely\tgood\na dull film\tbad\ncold and dull\tbad\n"
CONLL = b"Ana B-PER\nvive O\nen O\nLima B-LOC\n\nLuis B-PER\nSoto I-PER\nvive O\n"


def test_a_classifier(lmkit, write):
    write("t.tsv", TRAIN)
    assert lmkit("finetune", "classify", "-q", "--min-count", 1, "t.tsv", "-o", "clf.lm").status == 0
    model = package.load("clf.lm")
    assert isinstance(model, package.Classifier)
    assert (model.labels, model.kind) == (("bad", "good"), "bag-of-ngrams")
    texts = ["a warm story", "", "dull"]
    printed = lmkit("predict", "-m", "clf.lm", "--json", stdin="".join(f"{text}\n" for text in texts).encode()).records
    assert [(one.label, one.scores) for one in model.predict(texts)] == [
        (one["label"], one["scores"]) for one in printed
    ]
    assert (model.predict([]), model.probabilities([]).shape) == ([], (0, 2))
    for wrong, said in (("a text", "a list of texts"), ([("a", "b")], "2 texts"), ([7], "expected a text, got 7")):
        with pytest.raises(UsageError, match=said):
            model.predict(wrong)


def test_a_regressor(lmkit, write):
    write("r.tsv", b"one\t1\ntwo\t2\nthree\t3\n")
    assert lmkit("finetune", "regress", "-q", "--min-count", 1, "r.tsv", "-o", "r.lm").status == 0
    model = package.load("r.lm")
    assert isinstance(model, package.Regressor)
    printed = [float(line) for line in lmkit("predict", "-m", "r.lm", stdin=b"one\ntwo\n").lines]
    assert model.predict(["one", "two"]) == printed


def test_a_tagger(lmkit, write):
    write("t.conll", CONLL)
    assert lmkit("finetune", "tag", "-q", "--min-count", 1, "t.conll", "-o", "ner.lm").status == 0
    model = package.load("ner.lm")
    assert isinstance(model, package.Tagger)
    found, words = model.predict(["Luis Soto  vive", ["Ana", "vive"]])
    printed = lmkit("predict", "-m", "ner.lm", "--json", stdin=b"Luis Soto  vive\n").records[0]
    assert (list(found.tokens), list(found.labels)) == (printed["tokens"], printed["labels"])
    assert [vars(span) for span in found.spans] == printed["spans"] == [
        {"type": "PER", "start": 0, "end": 9, "text": "Luis Soto"}
    ]  # fmt: skip
    assert words.labels == ("B-PER", "O")
    assert model.predict([]) == []
