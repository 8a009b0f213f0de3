"""`lmkit train rnn --task classify` and `--task tag`."""

import json
from pathlib import Path

import numpy as np
import pytest

from lmkit import registry

NAMES, PLACES, VERBS = ("ana", "luis", "eva"), ("lima", "quito"), ("vive", "come")
QUICK = ("--tokens", "word", "--width", 32, "--layers", 1, "--threads", 1, "-q")


def sentences():
    rng = np.random.default_rng(1)
    for number in range(40):
        name, place, verb = (str(rng.choice(some)) for some in (NAMES, PLACES, VERBS))
        if number % 2:
            yield [(name, "B-PER"), (verb, "O"), ("en", "O"), (place, "B-LOC")], "place"
        else:
            yield [("la", "O"), ("vida", "O"), ("de", "O"), (name, "B-PER"), (verb, "O")], "life"


@pytest.fixture
def toy(write):
    rows = list(sentences())
    write("toy.conll", "\n".join("".join(f"{word} {label}\n" for word, label in row) for row, _ in rows).encode())
    write("toy.tsv", "".join(" ".join(word for word, _ in row) + f"\t{label}\n" for row, label in rows).encode())


@pytest.mark.parametrize("cell", ["lstm", pytest.param("gru", marks=pytest.mark.slow)])
def test_a_tagger_learns_a_toy(lmkit, toy, cell):
    words = ("--task", "tag", "--bidirectional", "--cell", cell, "--valid", "toy.conll", "--log", "log.jsonl")
    done = lmkit("train", "rnn", *words, *QUICK, "toy.conll", "-o", "tagger.lm")
    assert done.status == 0, done.stderr
    columns = lmkit("predict", "-m", "tagger.lm", "--as", "conll", "toy.conll")
    assert lmkit("eval", "tag", "--json", stdin=columns.stdout).records[0]["f1"] >= 0.99
    events = [json.loads(line) for line in Path("log.jsonl").read_text().splitlines()]
    assert [event["f1"] for event in events if event["event"] == "evaluation"][-1] >= 0.99


@pytest.mark.parametrize("words", [("--bidirectional",), ("--cell", "mingru")])
def test_a_classifier_learns_a_toy(lmkit, toy, words):
    done = lmkit("train", "rnn", "--task", "classify", *words, *QUICK, "--valid", "toy.tsv", "toy.tsv", "-o", "clf.lm")
    assert done.status == 0, done.stderr
    found = lmkit("predict", "-m", "clf.lm", "--input", "tsv", "--json", "toy.tsv")
    assert lmkit("eval", "classify", "--json", stdin=found.stdout).records[0]["accuracy"] >= 0.99


def test_both_directions_are_those_of_torch(lmkit, toy):
    import torch

    from lmkit.nn import factory

    for cell in ("lstm", "gru", "elman"):
        options = ("--task", "tag", "--bidirectional", "--cell", cell, "--steps", 3, "--restart")
        done = lmkit("train", "rnn", *options, *QUICK, "--layers", 2, "toy.conll", "-o", "t.lm")
        assert done.status == 0, done.stderr
        model = registry.load(memoryview(Path("t.lm").read_bytes()), "t.lm")
        network = factory.loaded(model.weights.body).eval()
        items = [model._format.words(words) for words in (("ana", "vive"), ("la", "vida", "de", "eva", "come"))]
        ids, lengths = torch.zeros(2, 8, dtype=torch.long), torch.tensor([len(one.ids) for one in items])
        for row, one in zip(ids, items, strict=True):
            row[: len(one.ids)] = torch.from_numpy(one.ids.astype(np.int64))
        with torch.inference_mode():
            states = network.states(ids, lengths, 0).numpy()
        for row, one in zip(states, items, strict=True):
            np.testing.assert_allclose(model._states(one), row[1 : len(one.ids)], atol=1e-5)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--bidirectional", "toy.tsv"), "a language model does not see what follows"),
        (("--task", "classify", "--tied", "toy.tsv"), "--tied is for --task lm"),
        (("--task", "tag", "--bidirectional", "--cell", "mingru", "toy.conll"), "is for elman, lstm and gru"),
        (("--task", "tag", "--bidirectional", "--width", 31, "toy.conll"), "no halves"),
        (("--task", "classify", "toy.tsv", "toy.tsv"), "reads one file"),
    ],
)
def test_bad_options(lmkit, toy, words, said):
    done = lmkit("train", "rnn", *words, "-o", "x.lm")
    assert (done.status, said in done.stderr) == (2, True), done.stderr
