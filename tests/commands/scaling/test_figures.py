"""Figures of scaling laws."""

from pathlib import Path

import pytest
from sweeps import csv, sweep

RUNS = csv(sweep(noise=0.001)).encode()


@pytest.mark.few(1)
@pytest.mark.parametrize(
    ("command", "shown"),
    [
        (["isoflop"], ["7 budgets, 63 runs", "parameters, exponent 0.45"]),
        (["fit", "--resamples", "0"], ["63 runs: L = 1.69", "law&#x27;s optimum"]),
        (["fit", "--method", "power-law"], ["optima, exponent -0.05"]),
    ],
    ids=["isoflop", "parametric", "power-law"],
)
def test_pictures(command, shown, lmkit):
    done = lmkit("scaling", *command, "--plot", "one.svg", stdin=RUNS)
    assert done.status == 0, done.stderr
    picture = Path("one.svg").read_text()
    assert all(text in picture for text in shown)
    if "isoflop" in command:
        lmkit("scaling", *command, "--plot", "two.svg", stdin=RUNS)
        assert Path("two.svg").read_text() == picture


@pytest.mark.slow
def test_formats(lmkit, fails):
    assert lmkit("scaling", "isoflop", "--plot", "one.png", stdin=RUNS).status == 0
    assert Path("one.png").read_bytes().startswith(b"\x89PNG")
    assert "a figure is a .png, .svg or .html" in fails(2, "scaling", "fit", "--plot", "one.pdf", stdin=RUNS).stderr
