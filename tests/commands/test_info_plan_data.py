"""`lmkit info`, `lmkit scaling plan` and `lmkit data text`."""

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


# scaling plan


def test_exact_numbers(lmkit):
    records = lmkit("scaling", "plan", "--ngram", "--vocab", "60000", "--json").records
    assert records == [
        {"order": 0, "parameters": 1, "free_parameters": 0},
        {"order": 1, "parameters": 60_000, "free_parameters": 59_999},
        {"order": 2, "parameters": 3_600_000_000, "free_parameters": 3_599_940_000},
        {"order": 3, "parameters": 216_000_000_000_000, "free_parameters": 215_996_400_000_000},
    ]


def test_exact_numbers_beyond_what_floats_hold(lmkit):
    *_, last = lmkit("scaling", "plan", "--ngram", "--vocab", "60001", "--max-order", "20", "--json").records
    assert last == {"order": 20, "parameters": 60_001**20, "free_parameters": 60_001**19 * 60_000}
    rows = lmkit("scaling", "plan", "--ngram", "--vocab", "60001", "--max-order", "20").rows
    assert [int(row["parameters"]) for row in rows] == [60_001**order for order in range(21)]


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--ngram"],
        ["--vocab", "5"],
        ["--ngram", "--vocab", "0"],
        ["--ngram", "--vocab", "-3"],
        ["--ngram", "--vocab", "5", "--preset", "gpt2"],
        ["--preset", "gpt2", "--vocab", "5"],
        ["--ngram", "--vocab", "5", "--max-order", "21"],
        ["--ngram", "--vocab", "5.5"],
    ],
)
def test_plans_that_make_no_sense(arguments, lmkit):
    assert lmkit("scaling", "plan", *arguments).status == 2


def test_the_smallest_plan(lmkit):
    records = lmkit("scaling", "plan", "--ngram", "--vocab", "1", "--max-order", "1", "--json").records
    assert records == [
        {"order": 0, "parameters": 1, "free_parameters": 0},
        {"order": 1, "parameters": 1, "free_parameters": 0},
    ]


PUBLISHED = {
    "gpt1": 116_534_784, "gpt2": 124_439_808, "gpt2-medium": 354_823_168, "gpt2-large": 774_030_080,
    "gpt2-xl": 1_557_611_200, "bert-base": 109_482_240, "bert-large": 335_141_888,
    "roberta": 124_644_096, "electra-small": 13_483_008, "modernbert-base": 149_014_272,
    "llama-7b": 6_738_415_616, "llama-13b": 13_015_864_320, "llama-3-8b": 8_030_261_248,
    "smollm2-135m": 134_515_008, "smollm2-360m": 361_821_120, "smollm2-1.7b": 1_711_376_384,
    "qwen2.5-0.5b": 494_032_768, "qwen3-0.6b": 596_049_920, "qwen3-1.7b": 1_720_574_976,
}  # fmt: skip
"""What transformers counts in models of these configurations; RoBERTa without two rows that are no positions."""


def test_published_models_have_the_parameters_that_they_have(lmkit):
    records = lmkit("scaling", "plan", "--preset", "all", "--json").records
    assert {record["preset"]: record["parameters"] for record in records} == PUBLISHED
    for record in records:
        parts = ("embeddings", "attention", "feed_forward", "norms", "head")
        assert sum(record[part] for part in parts) == record["parameters"]


def test_parts_of_a_published_model(lmkit):
    (row,) = lmkit("scaling", "plan", "--preset", "gpt2").rows
    layers, width, tokens, context = 12, 768, 50257, 1024
    matrices = layers * 12 * width**2
    assert {key: int(value) for key, value in row.items() if key != "preset"} == {
        "embeddings": (tokens + context) * width,
        "attention": layers * 4 * (width**2 + width),
        "feed_forward": layers * (8 * width**2 + 5 * width),
        "norms": (2 * layers + 1) * 2 * width,
        "head": 0,
        "parameters": PUBLISHED["gpt2"],
        "flops_per_token": 2 * (matrices + tokens * width) + 2 * layers * width * (context + 1),
    }


def test_every_preset_is_in_the_help():
    from lmkit.architectures import presets
    from lmkit.commands.scaling import PRESETS, plan

    assert tuple(presets.PUBLISHED) == PRESETS
    assert all(name in " ".join(plan.__doc__.split()) for name in PRESETS)


def test_a_preset_that_there_is_not(fails):
    assert "gpt2-medium" in fails(2, "scaling", "plan", "--preset", "gpt3").stderr


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
