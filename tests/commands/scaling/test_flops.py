"""Tests of: `lmkit scaling flops`."""

import pytest


def test_row_k1(lmkit):
    """Chinchilla: F = 6 N D and back."""
    (record,) = lmkit("scaling", "flops", "--params", "70e9", "--tokens", "1.4e12", "--json").records
    assert list(record) == ["flops", "parameters", "tokens", "factor"]
    assert record["flops"] == pytest.approx(5.88e23)
    (record,) = lmkit("scaling", "flops", "--flops", "5.88e23", "--params", "70B", "--json").records
    assert record["tokens"] == pytest.approx(1.4e12)
    (record,) = lmkit("scaling", "flops", "--flops", "5.88e23", "--tokens", "1.4T", "--json").records
    assert record["parameters"] == pytest.approx(70e9)
    (record,) = lmkit("scaling", "flops", "--params", "10M", "--tokens", "3k", "--factor", "2", "--json").records
    assert record["flops"] == pytest.approx(6e10)


def test_parts_of_a_published_model(lmkit):
    (record,) = lmkit("scaling", "flops", "--preset", "gpt2", "--tokens", "1e9", "--json").records
    assert record["layers"] == 2 * 12 * 12 * 768**2
    assert record["attention"] == 4 * 12 * 768 * 1024
    assert record["head"] == 2 * 50257 * 768
    assert record["forward"] == record["layers"] + record["attention"] + record["head"]
    assert record["backward"] == 2 * record["forward"]
    assert record["flops"] == 3e9 * record["forward"]


def test_models_in_files(lmkit, shelf):
    done = lmkit("scaling", "flops", "-m", shelf["transformer.lm"], "-m", shelf["lstm.lm"], "--context", "8")
    assert [row["parameters"] for row in done.rows] == [
        str(lmkit("info", "--json", shelf[name]).records[0]["parameters"]) for name in ("transformer.lm", "lstm.lm")
    ]


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--params", "1"],
        ["--params", "1", "--tokens", "1", "--flops", "6"],
        ["--params", "-1", "--tokens", "1"],
        ["--params", "nan", "--tokens", "1"],
        ["--params", "1e400", "--tokens", "1"],
        ["--params", "1", "--tokens", "1", "--causal"],
        ["--preset", "gpt2", "--params", "1"],
        ["--preset", "gpt2", "--context", "1025"],
        ["--preset", "gpt5"],
    ],
)
def test_wrong_usage(arguments, fails):
    fails(2, "scaling", "flops", *arguments)


def test_a_model_that_is_no_network(fails, shelf):
    assert "no neural model" in fails(2, "scaling", "flops", "-m", shelf["juan.lm"]).stderr
