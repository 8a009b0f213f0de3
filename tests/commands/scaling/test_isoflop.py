"""Tests of: `lmkit scaling isoflop`."""

import json

import pytest
from sweeps import EXPONENT, csv, sweep


def test_row_k2(lmkit, write):
    write("runs.csv", csv(sweep()).encode())
    *budgets, last = lmkit("scaling", "isoflop", "runs.csv", "--json").records
    assert [list(budget)[:4] for budget in budgets] == [["flops", "parameters", "tokens", "loss"]] * 7
    assert last["a"] == pytest.approx(EXPONENT, abs=1e-4)
    assert last["interval"]["a"][0] < EXPONENT < last["interval"]["a"][1]
    done = lmkit("scaling", "isoflop", "runs.csv")
    assert done.lines[8] == ""
    assert done.lines[10].startswith("a\t0.451613\t")


def test_other_forms(lmkit, write):
    text = csv(sweep())
    header, *lines = [line.split(",") for line in text.split()]
    records = [dict(zip(header, map(float, line), strict=True)) for line in lines]
    write("runs.jsonl", "".join(json.dumps({**record, "width": 7}) + "\n" for record in records).encode())
    assert lmkit("scaling", "isoflop", "runs.jsonl").stdout == lmkit("scaling", "isoflop", stdin=text.encode()).stdout


def changed(line, loss):
    lines = csv(sweep()).split("\n")
    lines[line - 1] = lines[line - 1].rpartition(",")[0] + loss
    return "\n".join(lines).encode()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "<stdin>: no runs"),
        (b"flops,parameters,tokens,loss\n", "<stdin>: no runs"),
        (b"flops,parameters,loss\n1,2,3\n", "<stdin>:2: no column 'tokens'; there is flops, parameters, loss"),
        (changed(5, ",nan"), "<stdin>:5: loss is nan, a run that diverged?"),
        (changed(5, ",inf"), "<stdin>:5: loss is inf"),
        (changed(5, ",-1"), "<stdin>:5: loss is -1"),
        (changed(5, ","), "<stdin>:5: loss '' is not a number"),
        (changed(5, ""), "<stdin>:5: 3 columns, and the header has 4"),
        (changed(5, ",9"), "<stdin>:5: loss 9 is far from the curve of its budget, about 3.54"),
        (b"\n".join(csv(sweep()).encode().split(b"\n")[:10]), "all runs are of one budget"),
        (b"\x00\xff", "<stdin>:1: not UTF-8"),
    ],
)  # fmt: skip
def test_bad_runs(data, message, fails):
    assert message in fails(3, "scaling", "isoflop", stdin=data).stderr


def test_runs_that_are_left_out(lmkit):
    done = lmkit("scaling", "isoflop", "--on-error", "skip", "--json", stdin=changed(5, ",nan"))
    assert "1 run skipped" in done.stderr
    assert done.records[-1]["a"] == pytest.approx(EXPONENT, abs=1e-3)
    done = lmkit("scaling", "isoflop", "--outliers", "drop", "--json", stdin=changed(5, ",9"))
    assert "<stdin>:5: loss 9 is far from the curve of its budget, about 3.543, dropped" in done.stderr
    assert done.records[-1]["a"] == pytest.approx(EXPONENT, abs=1e-3)


def test_a_warning_of_extrapolation(lmkit):
    done = lmkit("scaling", "isoflop", stdin=csv(sweep(shift=0.6)).encode())
    assert done.stderr.count("lies outside the swept sizes") == 7
    assert {line.split("\t")[-1] for line in done.lines[1:8]} == {"no"}
