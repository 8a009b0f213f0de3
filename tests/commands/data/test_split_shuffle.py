"""`lmkit data split` and `lmkit data shuffle`."""

import json

import pytest

from lmkit.io import size_limits

CORPUS = "".join(f"line {number % 700}\n" for number in range(1000)).encode()


def jsonl(*records):
    return "".join(json.dumps(record) + "\n" for record in records).encode()


def test_shares_hold_all_records_and_duplicates_stay_together(lmkit, write, work):
    data = write("c.txt", CORPUS)
    done = lmkit("data", "split", "--shares", "a=.6,b=.4", data, "-o", "parts")
    assert done.status == 0, done.stderr
    a, b = (set((work / "parts" / name).read_bytes().splitlines()) for name in ("a.txt", "b.txt"))
    assert not a & b
    assert a | b == set(CORPUS.splitlines())
    rows = {row["share"]: int(row["records"]) for row in done.rows}
    assert sum(rows.values()) == 1000
    assert abs(rows["a"] - 600) < 4 * (1000 * 0.6 * 0.4 * 1.5) ** 0.5  # 300 of the lines are there twice
    only = lmkit("data", "split", "--shares", "a=.6,b=.4", "--only", "b", stdin=CORPUS)
    assert only.stdout == (work / "parts" / "b.txt").read_bytes()
    other = lmkit("data", "split", "--shares", "a=.6,b=.4", "--only", "b", "--seed", 1, stdin=CORPUS)
    assert other.stdout != only.stdout


def test_variants_of_a_text_stay_together_where_asked(lmkit):
    texts = "".join(f"{n} STRASSE  {n}\n{n} straße {n}\n" for n in range(50)).encode()
    done = lmkit("data", "split", "--shares", "a=1,b=1", "--only", "a", "--normalize", stdin=texts)
    assert len(done.lines) % 2 == 0
    assert len({line.split()[0] for line in done.lines}) == len(done.lines) / 2
    assert "sum to 2, renormalised" in done.stderr


def test_strata_have_the_proportions_and_groups_are_not_separated(lmkit, write, work):
    records = [{"g": n // 2, "s": "x" if n < 300 else "y", "n": n} for n in range(1000)]
    data = write("c.jsonl", jsonl(*records))
    command = ["data", "split", "--shares", "a=.7,b=.3", "--group", "g", "--stratify", "s"]
    assert lmkit(*command, data, "-o", "parts").status == 0
    a = [json.loads(line) for line in (work / "parts" / "a.jsonl").read_text().splitlines()]
    assert sum(record["s"] == "x" for record in a) == 210
    assert sum(record["s"] == "y" for record in a) == 490
    b = {json.loads(line)["g"] for line in (work / "parts" / "b.jsonl").read_text().splitlines()}
    assert not b & {record["g"] for record in a}
    lmkit(*command, write("r.jsonl", jsonl(*records[::-1])), "-o", "again")
    again = (work / "again" / "a.jsonl").read_bytes().splitlines()
    assert sorted(again) == sorted((work / "parts" / "a.jsonl").read_bytes().splitlines())


def test_a_shuffle_is_the_same_in_any_memory(lmkit, write):
    data = write("c.txt", b"".join(b"%d \xc3\xa9\n" % number for number in range(5000)))
    whole = lmkit("data", "shuffle", data)
    assert sorted(whole.lines) == sorted(data.read_text().splitlines()) != whole.lines
    for memory in ("1", "20k", "200k"):
        assert lmkit("data", "shuffle", "--memory", memory, data).stdout == whole.stdout
    assert lmkit("data", "shuffle", "--seed", 1, data).stdout != whole.stdout
    places = [int(line.split()[0]) for line in whole.lines]
    assert abs(sum(place * at for at, place in enumerate(places)) / sum(n * n for n in places) - 0.75) < 0.02


def test_records_are_shuffled_as_they_came(lmkit, write):
    write("a.jsonl", b'{"b":1, "a":2}\n\n{"x": 1.50}\n')
    write("b.csv", b'x,y\n"1\n2",3\n')
    done = lmkit("data", "shuffle", "a.jsonl", "b.csv")
    assert sorted(done.lines) == ['{"b":1, "a":2}', '{"x": "1\\n2", "y": "3"}'.replace("{", "{"), '{"x": 1.50}']
    tsv = lmkit("data", "shuffle", "--input", "tsv", "--field", "b", stdin=b"a\tb\n1\t2\n3\t4\n")
    assert tsv.lines[0] == "a\tb"
    assert sorted(tsv.lines[1:]) == ["1\t2", "3\t4"]


@pytest.mark.few(4)
@pytest.mark.parametrize(
    ("status", "arguments", "said"),
    [(2, ["split"], "name one place"), (2, ["split", "--shares", "a=-1", "-o", "p"], "not a number from 0 on"),
     (2, ["split", "--shares", "a=0,b=0", "-o", "p"], "all weights are zero"),
     (2, ["split", "--shares", "a=x", "-o", "p"], "no number behind"),
     (2, ["split", "--shares", "a", "-o", "p"], "NAME=NUMBER"),
     (2, ["split", "--shares", "../a=1", "-o", "p"], "not a file name"), (2, ["split", "--only", "x"], "not one of"),
     (2, ["split", "--group", "g", "-o", "p"], "plain text, which has no fields"),
     (3, ["split", "--field", "text", "--only", "test"], "<stdin>:2: not JSON"),
     (3, ["shuffle", "--encoding-errors", "strict", "bad.txt"], "bad.txt:2: not UTF-8"),
     (2, ["shuffle", "bad.txt", "a.jsonl"], "jsonl and text, which one output cannot hold"),
     (2, ["shuffle", "--memory", "much"], "not a size")],
)  # fmt: skip
def test_careless_input(status, arguments, said, fails, write):
    write("bad.txt", b"a\n\xff\n")
    write("a.jsonl", b"{}\n")
    assert said in fails(status, "data", *arguments, stdin=b'{"text": "a"}\n{"text": \n').stderr


def test_bad_records_are_skipped_and_counted(lmkit):
    text = b'{"text": "a"}\n{"text": \n{"x": 1}\n[]\n{"text": null}\n'
    command = ["data", "split", "--only", "a", "--shares", "a=1", "--on-error", "skip", "--input", "jsonl"]
    done = lmkit(*command, stdin=text)
    assert done.lines == ['{"text": "a"}']
    assert "4 records skipped, the first one for: <stdin>:2: not JSON" in done.stderr


def test_a_record_that_is_too_long_is_skipped(lmkit, fails, monkeypatch):
    for name in ("RECORD", "LINE"):
        monkeypatch.setattr(size_limits, name, size_limits.Limit(2 << 20, "records", "split it"))
    text = b'{"text": "a"}\n{"text": "' + b"long" * (1 << 20) + b'"}\n{"text": "b"}\n{"x": 1}\n'
    command = ["data", "stats", "--input", "jsonl"]
    assert "hint: --on-error skip leaves it out" in fails(3, *command, stdin=text).stderr
    done = lmkit(*command, "--on-error", "skip", stdin=text)
    assert done.lines[-1].split("\t")[1:3] == ["2", "2"], done.stdout
    assert "2 records skipped, the first one for: <stdin>:2: longer than 2 MiB" in done.stderr
