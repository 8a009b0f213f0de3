"""Tests of: `lmkit scaling fit` and `lmkit scaling predict`."""

import pytest
from sweeps import EXPONENT, csv, loss, optimum, sweep

RUNS = csv(sweep()).encode()


@pytest.mark.parametrize("command", ["fit --method parametric", "fit --method power-law", "isoflop"])
@pytest.mark.parametrize("form", [[], ["--json"]])
def test_fit_to_prediction(command, form, lmkit):
    fitted = lmkit("scaling", *command.split(), "--resamples", "20", *form, stdin=RUNS)
    (record,) = lmkit("scaling", "predict", "--flops", "1e21", "--json", stdin=fitted.stdout).records
    assert list(record) == ["flops", "parameters", "tokens", "loss", "tokens_per_parameter"]
    assert record["parameters"] == pytest.approx(optimum(1e21), rel=0.011)
    assert record["parameters"] * record["tokens"] * 6 == pytest.approx(1e21, rel=1e-3)
    assert record["loss"] == pytest.approx(loss(record["parameters"], record["tokens"]), rel=0.02)


def test_keys(lmkit):
    (record,) = lmkit("scaling", "fit", "--json", "--resamples", "20", stdin=RUNS).records
    assert [key for key in record if key in ("E", "A", "B", "alpha", "beta", "a", "b")] == [
        "E", "A", "B", "alpha", "beta", "a", "b",
    ]  # fmt: skip
    assert record["runs"] == 63
    assert record["interval"]["a"][0] == pytest.approx(EXPONENT)
    (record,) = lmkit("scaling", "fit", "--json", "--method", "power-law", stdin=RUNS).records
    assert record["a"] + record["b"] == pytest.approx(1, abs=0.01)


def test_fits_that_need_no_flops(lmkit):
    text = "\n".join(line.partition(",")[2] for line in RUNS.decode().split()).encode()
    done = lmkit("scaling", "fit", "--resamples", "0", stdin=text)
    assert done.rows[0] == {"constant": "E", "value": "1.69", "low": "", "high": ""}
    assert lmkit("scaling", "fit", "--method", "power-law", stdin=text).status == 3


@pytest.mark.parametrize("method", ["parametric", "power-law"])
def test_one_budget(method, fails):
    text = b"\n".join(RUNS.split(b"\n")[:10])
    assert "one budget" in fails(3, "scaling", "fit", "--method", method, stdin=text).stderr


def test_published_constants(lmkit):
    predict = ("scaling", "predict", "--published", "hoffmann", "--json")
    (record,) = lmkit(*predict, "--flops", "5.88e23").records
    assert record["parameters"] == pytest.approx(3.2e10, rel=0.02)
    ways = (["--params", "70B", "--tokens", "1.4T"], ["--flops", "5.88e23", "--params", "70B"])
    records = [lmkit(*predict, *way).records[0] for way in (*ways, ["--flops", "5.88e23", "--tokens", "1.4T"])]
    assert [record["loss"] for record in records] == pytest.approx([1.9366] * 3, abs=1e-4)


def test_a_budget_far_from_the_runs(lmkit):
    fitted = lmkit("scaling", "fit", "--resamples", "0", "--json", stdin=RUNS).stdout
    assert "extrapolated" in lmkit("scaling", "predict", "--flops", "1e25", stdin=fitted).stderr
    assert lmkit("scaling", "predict", "--flops", "1e23", stdin=fitted).stderr == ""


@pytest.mark.parametrize(
    ("status", "arguments", "data"),
    [
        (2, [], b""),
        (2, ["--params", "1"], b""),
        (2, ["--flops", "6", "--params", "1", "--tokens", "1"], b""),
        (2, ["--published", "kaplan", "--flops", "6"], b""),
        (2, ["--flops", "6", "--params", "1"], b'{"a": 1, "b": 1, "log_G": 0, "log_H": 0}'),
        (3, ["--flops", "6"], b""),
        (3, ["--flops", "6"], b"{]"),
        (3, ["--flops", "6"], b"\xff\xfe"),
        (3, ["--flops", "6"], b'{"a": 1}'),
        (3, ["--flops", "6"], b'{"a": true, "b": "1"}'),
        (3, ["--flops", "6"], b'{"a": 1e300, "b": 1, "log_G": 0, "log_H": 0}'),
        (3, ["--flops", "6"], b'{"E": 1, "A": -1, "B": 1, "alpha": 1, "beta": 1}'),
        (3, ["--flops", "6"], b'{"E": 1, "A": 1e300, "B": 1, "alpha": 1e-300, "beta": 1e-300}'),
    ],
)
def test_bad_predictions(status, arguments, data, fails):
    fails(status, "scaling", "predict", *arguments, stdin=data)
