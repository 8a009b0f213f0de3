"""`lmkit attention`."""

import base64
import json
import re

import numpy as np
import pytest
from random_weights import random_weights
from rounding import assert_close

from lmkit.checkpoint import serialize
from lmkit.tokenization.tokenizers import WordTokenizer
from lmkit.tokenization.vocabulary import Vocabulary

SHAPE = {"layers": 2, "width": 8, "heads": 4, "kv_heads": 2, "head_width": 4, "hidden": 8, "context": 8}
TOKENIZER = WordTokenizer(Vocabulary.of([b"<unk>", b"<s>", b"</s>", b"the", b"cat", b"sat"]))


@pytest.fixture
def model(write):
    weights = random_weights("transformer", TOKENIZER, **SHAPE)
    write("rnn.lm", b"".join(serialize(random_weights("rnn", TOKENIZER).to_checkpoint({}))))
    write("model.lm", b"".join(serialize(weights.to_checkpoint({}))))
    return weights


@pytest.mark.parametrize(
    ("arguments", "rows"),
    [
        (["--kind", "causal"], ["1000", "1100", "1110", "1111"]), ([], ["1000", "1100", "1110", "1111"]),
        (["--kind", "full"], ["1111"] * 4), (["-n", 1], ["1"]),
        (["--kind", "prefix", "--prefix", 2], ["1100", "1100", "1110", "1111"]),
        (["--kind", "prefix", "--prefix", 0, "-n", 2], ["10", "11"]), (["--kind", "cross", "--prefix", 2], ["11"] * 4),
    ],
)  # fmt: skip
def test_masks(arguments, rows, lmkit):
    done = lmkit("attention", "--mask-only", *["-n", 4][: 0 if "-n" in arguments else 2], *arguments)
    assert [line.replace("\t", "") for line in done.lines] == rows
    as_json = lmkit("attention", "--mask-only", "--json", *arguments)
    assert json.loads(as_json.text) == [[int(digit) for digit in row] for row in rows]


def test_weights_of_a_text(lmkit, model):
    done = lmkit("attention", "-m", "model.lm", "--text", "the cat sat the", "--json")
    (record,) = done.records
    assert record["tokens"] == ["<s>", "the", "cat", "sat", "the"]
    weights = np.array(record["weights"])
    assert weights.shape == (2, 4, 5, 5)
    assert_close(weights.sum(axis=-1), np.ones((2, 4, 5)))
    assert (weights[..., np.triu_indices(5, 1)[0], np.triu_indices(5, 1)[1]] == 0).all()
    one = ["--layer", 1, "--head", 2]
    (single,) = lmkit("attention", "-m", "model.lm", "--text", "the cat sat the", *one, "--json").records
    assert single["weights"] == record["weights"][1][2]
    rows = lmkit("attention", "-m", "model.lm", "--text", "the cat sat the", *one).rows
    assert [row["token"] for row in rows] == ["0:<s>", "1:the", "2:cat", "3:sat", "4:the"]
    assert [row["0:<s>"] for row in rows] == [f"{weight:.2f}" for weight in weights[1, 2, :, 0]]
    assert [row["4:the"] for row in rows[:-1]] == ["0"] * 4
    alone = lmkit("attention", "-m", "model.lm", "--text", "", "--json").records[0]
    assert alone["weights"] == [[[[1.0]]] * 4] * 2


def test_a_person_sees_what_the_last_token_attends_to(lmkit, model):
    command = ["attention", "-m", "model.lm", "--text", "the cat sat the"]
    weights = np.array(lmkit(*command, "--json").records[0]["weights"])
    rows = lmkit(*command).rows
    assert [(row["layer"], row["head"]) for row in rows] == [(str(i), str(j)) for i in range(2) for j in range(4)]
    for row in rows:
        last = weights[int(row["layer"]), int(row["head"]), -1]
        assert row["token"] == "4:the"
        for rank, column in enumerate(("first", "second", "third"), 1):
            token, weight = row[column].split(" ")
            place = int(token.split(":")[0])
            assert last[place] == sorted(last)[-rank]
            assert weight == f"{last[place]:.2f}"
    assert [list(row)[3:] for row in lmkit(*command[:-1], "").rows] == [["first"]] * 8


def test_pictures_of_heads(lmkit, model, work):
    command = ["attention", "-m", "model.lm", "--text", "the cat sat the"]
    one = ["--layer", "1", "--head", "2"]
    done = lmkit(*command, *one, "--term", "--plot", "one.svg")
    assert [line.split()[0] for line in done.lines[1:6]] == ["0:<s>", "1:the", "2:cat", "3:sat", "4:the"]
    assert "attending token" in (work / "one.svg").read_text()
    done = lmkit(*command, "--term", "--plot", "all.svg")
    assert [line.split("  ")[0] for line in done.lines if "head" in line] == ["layer 0 head 0", "layer 1 head 0"]
    assert (work / "all.svg").read_text().count("<image") == 8


def test_a_page_has_weights_queries_and_keys(lmkit, model, work):
    command = ["attention", "-m", "model.lm", "--text", "the cat sat the"]
    weights = np.array(lmkit(*command, "--json", "--plot", "page.html").records[0]["weights"])
    page = (work / "page.html").read_text()
    assert not re.search(r"(?:src|href)=|url\(|@import|\bfetch\(", page)
    inside = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)[1]
    (view,) = json.loads(inside)["views"]
    assert view["rows"] == view["columns"] == ["<s>", "the", "cat", "sat", "the"]

    def numbers(name, kind, *shape):
        return np.frombuffer(base64.b64decode(view[name]), dtype=kind).reshape(2, 4, *shape)

    found = numbers("weights", "<u2", 5, 5) / 65535
    np.testing.assert_allclose(found, weights, atol=1e-5)
    queries = numbers("queries", "<i2", 5, -1) * np.array(view["query_scales"])[..., None, None]
    keys = numbers("keys", "<i2", 5, -1) * np.array(view["key_scales"])[..., None, None]
    scores = np.where(np.tri(5, dtype=bool), queries @ np.swapaxes(keys, -1, -2), -np.inf)
    softmax = np.exp(scores) / np.exp(scores).sum(axis=-1, keepdims=True)
    np.testing.assert_allclose(softmax, weights, atol=2e-3)


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        ([], 2, "no text"), (["--mask-only", "--kind", "prefix"], 2, "--prefix"),
        (["--mask-only", "--prefix", "1"], 2, "--prefix"), (["--mask-only", "--text", "x"], 2, "--mask-only"),
        (["--mask-only", "--kind", "prefix", "--prefix", "5"], 2, "longer than all 4"),
        (["--mask-only", "--kind", "x"], 2, "causal"), (["--mask-only", "-n", "0"], 2, "-n"),
        (["-m", "model.lm", "--text", "the", "--layer", "0"], 2, "need each other"),
        (["-m", "model.lm", "--text", "the", "--layer", "2", "--head", "0"], 2, "2 layers of 4 heads"),
        (["-m", "model.lm", "--text", "the " * 8], 2, "a context of 8"),
        (["-m", "rnn.lm", "--text", "the"], 4, "of kind rnn has no attention"),
        (["-m", "absent.lm", "--text", "the"], 3, "absent.lm"),
        (["--mask-only", "--plot", "a.svg"], 2, "--mask-only"),
        (["--text", "the", "--plot", "a.gif"], 2, ".svg or .html"),
        (["--text", "the", "--term", "--json"], 2, "exclude each other"),
    ],
)  # fmt: skip
def test_what_makes_no_sense(arguments, status, told, fails, model):
    assert told in fails(status, "attention", *arguments).stderr


def test_weights_that_give_no_attention(model, fails, write):
    model.tensors["embed_tokens.weight"][:] = np.nan
    write("bad.lm", b"".join(serialize(model.to_checkpoint({}))))
    assert "bad.lm: damaged checkpoint" in fails(4, "attention", "-m", "bad.lm", "--text", "the").stderr
