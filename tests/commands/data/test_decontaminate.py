"""`lmkit data decontaminate`."""

import json
import random

import pytest

TEST = [" ".join(f"w{item}x{at}" for at in range(30)) for item in range(20)]
"""Items of thirty words that occur nowhere else."""


def jsonl(*records):
    return "".join(json.dumps(record) + "\n" for record in records).encode()


@pytest.fixture
def planted(write):
    """Row K7: a corpus with copies, variants and quotes of 13 words of items, and quotes of 12 words."""
    draw = random.Random(1)
    records = [{"id": f"c{n}", "text": " ".join(f"v{draw.randrange(500)}" for _ in range(60))} for n in range(300)]
    right = {}
    for item in range(20):
        words = TEST[item].split()
        plants = [
            TEST[item], TEST[item].upper().replace(" ", ", "), "before " + " ".join(words[4:17]) + " after",
            "before " + " ".join(words[4:16]) + " after",
        ]  # fmt: skip
        for kind, text in enumerate(plants):
            records.append({"id": f"p{item}-{kind}", "text": f"carrier sentence {text} end"})
            if kind < 3:
                right[f"p{item}-{kind}"] = item
    draw.shuffle(records)
    write("train.jsonl", jsonl(*records))
    write("test.jsonl", jsonl(*({"id": item, "text": text} for item, text in enumerate(TEST))))
    return records, right


def test_plants_are_found_and_nothing_else(planted, lmkit, work):
    records, right = planted
    command = ["data", "decontaminate", "--against", "test.jsonl", "--report", "r.jsonl", "train.jsonl"]
    done = lmkit(*command)
    assert [record["id"] for record in done.records] == [
        record["id"] for record in records if record["id"] not in right
    ]
    assert done.stderr == "lmkit: 380 records: 320 kept, 60 dropped\n"
    rows = [json.loads(line) for line in (work / "r.jsonl").read_text().splitlines()]
    assert {row["id"]: row["test_id"] for row in rows} == right
    texts = {record["id"]: record["text"] for record in records}
    for row in rows:
        (span,) = row["spans"]
        (item_span,) = row["test_spans"]
        found = texts[row["id"]][slice(*span)].lower().replace(",", "")
        assert found == TEST[row["test_id"]][slice(*item_span)]
        assert row["overlap"] == len(found.split()) / 30
    assert lmkit(*command).stdout == done.stdout


def test_a_threshold_is_a_share_of_the_item(planted, lmkit):
    records, _ = planted
    done = lmkit("data", "decontaminate", "--against", "test.jsonl", "--threshold", "0.5", "train.jsonl")
    assert len(done.records) == len(records) - 40
    twelve = lmkit("data", "decontaminate", "--against", "test.jsonl", "--n", "12", "train.jsonl")
    assert len(twelve.records) == 300


def test_the_test_set_may_be_cleaned(planted, lmkit, write):
    command = ["data", "decontaminate", "--clean", "test", "--against", "test.jsonl"]
    assert lmkit(*command, "train.jsonl").stdout == b""
    part = " ".join(TEST[3].split()[:13]) + "\n" + " ".join(TEST[3].split()[17:]) + "\n"
    some = write("some.txt", part.encode())
    assert [record["id"] for record in lmkit(*command, some).records] == [n for n in range(20) if n != 3]
    done = lmkit(*command, "--threshold", "0.9", some)
    assert len(done.records) == 20, "13 and 13 of 30 words"


def test_short_items_are_looked_for_where_asked(lmkit, write):
    write("test.txt", b"Twelve words are no n-gram of 13.\nno\n")
    train = b"well: TWELVE words are no N gram of 13!\nno\n"
    done = lmkit("data", "decontaminate", "--against", "test.txt", stdin=train)
    assert done.stdout == train
    assert "2 of 2 items are shorter than 13 words, not looked for" in done.stderr
    done = lmkit("data", "decontaminate", "--against", "test.txt", "--min-words", "5", stdin=train)
    assert done.text == "no\n"


@pytest.mark.parametrize(
    ("status", "arguments", "said"),
    [(2, [], "no test items"), (3, ["--against", "empty.txt"], "empty.txt: no test items"),
     (3, ["--against", "none.txt"], "none.txt: No such file"), (2, ["--against", "empty.txt", "--n", "0"], "--n"),
     (3, ["--against", "a.jsonl", "--against-field", "q"], "a.jsonl:1: no field 'q'"),
     (2, ["--against", "empty.txt", "--clean", "both"], "not one of train, test")],
)  # fmt: skip
def test_careless_input(status, arguments, said, fails, write):
    write("empty.txt", b"")
    write("a.jsonl", b'{"text": "a"}\n')
    assert said in fails(status, "data", "decontaminate", *arguments, stdin=b"a\n").stderr
