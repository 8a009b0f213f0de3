"""`lmkit finetune classify` without a base model, and `lmkit predict` of it."""

import json

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

GOOD, BAD = ("a fine warm film", "fine and warm", "a lovely film", "warm lovely story"), ("a dull cold film", "dull")
TEXTS = [*GOOD, *BAD, "a cold story", "cold and dull"]
LABELS = ["good"] * 4 + ["bad"] * 4


def tsv(texts=TEXTS, labels=LABELS):
    return "".join(f"{text}\t{label}\n" for text, label in zip(texts, labels, strict=True)).encode()


@pytest.fixture
def trained(lmkit, write):
    """Trains on a file of these bytes; gives the file of the model."""

    def trained(data, *words, name="train.tsv"):
        done = lmkit("finetune", "classify", write(name, data), *words, "-o", "clf.lm")
        assert done.status == 0, done.stderr
        return done

    return trained


def test_probabilities_are_those_of_scikit_learn(lmkit, trained):
    trained(tsv(), "--min-count", "1", "--l2", "0.5")
    peer = TfidfVectorizer(token_pattern=r"\w+", ngram_range=(1, 2), sublinear_tf=True)
    expected = LogisticRegression(C=2, tol=1e-10).fit(peer.fit_transform(TEXTS), LABELS)
    new = ["a warm story", "", "DULL dull unseen"]
    done = lmkit("predict", "-m", "clf.lm", "--json", stdin="\n".join([*new, ""]).encode())
    found = [list(record["scores"].values()) for record in done.records]
    assert found == pytest.approx(expected.predict_proba(peer.transform([x.lower() for x in new])), abs=1e-4)
    assert [list(record) for record in done.records] == [["line", "label", "scores"]] * 3


def test_the_same_command_gives_the_same_bytes(trained, tmp_path, monkeypatch):
    trained(tsv())
    with open("clf.lm", "rb") as file:
        first = file.read()
    trained(tsv())
    with open("clf.lm", "rb") as file:
        assert file.read() == first


def test_pipe_from_training_to_evaluation(lmkit, trained, write):
    trained(tsv(), "--char-ngrams", "2-4", "--ngrams", "1")
    done = lmkit("predict", "-m", "clf.lm", stdin="".join(f"{text}\n" for text in TEXTS).encode())
    assert done.lines == LABELS
    scored = lmkit(
        "eval", "classify", "-b", "--gold", write("gold.txt", "\n".join([*LABELS, ""]).encode()), stdin=done.stdout
    )
    assert scored.text == "1.0\n"
    assert lmkit("predict", "-m", "clf.lm", "-b", "train.tsv").lines == LABELS
    records = lmkit("predict", "-m", "clf.lm", "--json", "train.tsv").records
    assert [record["gold"] for record in records] == LABELS


def test_records_pass_through(lmkit, trained):
    trained(tsv())
    rows = [{"id": "x7", "text": "dull", "label": "bad", "note": {"a": 1}}, {"text": "warm\nfilm"}]
    done = lmkit("predict", "-m", "clf.lm", "--input", "jsonl", stdin="\n".join(map(json.dumps, rows)).encode())
    assert done.records == [
        {"id": "x7", "label": "bad", "gold": "bad", "text": "dull", "note": {"a": 1}},
        {"line": 2, "label": "good", "text": "warm\nfilm"},
    ]
    bare = lmkit("predict", "-m", "clf.lm", "-b", "--input", "jsonl", stdin=json.dumps(rows[0]).encode())
    assert bare.text == "bad\n"


def test_a_batch_changes_nothing(lmkit, trained):
    trained(tsv(), "--char-ngrams", "1-3")
    stdin = "".join(f"{text}\n" for text in TEXTS * 40).encode()
    together = lmkit("predict", "-m", "clf.lm", "--json", stdin=stdin).records
    alone = [lmkit("predict", "-m", "clf.lm", "--json", stdin=f"{text}\n".encode()).records[0] for text in TEXTS]
    assert [record["scores"] for record in together] == [record["scores"] for record in alone] * 40


def test_scores_are_a_table(lmkit, trained):
    trained(tsv())
    rows = lmkit("predict", "-m", "clf.lm", "--scores", stdin=b"warm\ncold\n").rows
    assert [row["label"] for row in rows] == ["good", "bad"]
    assert float(rows[0]["good"]) + float(rows[0]["bad"]) == pytest.approx(1, abs=1e-5)


def test_pairs(lmkit, trained):
    pairs = [("a b", "a b", "same"), ("c d", "c d", "same"), ("a b", "c d", "other"), ("c d", "a b", "other")]
    trained("".join("\t".join(pair) + "\n" for pair in pairs).encode(), "--min-count", "1", "--l2", "0.01")
    done = lmkit("predict", "-m", "clf.lm", stdin=b"a b\ta b\nc d\ta b\n")
    assert done.lines == ["same", "other"]
    assert "one text, but the model takes a pair" in lmkit("predict", "-m", "clf.lm", stdin=b"a\n").stderr


def test_regularisation_is_chosen(trained, write):
    done = trained(tsv(), "--valid", write("dev.tsv", tsv(TEXTS[::-1], LABELS[::-1])), "--select-by", "macro_f1")
    assert "l2 3; validation accuracy 1.0000, macro_f1 1.0000" in done.stderr
    first, second = (trained(tsv(), "--folds", "4", "--seed", seed).stderr for seed in ("1", "1"))
    assert first == second
    assert "l2 " in first


def test_balanced_weights(lmkit, trained):
    rows = tsv([*TEXTS, *GOOD * 10], [*LABELS, *["good"] * 40])
    chances = []
    for mode in ("none", "balanced"):
        trained(rows, "--class-weights", mode)
        chances.append(lmkit("predict", "-m", "clf.lm", "--json", stdin=b"story\n").records[0]["scores"]["bad"])
    assert chances[0] < 0.5 < chances[1] + 0.2
    assert chances[0] < chances[1]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "train.tsv: no examples: the input is empty"),
        (b"a\tx\nb\tx\n", "train.tsv: all labels are 'x', expected two or more different ones"),
        (b"a\tx\nb\n", "train.tsv:2: no label"),
        (b"a\tx\nb\t \n", "train.tsv:2: the label is empty"),
        (b"a\tb\tc\td\n", "train.tsv:1: 4 columns, expected a text and a label, or two texts and a label"),
        (b"a\tx\na\tb\ty\n", "train.tsv:2: a pair, but one text at train.tsv:1"),
        (b"a\tx\nb\xff\ty\n", "train.tsv:2: not UTF-8"),
    ],
)
def test_bad_examples(lmkit, write, data, message):
    done = lmkit("finetune", "classify", write("train.tsv", data), "-o", "clf.lm")
    assert (done.status, done.stdout) == (3, b"")
    assert message in done.stderr


def test_bad_records_and_odd_labels(lmkit, write):
    for record, message in (
        ({"text": "a", "label": "x\ty"}, "the label 'x\\ty' contains a tab or a line end"),
        ({"text": ["a"], "label": "x"}, "the field 'text' has the wrong type"),
        ({"words": "a", "label": "x"}, "no field 'text'"),
    ):
        done = lmkit("finetune", "classify", write("t.jsonl", json.dumps(record).encode()), "-o", "clf.lm")
        assert done.status == 3
        assert f"t.jsonl:1: {message}" in done.stderr


def test_unseen_labels_count_as_wrong(trained, write):
    done = trained(tsv(), "--valid", write("dev.tsv", b"warm\tgood\nodd\tnew\n"))
    assert "1 of 2 validation examples have labels that training lacks, such as 'new'" in done.stderr
    assert "accuracy 0.5000" in done.stderr


def test_quotes_are_text_and_empty_texts_are_texts(lmkit, trained):
    trained(b'"a\tx\n""\ty\n\tx\n\ty\n', "--min-count", "1")
    assert len(lmkit("predict", "-m", "clf.lm", stdin=b'"a\n\n').lines) == 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--ngrams", "0"), "no n-grams: --ngrams 0 needs --char-ngrams"),
        (("--ngrams", "3-2"), "--ngrams '3-2': expected orders"),
        (("--folds", "2", "--l2", "1"), "--folds chooses --l2"),
        (("--folds", "9"), "--folds 9: expected 2 to 8"),
        (("--normalize", "nfx"), "--normalize: 'nfx' is not one of"),
    ],
)
def test_options_that_cannot_be(lmkit, write, words, message):
    done = lmkit("finetune", "classify", write("train.tsv", tsv()), *words, "-o", "clf.lm")
    assert done.status == 2
    assert message in done.stderr


def test_predict_refuses_other_models(lmkit, shelf):
    done = lmkit("predict", "-m", shelf["pruned.lm"], stdin=b"a\n")
    assert done.status == 4
    assert "of kind ngram, no fine-tuned model" in done.stderr


def test_damaged_checkpoints(lmkit, trained):
    from lmkit import checkpoint

    trained(tsv())
    with open("clf.lm", "rb") as file:
        content = checkpoint.parse(memoryview(file.read()))
    tensors = {name: np.array(content.tensors[name]) for name in content.tensors}
    for config in (
        {**content.config, "head": {"kind": "classify", "labels": ["a", "b", "c"]}},
        {**content.config, "head": {"kind": "tagger"}},
        {**content.config, "features": {"words": [2, 1], "characters": [0, 0], "bits": 31}},
        {**content.config, "sides": 3},
    ):
        made = checkpoint.Checkpoint(content.kind, config, tensors)
        with open("bad.lm", "wb") as file:
            file.writelines(checkpoint.serialize(made))
        done = lmkit("predict", "-m", "bad.lm", stdin=b"a\n")
        assert done.status == 4
        assert "damaged checkpoint" in done.stderr
