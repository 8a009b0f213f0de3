"""Tests of: `lmkit scaling check`."""

import pytest


def test_row_k5(lmkit):
    records = lmkit("scaling", "check", "--json").records
    ratios = [record["tokens_per_parameter"] for record in records]
    assert ratios == pytest.approx([1.23, 1.71, 1.69, 1.07, 0.51, 20.0], abs=0.005)
    assert [record["verdict"] for record in records] == ["under-trained"] * 5 + ["balanced"]


def test_one_model(lmkit):
    ways = [["--params", "8B", "--tokens", "15T"], ["--params", "8B", "--flops", "7.2e23"]]
    for way in (*ways, ["--tokens", "15T", "--flops", "7.2e23"]):
        (record,) = lmkit("scaling", "check", "--json", *way).records
        assert record["tokens_per_parameter"] == pytest.approx(1875)
        assert record["verdict"] == "over-trained"


def test_row_k6(lmkit):
    done = lmkit("scaling", "check", "--mix", "gpt3", "--json")
    assert [record["epochs"] for record in done.records] == pytest.approx([0.439, 3.474, 2.0, 0.436, 3.0], abs=5e-4)
    assert "weights sum to 1.01" in done.stderr
    done = lmkit("scaling", "check", "--mix", "a=1T:0.8,b=20B:.2", "--tokens", "300B", "--json")
    assert [record["epochs"] for record in done.records] == pytest.approx([0.24, 3.0])
    assert done.stderr == ""


@pytest.mark.parametrize(
    "arguments",
    [["--params", "1"], ["--mix", "a=1:1"], ["--mix", "a", "--tokens", "1"], ["--mix", "=1:1", "--tokens", "1"],
     ["--mix", "a=1:-1", "--tokens", "1"], ["--mix", "gpt3", "--params", "1"], ["--mix", "", "--tokens", "1"]],
)  # fmt: skip
def test_wrong_usage(arguments, fails):
    fails(2, "scaling", "check", *arguments)
