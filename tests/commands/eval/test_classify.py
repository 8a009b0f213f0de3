"""`lmkit eval classify`."""

import json

import pytest
from sklearn import metrics as learned

GOLD = ["pos", "neg", "pos", "neu", "neg", "pos"]
PREDICTED = ["pos", "neg", "neg", "pos", "neg", "pos"]


def lines(labels):
    return "".join(f"{label}\n" for label in labels).encode()


def records(labels, **more):
    """Records as `prompt answer` writes them."""
    rows = [{"id": number, "answer": "x", "label": label} for number, label in enumerate(labels, 1)]
    for key, values in more.items():
        rows = [{**row, key: value} for row, value in zip(rows, values, strict=True)]
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


@pytest.fixture
def gold(write):
    return write("gold.txt", lines(GOLD))


@pytest.fixture
def judged(lmkit):
    """The record that --json prints."""

    def judged(*words, stdin=b"", told=""):
        done = lmkit("eval", "classify", "--json", *words, stdin=stdin)
        assert done.status == 0, done.stderr
        assert told in done.stderr
        return done.records[0]

    return judged


def test_a_record_begins_with_its_stable_keys(judged, gold):
    record = judged("--gold", gold, stdin=lines(PREDICTED), told="undefined, counted as 0: the precision of 'neu'")
    assert list(record)[:5] == ["accuracy", "macro_f1", "micro_f1", "matthews", "n"]
    expected = [
        learned.accuracy_score(GOLD, PREDICTED),
        learned.f1_score(GOLD, PREDICTED, average="macro"),
        learned.f1_score(GOLD, PREDICTED, average="micro"),
        learned.matthews_corrcoef(GOLD, PREDICTED),
        6,
    ]
    assert list(record.values())[:5] == pytest.approx(expected, abs=1e-12)
    assert [one["support"] for one in record["classes"]] == [2, 1, 3]
    for low, high in record["intervals"].values():
        assert -1 <= low < high <= 1
    assert "|resamples:1000|level:0.95|seed:0|" in record["signature"]


def test_predictions_may_come_any_way(judged, gold, write):
    plain = judged("--gold", gold, stdin=lines(PREDICTED))
    assert plain == judged("--gold", gold, write("p.txt", lines(PREDICTED)))
    assert plain == judged(stdin=records(PREDICTED, gold=GOLD))
    assert plain == judged("--gold", gold, stdin=records(PREDICTED, gold=["wrong"] * 6))
    assert plain == judged("--gold", "-", write("p.jsonl", records(PREDICTED)), stdin=lines(GOLD))
    assert plain == judged(
        "--gold", write("g.tsv", b"".join(b"x\t%s" % x for x in lines(GOLD).splitlines(True))), "p.txt"
    )
    assert plain == judged("--gold", write("g.jsonl", records(GOLD)), "p.txt")
    assert plain == judged(
        "--gold", "g.jsonl", "--field", "said", stdin=records(PREDICTED).replace(b'"label"', b'"said"')
    )
    header = b"text\tlabel\tnote\n" + b"".join(b"x\t%s\ty\n" % x.encode() for x in GOLD)
    assert plain == judged("--gold", write("h.tsv", header), "--gold-field", "label", "p.txt")
    assert plain == judged("--gold", write("h.txt", header.partition(b"\n")[2]), "--gold-field", "2", "p.txt")


def test_ids_decide_what_belongs_together(judged, write):
    straight = judged("--gold", write("g.jsonl", records(GOLD)), stdin=records(PREDICTED))
    turned = b"\n".join(records(PREDICTED).splitlines()[::-1])
    assert judged("--gold", "g.jsonl", stdin=turned) == straight
    assert judged("--gold", write("g.txt", lines(GOLD)), stdin=turned) != straight


def test_what_does_not_belong_together(fails, gold, write):
    def said(*words, stdin):
        return fails(3, "eval", "classify", *words, stdin=stdin).stderr

    assert "<stdin> has 2 items but gold.txt has 6" in said("--gold", gold, stdin=b"a\nb\n")
    named = write("g.jsonl", records(GOLD))
    told = said("--gold", named, stdin=records(PREDICTED[:4]))
    assert "<stdin> lacks 2 of the 6 items of g.jsonl: id '5', '6'" in told
    told = said("--gold", named, stdin=records(PREDICTED).replace(b'"id": 6', b'"id": "x"'))
    assert "g.jsonl lacks 1 of the 6 items of <stdin>: id 'x'" in told
    told = said("--gold", named, stdin=records(PREDICTED).replace(b'"id": 6', b'"id": 1.0'))
    assert "<stdin>:6: the id '1' repeats that of <stdin>:1" in told
    assert "<stdin>:1: no `gold`" in said(stdin=records(PREDICTED))
    assert "<stdin>:1: no `gold`" in said(stdin=b"pos\n")


def test_ids_that_some_records_lack(fails, write):
    named, some = records(PREDICTED), records(PREDICTED).replace(b'"id": 3, ', b"")
    for gold, stdin, place in [(some, named, "g.jsonl:3"), (named, some, "<stdin>:3")]:
        told = fails(3, "eval", "classify", "--gold", write("g.jsonl", gold), stdin=stdin).stderr
        assert f"{place}: no `id`, though 5 of 6 records have one" in told


def test_what_looks_like_a_header(judged, write):
    told = "lmkit: <stdin>:1: 'label' looks like a header, read as an item; hint: --field label selects that column"
    data = b"text\tlabel\nx\tpos\ny\tneg\n"
    judged("--gold", write("g.txt", b"a\npos\nneg\n"), stdin=data, told=told)
    record = judged("--field", "label", "--gold", write("g.txt", b"pos\nneg\n"), stdin=data)
    assert (record["accuracy"], record["n"]) == (1, 2)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"{", "not JSON"),
        (b"pos", "not JSON"),
        (b"{}", "no field 'label' or 'prediction' or 'answer'"),
        (b'{"id": 1}', "hint: --field NAME; the record has 'id'"),
        (b'{"label": null}', "the field 'label' is not a text"),
        (b'{"label": ["a", "b"]}', "the field 'label' is not a text"),
        (b'{"label": {"a": 1}}', "the field 'label' is not a text"),
        (b'{"label": "a", "gold": [[]]}', "no `gold`"),
        (b"\xff", "not UTF-8"),
    ],
)
def test_bad_records(line, message, fails):
    done = fails(3, "eval", "classify", stdin=b'{"label": "a", "gold": "a"}\n\n' + line + b"\n")
    assert "<stdin>:3: " in done.stderr
    assert message in done.stderr


def test_labels_of_all_kinds(judged, write):
    """0, the empty label, one a prefix of another, numbers and truth values of JSON, white space around."""
    gold = write("gold.txt", lines(["0", "", "a", "ab", "1.5", "true"]))
    predicted = [0, "", " a", "ab ", 1.5, True]
    assert judged("--gold", gold, stdin=records(predicted))["accuracy"] == 1
    assert judged("--gold", gold, stdin=records(["\ud800"] * 6))["accuracy"] == 0


def test_tables(lmkit, gold):
    done = lmkit("eval", "classify", "--gold", gold, stdin=lines(PREDICTED))
    header, *rows = (line.split("\t") for line in done.text.splitlines())
    assert header == ["metric", "value", "low", "high", "signature"]
    assert [row[0] for row in rows] == ["accuracy", "macro_f1", "micro_f1", "matthews"]
    assert rows[0][1] == "0.666667"
    done = lmkit("eval", "classify", "--gold", gold, "--confusion", stdin=lines(PREDICTED))
    assert done.text == "gold\tneg\tneu\tpos\nneg\t2\t0\t0\nneu\t0\t0\t1\npos\t1\t0\t2\n"
    done = lmkit("eval", "classify", "--gold", gold, "--classes", stdin=lines(PREDICTED))
    assert done.lines[1] == "neg\t0.666667\t1\t0.8\t2"
    assert lmkit("eval", "classify", "--gold", gold, "-b", stdin=lines(PREDICTED)).text == f"{4 / 6!r}\n"


def test_tables_on_a_terminal(lmkit, gold, monkeypatch):
    monkeypatch.setattr("lmkit.io.outputs.is_terminal", lambda stream: True)
    done = lmkit("eval", "classify", "--gold", gold, "--confusion", stdin=lines(PREDICTED))
    assert done.lines == ["gold  neg  neu  pos", "neg     2    0    0", "neu     0    0    1", "pos     1    0    2"]
    done = lmkit("eval", "classify", "--gold", gold, "--resamples", "0", stdin=lines(PREDICTED))
    assert done.lines[1].split() == ["accuracy", "0.666667", "-", "-"]
    assert done.lines[-1].startswith("signature: eval:classify|labels:3|version:")


def test_confusions_as_json(judged, gold):
    record = judged("--confusion", "--gold", gold, stdin=lines(PREDICTED))
    assert record["confusion"] == {"labels": ["neg", "neu", "pos"], "table": [[2, 0, 0], [0, 0, 1], [1, 0, 2]]}


def test_one_label_that_is_asked_about(judged, gold):
    record = judged("--positive", "pos", "--gold", gold, stdin=lines(PREDICTED))
    assert [record[key] for key in ("precision", "recall", "f1")] == pytest.approx([2 / 3] * 3)
    told = "undefined, counted as 0: the F1 of 'maybe', which is neither"
    assert judged("--positive", "maybe", "--gold", gold, stdin=lines(PREDICTED), told=told)["f1"] == 0


def test_undefined_is_zero_with_a_warning(judged):
    data = b'{"label": "a", "gold": "a"}\n' * 3
    told = "undefined, counted as 0: Matthews' correlation, since every gold label is the same"
    record = judged(stdin=data, told=told)
    assert (record["matthews"], record["accuracy"]) == (0, 1)


def test_a_second_system(judged, lmkit, gold, write):
    first, second = write("a.txt", lines(GOLD * 30)), write("b.txt", lines(PREDICTED * 30))
    truth = write("g.txt", lines(GOLD * 30))
    record = judged(first, "--against", second, "--gold", truth)
    assert record["against"]["accuracy"] == pytest.approx(4 / 6)
    difference = record["differences"]["accuracy"]
    assert difference["value"] == pytest.approx(1 / 3)
    assert 0.2 < difference["low"] < 1 / 3 < difference["high"] < 0.5
    assert difference["p"] == 1 / 1001
    assert record["sign_test"] == {"only_first": 60, "only_second": 0, "p": 2 / 2**60}
    assert record["intervals"] == judged(first, "--gold", truth)["intervals"]
    turned = judged(second, "--against", first, "--gold", truth)
    assert turned["differences"]["accuracy"]["value"] == pytest.approx(-1 / 3)
    same = judged(first, "--against", first, "--gold", truth)
    assert same["differences"]["matthews"] == {"value": 0, "low": None, "high": None, "p": 1}
    header = lmkit("eval", "classify", first, "--against", second, "--gold", truth).lines[0]
    assert header.split("\t")[4:9] == ["against", "difference", "difference_low", "difference_high", "p"]


def test_a_second_system_of_other_items(fails, gold, write):
    done = fails(3, "eval", "classify", "--gold", gold, "--against", write("b.txt", b"a\n"), stdin=lines(PREDICTED))
    assert "<stdin> has 6 items but b.txt has 1" in done.stderr


def test_the_seed_decides(judged, gold):
    def drawn(*words):
        return judged("--gold", gold, "--resamples", "50", *words, stdin=lines(PREDICTED))["intervals"]

    assert drawn() == drawn("--seed", "0")
    assert drawn() != drawn("--seed", "1")
    assert drawn("--level", "0.5")["accuracy"][0] > drawn()["accuracy"][0]
    none = judged("--gold", gold, "--resamples", "0", stdin=lines(PREDICTED))
    assert none["intervals"]["accuracy"] is None


def test_few_items_are_not_significant(judged, write):
    """All of 3 right against none: the sign test says 1/4, and no measure may say less."""
    truth, wrong = write("g.txt", b"a\nb\na\n"), write("b.txt", b"b\na\nb\n")
    record = judged(truth, "--against", wrong, "--gold", truth)
    assert record["sign_test"]["p"] == 0.25
    assert record["differences"]["accuracy"] == {"value": 1, "low": None, "high": None, "p": 0.25}
    assert all(one["p"] >= 0.25 for one in record["differences"].values())
    assert record["intervals"]["accuracy"] is None


def test_resamples_where_a_measure_is_undefined_are_left_out(judged, write):
    """Of 2 items resamples have one gold label or both; only of both is there a correlation, which is 1."""
    truth = write("g.txt", b"a\nb\na\n")
    record = judged("--gold", truth, "--positive", "b", stdin=b"a\nb\nb\n")
    low, high = record["intervals"]["matthews"]
    assert (low, high) == (0.5, 1)
    assert record["intervals"]["recall"] is None
    assert judged("--gold", truth, stdin=b"a\nb\na\n")["intervals"]["matthews"] is None


def test_usage(fails, gold):
    def said(*words):
        return fails(2, "eval", "classify", *words, stdin=b"a\n").stderr

    assert "stdin is wanted for two things" in said("--gold", "-")
    assert "--bare cannot be combined" in said("-b", "--confusion", "--gold", gold)
    assert "--confusion and --classes exclude each other" in said("--classes", "--confusion", "--gold", gold)
    assert "gold.txt is an input" in said("--gold", gold, "-o", gold)
    assert "--gold-field 0: columns are numbered from 1" in said("--gold", gold, "--gold-field", "0")
    assert "no column 'x'" in fails(3, "eval", "classify", "--gold", gold, "--gold-field", "x", stdin=b"a\n").stderr
    assert "1 columns, but --gold-field names number 2" in (
        fails(3, "eval", "classify", "--gold", gold, "--gold-field", "2", stdin=b"a\n").stderr
    )
    assert "no items: the input is empty" in fails(3, "eval", "classify", "--gold", gold).stderr
    assert "missing.txt" in fails(3, "eval", "classify", "--gold", "missing.txt", stdin=b"a\n").stderr


def test_a_pipeline_of_prompts(shell, write):
    """`few-shot | answer | classify`, with a model that knows what follows what."""
    write("shots.tsv", b"good\tpos\nbad\tneg\nfine\tpos\nawful\tneg\n")
    write("inputs.txt", b"great\npoor\n")
    write("gold.txt", b"pos\nneg\n")
    write("train.txt", b"great => pos\npoor => neg\npoor => neg\n" * 5)
    done = shell("""
    set -e -o pipefail
    lmkit ngram fit --order 3 --smoothing wb train.txt -o model.lm
    lmkit prompt few-shot -k 4 shots.tsv < inputs.txt | lmkit prompt answer -m model.lm --labels pos,neg > answers.jsonl
    lmkit eval classify --gold gold.txt -b < answers.jsonl
    """)
    assert done.status == 0, done.stderr
    assert float(done.stdout) == 1


def test_calibration_of_scores(judged, lmkit):
    rows = [{"label": "a", "gold": gold, "scores": {"a": 0.8, "b": 0.2}} for gold in "aab"]
    stdin = "".join(json.dumps(row) + "\n" for row in rows).encode()
    record = judged("--calibration", stdin=stdin, told="undefined")
    assert record["ece"] == pytest.approx(0.8 - 2 / 3)
    assert record["brier"] == pytest.approx((2 * 0.08 + 1.28) / 3)
    assert [one["items"] for one in record["reliability"]] == [3]
    done = lmkit("eval", "classify", "--calibration", stdin=records(PREDICTED, gold=GOLD))
    assert (done.status, "<stdin>:1: no `scores` of probabilities" in done.stderr) == (3, True)


def test_reliability_and_confusion_are_drawn(lmkit):
    rows = [{"label": "a", "gold": gold, "scores": {"a": 0.8, "b": 0.2}} for gold in "aab"]
    stdin = "".join(json.dumps(row) + "\n" for row in rows).encode()
    for options, title in (((), "gold"), (("--calibration",), "confidence")):
        done = lmkit("eval", "classify", *options, "--plot", "figure.svg", stdin=stdin)
        assert done.status == 0, done.stderr
        with open("figure.svg", encoding="utf-8") as file:
            assert title in file.read().lower()
