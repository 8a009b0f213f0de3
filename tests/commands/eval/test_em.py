"""`lmkit eval em`."""

import json

import pytest

ANSWERS = b"The cat sat.\na dog\nred fish\n"
GOLD = b"cat sat\ncat\tThe dog!\nblue fish\n"


@pytest.fixture
def judged(lmkit):
    def judged(*words, stdin=b""):
        done = lmkit("eval", "em", "--json", *words, stdin=stdin)
        assert done.status == 0, done.stderr
        return done.records[0]

    return judged


def test_exact_match_and_f1(judged, write):
    record = judged("--gold", write("gold.tsv", GOLD), stdin=ANSWERS)
    assert list(record)[:3] == ["exact_match", "f1", "n"]
    assert (record["exact_match"], record["f1"], record["n"]) == (pytest.approx(2 / 3), pytest.approx(2.5 / 3), 3)
    assert record["signature"].startswith("eval:em|normal:squad|articles:a,an,the|bootstrap:")


def test_several_right_answers_of_records(judged, write):
    tsv = judged("--gold", write("gold.tsv", GOLD), stdin=ANSWERS)
    rows = [{"answers": line.split("\t")} for line in GOLD.decode().splitlines()]
    gold = write("gold.jsonl", "".join(json.dumps(row) + "\n" for row in rows).encode())
    assert judged("--gold", gold, stdin=ANSWERS) == tsv
    rows = [
        {"text": text, "gold": right["answers"]}
        for text, right in zip(ANSWERS.decode().splitlines(), rows, strict=True)
    ]
    assert judged(stdin="".join(json.dumps(row) + "\n" for row in rows).encode()) == tsv


def test_articles(judged, write):
    gold = write("gold.txt", b"gato\n")
    assert judged("--gold", gold, stdin=b"El gato\n")["exact_match"] == 0
    assert judged("--gold", gold, "--articles", "el,la", stdin=b"El gato\n")["exact_match"] == 1
    assert judged("--gold", gold, "--articles", "", stdin=b"a gato\n")["exact_match"] == 0


def test_a_second_system(judged, lmkit, write):
    first = write("first.txt", ANSWERS)
    gold = write("gold.tsv", GOLD)
    record = judged(first, "--gold", gold, "--against", write("second.txt", b"x\ny\nz\n"))
    assert record["against"] == {"exact_match": 0, "f1": 0}
    assert record["differences"]["f1"]["value"] == pytest.approx(2.5 / 3)
    table = lmkit("eval", "em", first, "--gold", gold, "--against", "second.txt").lines
    assert table[1].split("\t")[4:6] == ["0", "0.666667"]
    assert float(lmkit("eval", "em", "-b", first, "--gold", gold).text) == pytest.approx(2 / 3)


def test_one_item_is_no_evidence(judged, write):
    gold = write("gold.txt", b"a b\n")
    record = judged(write("one.txt", b"a b\n"), "--against", write("two.txt", b"x\n"), "--gold", gold)
    for name in ("exact_match", "f1"):
        assert record["differences"][name] == {"value": 1, "low": None, "high": None, "p": 1}


def test_bad_input(fails, write):
    gold = write("gold.txt", b"a\nb\n")
    assert "<stdin> has 1 item but gold.txt has 2" in fails(3, "eval", "em", "--gold", gold, stdin=b"a\n").stderr
    assert "no `gold`" in fails(3, "eval", "em", stdin=b'{"text": "a", "gold": []}\n').stderr
    assert "the field 'text' is not a text" in fails(3, "eval", "em", stdin=b'{"text": ["a", "b"]}\n').stderr
