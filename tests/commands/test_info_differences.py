"""Tests of: `lmkit info A B`."""


def test_what_differs(lmkit, shelf):
    done = lmkit("info", shelf["witten-bell-2.lm"], shelf["witten-bell-3.lm"])
    rows = {row["name"]: (row["first"], row["second"]) for row in done.rows}
    assert rows["order"] == rows["origin.settings.order"] == ("2", "3")
    assert rows["tensor.ngrams.3.key"][0] == "-"
    assert {"bytes", "digest", "ngrams"} <= set(rows)
    assert "kind" not in rows
    assert "origin.settings.smoothing" not in rows


def test_records(lmkit, shelf):
    records = lmkit("info", "--json", shelf["witten-bell-2.lm"], shelf["transformer.lm"]).records
    assert records[0] == {"name": "kind", "first": "ngram", "second": "transformer"}
    assert all(list(record) == ["name", "first", "second"] for record in records)


def test_equal_models(lmkit, shelf):
    done = lmkit("info", shelf["juan.lm"], shelf["juan.lm"])
    assert done.lines[1:] in ([], [""])
    assert lmkit("info", "--json", shelf["juan.lm"], shelf["juan.lm"]).stdout == b""


def test_wrong_usage(fails, shelf):
    assert "stdin" in fails(2, "info", "-", "-").stderr
    fails(2, "info", "--verify", shelf["juan.lm"], shelf["juan.lm"])
    fails(3, "info", shelf["juan.lm"], "nowhere.lm")
