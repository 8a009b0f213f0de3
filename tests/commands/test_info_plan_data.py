"""`lmkit info` and `lmkit data text`."""

import json

import numpy as np
import pytest

from lmkit import checkpoint

KEYS = ["kind", "config", "tokenizer", "parameters", "bytes", "origin", "tensors", "digest"]


# info


@pytest.mark.parametrize(
    "name",
    [
        "witten-bell-3.lm",
        "word-0.lm",
        "char-katz.lm",
        "byte-witten-bell.lm",
        "mixed.lm",
        "pruned.lm",
        "imported.lm",
        "counts.lm",
    ],
)
def test_what_a_checkpoint_is(name, lmkit, shelf):
    (record,) = lmkit("info", "--json", shelf[name]).records
    content = checkpoint.parse(shelf[name].read_bytes())
    assert list(record) == KEYS
    assert record["kind"] == content.kind
    assert record["config"] == json.loads(json.dumps(content.config))
    assert record["tokenizer"] == content.tokenizer
    assert record["origin"] == content.origin
    assert record["bytes"] == shelf[name].stat().st_size
    own = {key: tensor for key, tensor in content.tensors.items() if not key.startswith("tokenizer.")}
    assert record["parameters"] == sum(tensor.size for tensor in own.values() if tensor.dtype.kind == "f")
    assert record["tensors"] == {
        key: [checkpoint.NAMES[tensor.dtype], list(tensor.shape)] for key, tensor in content.tensors.items()
    }
    assert list(record["tensors"]) == sorted(record["tensors"])


def test_it_can_be_named_in_three_ways(lmkit, shelf):
    plain = lmkit("info", shelf["juan.lm"])
    assert plain.status == 0
    assert lmkit("info", "-m", shelf["juan.lm"]).stdout == plain.stdout
    assert lmkit("info", stdin=shelf["juan.lm"].read_bytes()).stdout == plain.stdout
    assert lmkit("info", "-", stdin=shelf["juan.lm"].read_bytes()).stdout == plain.stdout


def test_lines_of_key_and_value(lmkit, shelf):
    done = lmkit("info", "--tensors", shelf["juan.lm"])
    fields = dict(line.split("\t", 1) for line in done.text.split("\n")[:-1])
    assert fields["kind"] == "ngram"
    assert fields["order"] == "2"
    assert fields["smoothing"] == "mle"
    assert fields["tokenizer.size"] == "8"
    assert json.loads(fields["ngrams"]) == [8, 10]
    assert fields["origin.command"] == "ngram fit"
    tensors = [line.split("\t")[1:] for line in done.lines if line.startswith("tensor\t")]
    assert ["ngrams.2.key", "I64", "10"] in tensors


def test_arpa_files_too(lmkit, shelf):
    (record,) = lmkit("info", "--json", shelf["by-hand.arpa"]).records
    assert list(record) == KEYS
    assert record["kind"] == "ngram"
    assert record["config"]["ngrams"] == [5, 4, 2]
    assert record["tokenizer"]["size"] == 5


def test_digest_tells_models_apart(lmkit, shelf):
    digests = {
        lmkit("info", "--json", shelf[name]).records[0]["digest"]
        for name in ("juan.lm", "witten-bell-2.lm", "witten-bell-3.lm")
    }
    assert len(digests) == 3
    (record,) = lmkit("ppl", "--json", "-m", shelf["juan.lm"], shelf["juan.txt"]).records
    assert f"model:{lmkit('info', '--json', shelf['juan.lm']).records[0]['digest'][:8]}|" in record["signature"]


def test_kinds_it_does_not_know(lmkit, small, write):
    write("toy", b"".join(checkpoint.serialize(small)))
    (record,) = lmkit("info", "--json", "toy").records
    assert (record["kind"], record["config"], record["parameters"]) == ("toy", {"order": 3}, 6)


def test_odd_text_stays_within_its_line(lmkit, write):
    content = checkpoint.Checkpoint("toy\n", {"a\tb": "c\nd", "e": ["\n"]}, {"x\ny": np.zeros(1)})
    write("odd", b"".join(checkpoint.serialize(content)))
    for options in ([], ["--tensors"]):
        done = lmkit("info", *options, "odd")
        assert done.status == 0
        assert len(done.text.split("\n")) - 1 == 5 + len(options)


# data text


def test_a_text_to_try_things_on(lmkit, work):
    done = lmkit("data", "text", "python-docs")
    assert done.status == 0
    lines = done.text.split("\n")[:-1]
    assert len(lines) > 500
    assert all(line.strip() == line != "" for line in lines)
    assert len(set(lines)) == len(lines)
    assert lmkit("data", "text", "python-docs", "-o", "out").status == 0
    assert (work / "out").read_bytes() == done.stdout
    fitted = lmkit("ngram", "fit", "--order", "2", "out", "-o", "m.lm")
    assert (fitted.status, fitted.stderr) == (0, "")


@pytest.mark.parametrize("arguments", [["nothing"], ["python-docs", "python-docs"]])
def test_texts_that_are_not_carried(arguments, lmkit):
    assert lmkit("data", "text", *arguments).status == 2
