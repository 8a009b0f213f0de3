"""`lmkit data filter`."""

import json

import pytest


def jsonl(*records):
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records).encode()


RECORDS = jsonl(
    {"text": "El gato de la casa duerme todo el día.", "score": 5, "id": 1},
    {"text": "The cat of the house sleeps all day.", "score": "2", "id": 2},
    {"text": "Write to me@example.com about the cat and the dog.", "score": 9, "id": 3},
)


def kept(done):
    assert done.status == 0, done.stderr
    return [record["id"] for record in done.records]


@pytest.mark.parametrize(
    ("arguments", "ids"),
    [(["--language", "es"], [1]), (["--language", "en,other"], [2, 3]), (["--min-score", "score:5"], [1, 3]),
     (["--min-score", "score:5", "--min-score", "id:2"], [3]), (["--match", "(?i)cat"], [2, 3]),
     (["--exclude", "@", "--match", "a"], [1, 2]),
     (["--rules", "gopher-words", "--threshold", "gopher-words=9:"], [1, 3]), (["--rules", "gopher"], []),
     (["--rules", "gopher-words,-gopher-words,c4-lorem-ipsum"], [1, 2, 3])],
)  # fmt: skip
def test_what_is_kept(arguments, ids, lmkit, write, work):
    done = lmkit("data", "filter", *arguments, "--report", "r", write("a.jsonl", RECORDS))
    assert kept(done) == ids
    assert f"3 records: {len(ids)} kept, {3 - len(ids)} dropped" in done.stderr
    rows = [json.loads(line) for line in (work / "r").read_text().splitlines()]
    assert sum(row["dropped"] for row in rows) == 3 - len(ids)


def test_texts_are_edited_and_everything_else_stays(lmkit, write):
    done = lmkit("data", "filter", "--rules", "pii", write("a.jsonl", RECORDS))
    assert done.records[2] == {"text": "Write to [EMAIL] about the cat and the dog.", "score": 9, "id": 3}
    assert done.stdout.splitlines()[:2] == RECORDS.splitlines()[:2]
    assert lmkit("data", "filter", "--rules", "pii", stdin=b"a@b.org\n\nx\n").text == "[EMAIL]\nx\n"


def test_reasons_are_explained(lmkit, write):
    command = ["data", "filter", "--rules", "gopher-words", "--threshold", "gopher-words=9:10"]
    done = lmkit(*command, "--explain", write("a.jsonl", RECORDS))
    assert [(record["id"], record["dropped_by"], record.get("value")) for record in done.records] == [
        (1, None, None), (2, "gopher-words", 8), (3, None, None),
    ]  # fmt: skip


def test_records_between_percentiles_of_perplexity(lmkit, shelf, write):
    model = shelf["witten-bell-2.lm"]
    texts = ["the cat sat on the mat", "the dog sat on the log", "zzz qqq", "cat the on mat", "the tree of the log"]
    data = write("a.jsonl", jsonl(*({"text": text, "id": at} for at, text in enumerate(texts))))
    scores = [float(lmkit("ppl", "-b", "-m", model, stdin=text.encode()).text) for text in texts]
    ranked = sorted(range(5), key=scores.__getitem__)
    for keep, expected in (("0-40", ranked[:2]), ("40-100", ranked[2:]), ("20-60", ranked[1:3]), ("0-100", ranked)):
        assert kept(lmkit("data", "filter", "--ppl", "-m", model, "--keep", keep, data)) == sorted(expected)
    done = lmkit("data", "filter", "--ppl", "-m", model, "--keep", "0-40", "--explain", data)
    assert {record["id"]: record.get("value") for record in done.records}[ranked[4]] == pytest.approx(scores[ranked[4]])


def test_pairs_of_absurd_lengths(lmkit):
    pairs = b"a b\tc\nx y\tx  y\n\tz\na b c d e f\tq\n"
    done = lmkit("data", "filter", "--pairs", "--max-ratio", "3", stdin=pairs)
    assert done.text == "a b\tc\n"
    for rule in ("pair-copy", "pair-empty", "pair-ratio"):
        assert f"  {rule}: 1 dropped" in done.stderr
    done = lmkit("data", "filter", "--pairs", "--max-words", "1", "--explain", stdin=pairs + b"z\ty\n")
    assert [(record["dropped_by"], record.get("value")) for record in done.records] == [
        ("pair-long", 2.0), ("pair-copy", 1.0), ("pair-empty", 0.0), ("pair-long", 6.0), (None, None),
    ]  # fmt: skip
    assert done.records[-1] == {"source": "z", "target": "y", "dropped_by": None}
    record = b'{"id": 1, "source": "a", "target": "a"}\n'
    done = lmkit("data", "filter", "--pairs", "--explain", "--input", "jsonl", stdin=record)
    assert done.records == [{"id": 1, "source": "a", "target": "a", "dropped_by": "pair-copy", "value": 1.0}]


@pytest.mark.slow
def test_an_expression_that_takes_for_ever_is_stopped(process, write):
    data = write("a.txt", b"b\n" + b"a" * 40 + b"!\n")
    done = process("data", "filter", "--match", "(a+)+$", data)
    assert done.status == 3
    assert "a.txt:2: --match or --exclude: not done within" in done.stderr


def test_the_list_of_rules(lmkit):
    rows = {row["rule"]: row for row in lmkit("data", "filter", "--list").rows}
    assert (rows["gopher-words"]["low"], rows["gopher-words"]["high"]) == ("50", "100000")
    assert {"c4-lines", "pii-card", "fineweb-short-lines"} <= set(rows)


@pytest.mark.parametrize(
    ("status", "arguments", "said"),
    [(2, [], "nothing to filter by"), (2, ["--rules", "goper"], "'goper' is no rule"),
     (2, ["--language", "xx"], "not a list"),
     (2, ["--min-score", "score"], "not NAME:X"), (2, ["--match", "("], "'(' is not a regular expression"),
     (2, ["--ppl"], "belong together"), (2, ["--ppl", "-m", "x", "--keep", "70-30"], "not two percentiles"),
     (2, ["--rules", "c4", "--threshold", "c4-sentences=x"], "not RULE=LOW:HIGH"),
     (2, ["--rules", "c4", "--threshold", "gopher-words=1:"], "not a rule in use"),
     (2, ["--min-score", "s:1"], "plain text, which has no fields"),
     (2, ["--pairs", "--rules", "c4"], "cannot be combined"),
     (3, ["--input", "jsonl", "--min-score", "s:1"], "the field 's' is not a number")],
)  # fmt: skip
def test_careless_input(status, arguments, said, fails):
    assert said in fails(status, "data", "filter", *arguments, stdin=b'{"text": "a", "s": "x"}\n').stderr
