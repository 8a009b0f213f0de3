"""`lmkit eval regress`."""

import json

import pytest
from scipy import stats

GOLD = [0, 1.5, 2, 2, 5, 4.25]
PREDICTED = [0.5, 1, 2, 3, 4, 4]


def lines(numbers):
    return "".join(f"{number}\n" for number in numbers).encode()


@pytest.fixture
def gold(write):
    return write("gold.txt", lines(GOLD))


@pytest.fixture
def judged(lmkit):
    def judged(*words, stdin=b"", told=""):
        done = lmkit("eval", "regress", "--json", *words, stdin=stdin)
        assert done.status == 0, done.stderr
        assert told in done.stderr
        return done.records[0]

    return judged


def test_a_record(judged, gold):
    record = judged("--gold", gold, stdin=lines(PREDICTED))
    assert list(record)[:5] == ["pearson", "spearman", "mse", "mae", "n"]
    assert record["pearson"] == pytest.approx(stats.pearsonr(GOLD, PREDICTED).statistic, abs=1e-12)
    assert record["spearman"] == pytest.approx(stats.spearmanr(GOLD, PREDICTED).statistic, abs=1e-12)
    assert (record["mse"], record["mae"]) == (pytest.approx(2.5625 / 6), pytest.approx(3.25 / 6))
    for name, (low, high) in record["intervals"].items():
        assert low < record[name] <= high


def test_numbers_of_records(judged, gold):
    rows = [{"id": n, "prediction": p, "gold": g} for n, (p, g) in enumerate(zip(PREDICTED, GOLD, strict=True))]
    data = "".join(json.dumps(row) + "\n" for row in rows).encode()
    assert judged(stdin=data) == judged("--gold", gold, stdin=lines(PREDICTED))


def test_what_does_not_vary_is_undefined(judged, lmkit, gold):
    told = "pearson, spearman: undefined, because the predictions or the gold values are constant"
    record = judged("--gold", gold, stdin=lines([2] * 6), told=told)
    assert record["pearson"] is record["spearman"] is record["intervals"]["pearson"] is None
    assert record["mae"] == pytest.approx(1.2916666666666667)
    table = lmkit("eval", "regress", "--gold", gold, stdin=lines([2] * 6)).lines
    assert table[1].split("\t")[:4] == ["pearson", "", "", ""]
    bare = lmkit("eval", "regress", "-b", "--gold", gold, stdin=lines([2] * 6))
    assert (bare.status, bare.text) == (1, "")
    assert bare.stderr == "lmkit eval regress: pearson is undefined: the predictions or the gold values are constant\n"


def test_a_second_system(judged, lmkit, gold, write):
    record = judged(write("a.txt", lines(GOLD)), "--against", write("b.txt", lines(PREDICTED)), "--gold", gold)
    assert record["pearson"] == pytest.approx(1)
    assert record["against"]["mae"] == pytest.approx(3.25 / 6)
    assert record["differences"]["mae"]["value"] == pytest.approx(-3.25 / 6)
    assert record["differences"]["mae"]["high"] < 0
    flat = judged("a.txt", "--against", write("c.txt", lines([1] * 6)), "--gold", gold)
    assert flat["differences"]["pearson"] is None
    header = lmkit("eval", "regress", "a.txt", "--against", "b.txt", "--gold", gold).lines[0].split("\t")
    assert header[:5] == ["metric", "value", "low", "high", "against"]


def test_the_bare_number_is_pearson(lmkit, gold):
    done = lmkit("eval", "regress", "-b", "--gold", gold, stdin=lines(PREDICTED))
    assert float(done.text) == pytest.approx(stats.pearsonr(GOLD, PREDICTED).statistic)


@pytest.mark.parametrize("text", ["x", "", "nan", "inf", "1_0", "1,5", "9" * 400])
def test_what_is_no_number(text, fails, gold):
    data = lines(PREDICTED[:2]) + text.encode() + b"\n" + lines(PREDICTED[3:])
    done = fails(3, "eval", "regress", "--gold", gold, stdin=data)
    assert "<stdin>:3: " in done.stderr
    assert "is not a finite number" in done.stderr
    assert len(done.stderr) < 200
    assert f"'{text[:40]}" in done.stderr
    assert "', is" not in done.stderr


def test_what_is_right_and_no_number_is_found_in_its_file(fails, write):
    gold = write("gold.txt", b"1\nb\n")
    told = fails(3, "eval", "regress", "--gold", gold, stdin=b"1\n2\n").stderr
    assert "gold.txt:2: gold value 'b' is not a finite number" in told
