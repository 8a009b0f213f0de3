"""Reports of evaluations; that the numbers are right is for the tests of the metrics."""

import json

import pytest

from lmkit.commands.options.evaluation import ComparisonOptions, EvaluationOptions
from lmkit.commands.options.standard import Run
from lmkit.commands.reports import metrics
from lmkit.errors import UsageError
from lmkit.io.messages import Terminal
from lmkit.metrics.bootstrap import Difference, Interval, Sampling
from lmkit.metrics.comparison import Comparison

ONE = Comparison({"a": Interval(0.5, 0.25, 0.75), "b": Interval(2.0, None, None), "c": None})
TWO = Comparison(
    ONE.intervals, {"a": 0.25, "b": 1.0, "c": 1.0}, {"a": Difference(0.25, 0.0, 0.5, 0.125), "b": None, "c": None}
)


@pytest.fixture
def printed(tmp_path, monkeypatch):
    """Give a function that shows a comparison and returns the lines."""
    monkeypatch.chdir(tmp_path)

    def printed(found, *how, bare=False, as_json=False, **more):
        options = ComparisonOptions(output="out", resamples=9, bare=bare, json=as_json)
        run = Run("eval test", {"output": "out"}, Terminal())
        with metrics.open_report(run, "test", options, ["-"]) as report:
            report.show(found, 7, *how, **more)
        return (tmp_path / "out").read_text().splitlines()

    return printed


def test_rows(printed):
    header, *rows = printed(ONE, {"how": "so"})
    assert header == "metric\tvalue\tlow\thigh\tsignature"
    assert rows[0].startswith(
        "a\t0.5\t0.25\t0.75\teval:test|how:so|bootstrap:percentile|resamples:9|level:0.95|seed:0|"
    )
    assert [row.split("\t")[:4] for row in rows[1:]] == [["b", "2", "", ""], ["c", "", "", ""]]
    signatures = [row.split("\t")[-1] for row in printed(ONE, signatures=["x", "y", "z"])[1:]]
    assert [one.partition("|eval:test")[0] for one in signatures] == ["x", "y", "z"]


def test_rows_of_two_systems(printed):
    header, row, *_ = printed(TWO)
    assert header.split("\t")[4:9] == ["against", "difference", "difference_low", "difference_high", "p"]
    assert row.split("\t")[4:9] == ["0.25", "0.25", "0", "0.5", "0.125"]


def test_a_record(printed):
    (line,) = printed(TWO, as_json=True, counts={"c": 3}, tables={"table": []}, more={"last": 1})
    record = json.loads(line)
    keys = ["a", "b", "n", "c", "intervals", "table", "against", "differences", "last", "signature", "command"]
    assert list(record) == keys
    assert (record["n"], record["c"]) == (7, 3)
    assert record["intervals"] == {"a": [0.25, 0.75], "b": None, "c": None}
    assert record["differences"]["a"] == {"value": 0.25, "low": 0.0, "high": 0.5, "p": 0.125}


def test_a_bare_number_and_no_resamples_for_it(printed):
    assert printed(TWO, bare=True, as_json=True) == ["0.5"]
    assert ComparisonOptions(bare=True).sampling.resamples == 0
    assert ComparisonOptions().sampling == Sampling(0, 1000, 0.95)


def test_stdin_is_not_read_twice():
    options = EvaluationOptions(file="-", gold="-")
    run = Run("eval test", {}, Terminal())
    with pytest.raises(UsageError, match="stdin is wanted"), metrics.open_report(run, "x", options, options.inputs):
        pass
