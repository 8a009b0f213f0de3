"""Tests of: `lmkit scaling plan`."""

import pytest


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
        ["--ngram", "--vocab", "5", "--memory"],
        ["--t5-variant", "lm", "--preset", "gpt2"],
        ["--t5-variant", "decoder"],
        ["--preset", "gpt2", "--tokens", "1T"],
        ["--preset", "gpt2", "--flops-per-second", "1T"],
        ["--preset", "gpt2", "--batch", "2"],
        ["--preset", "gpt2", "--memory", "--context", "1025"],
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
    "roberta": 124_645_632 - 2 * 768, "electra-small": 13_483_008, "modernbert-base": 149_014_272,
    "llama-7b": 6_738_415_616, "llama-13b": 13_015_864_320, "llama-3-8b": 8_030_261_248,
    "smollm2-135m": 134_515_008, "smollm2-360m": 361_821_120, "smollm2-1.7b": 1_711_376_384,
    "qwen2.5-0.5b": 494_032_768, "qwen3-0.6b": 596_049_920, "qwen3-1.7b": 1_720_574_976,
}  # fmt: skip
"""What transformers counts in models of these configurations; RoBERTa's first two positions are never used."""


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
    from lmkit.commands.scaling.architectures import PRESETS
    from lmkit.commands.scaling.plan import plan

    assert tuple(presets.PUBLISHED) == PRESETS
    assert all(name in " ".join(plan.__doc__.split()) for name in PRESETS)


def test_a_preset_that_there_is_not(fails):
    assert "gpt2-medium" in fails(2, "scaling", "plan", "--preset", "gpt3").stderr


def test_row_f14(lmkit):
    """The T5 study: parameters and cost of its architectures."""
    records = {
        record["variant"]: record for record in lmkit("scaling", "plan", "--t5-variant", "all", "--json").records
    }
    assert records["encoder-decoder"]["parameters"] == 222_903_552  # what transformers counts of T5-base
    layers = {name: record["layers"] for name, record in records.items()}
    assert layers["encoder-decoder"] == 2 * layers["shared"] == 2 * layers["six-layer"] == 2 * layers["lm"]
    cost = {name: record["flops_per_token"] for name, record in records.items()}
    assert cost["encoder-decoder"] == cost["shared"] == cost["lm"] == cost["prefix-lm"] == 2 * cost["six-layer"]
    assert records["lm"]["cross_attention"] == 0
    assert 6 * records["encoder-decoder"]["cross_attention"] == layers["encoder-decoder"]


def test_memory_and_time(lmkit):
    options = ["--memory", "--tokens", "1e9", "--flops-per-second", "1e12", "--context", "100", "--batch", "2"]
    (record,) = lmkit("scaling", "plan", "--preset", "gpt2", *options, "--json").records
    size = PUBLISHED["gpt2"]
    assert (record["weights"], record["gradients"], record["optimizer"]) == (4 * size, 4 * size, 8 * size)
    assert record["activations"] == 200 * (12 * 16 * 768 * 2 + 8 * 50257)
    assert record["training"] == 16 * size + record["activations"]
    assert record["kv_cache"] == 200 * 12 * 2 * 768 * 2
    assert record["serving"] == 2 * size + record["kv_cache"]
    (counted,) = lmkit("scaling", "flops", "--preset", "gpt2", "--tokens", "1e9", "--context", "100", "--json").records
    assert record["seconds"] == pytest.approx(counted["flops"] / 1e12)
    assert record["days"] == record["seconds"] / 86400
