"""`lmkit data mix`."""

import json

import pytest


@pytest.fixture
def sources(write):
    write("a.txt", b"".join(b"a%d b c\n" % n for n in range(100)))
    write(
        "b.jsonl",
        b"".join(b'{"text": "x%d y", "id":%d}\n' % (n, n) for n in range(50)) + b'{"text": "z z", "source": "own"}\n',
    )


def test_the_plan_of_gpt3(lmkit):
    """Row K6."""
    done = lmkit(
        "data", "mix", "--weights", "cc=.6,webtext2=.22,books1=.08,books2=.08,wiki=.03", "--tokens", "300e9", "--json",
        "--sizes", "cc=410e9,webtext2=19e9,books1=12e9,books2=55e9,wiki=3e9",
    )  # fmt: skip
    assert [round(row["epochs"], 3) for row in done.records] == [0.439, 3.474, 2.0, 0.436, 3.0]
    assert sum(row["proportion"] for row in done.records) == pytest.approx(1)
    assert "weights sum to 1.01, renormalised" in done.stderr


def test_records_come_in_proportion_with_their_source(sources, lmkit, work):
    command = ["data", "mix", "--weights", "a=.6,b=.4", "--tokens", "1000", "a.txt", "b.jsonl"]
    done = lmkit(*command, "--report", "r")
    a, b = json.loads((work / "r").read_text().splitlines()[0]), json.loads((work / "r").read_text().splitlines()[1])
    assert (a["source"], a["weight"], a["epochs"], a["size"]) == ("a", 0.6, 2.0, 300)
    assert (b["source"], b["epochs"], b["size"]) == ("b", pytest.approx(400 / 102), 102)
    assert abs(a["tokens"] - 600) <= 3
    assert abs(b["tokens"] - 400) <= 3
    records = done.records
    assert records[0] == {"text": "a0 b c", "source": "a"}
    assert {"text": "x0 y", "id": 0, "source": "b"} in records
    assert sum(record["source"] == "own" for record in records) in (3, 4)
    half = records[: len(records) // 2]
    assert abs(sum(len(record["text"].split()) for record in half if record["source"] == "a") - 300) < 6
    assert "a: 600 tokens" in done.stderr
    streamed = lmkit(*command, "--stream")
    assert streamed.stdout == done.stdout
    assert "3.92 epochs" in streamed.stderr


def test_weights_by_size_and_temperature(sources, lmkit, work):
    done = lmkit("data", "mix", "-t", "1", "a.txt", "b.jsonl", "--report", "r")
    assert len(done.records) == 151
    rows = [json.loads(line) for line in (work / "r").read_text().splitlines()]
    assert [row["epochs"] for row in rows] == pytest.approx([1, 1])
    lmkit("data", "mix", "-t", "1000", "a.txt", "b.jsonl", "--report", "r")
    rows = [json.loads(line) for line in (work / "r").read_text().splitlines()]
    assert [row["proportion"] for row in rows] == pytest.approx([0.5, 0.5], abs=0.01)


def test_a_stream_without_end_feeds_a_pipe(sources, shell):
    done = shell("lmkit data mix -q --stream --weights a=1,b=0 a.txt b.jsonl | head -1000 | tail -1")
    assert (done.status, done.stdout) == (0, b'{"text": "a99 b c", "source": "a"}\n')


@pytest.mark.parametrize(
    ("status", "arguments", "said"),
    [(2, ["a.txt"], "needs several FILEs"), (2, ["--weights", "a=1,c=1", "a.txt", "b.jsonl"], "same names: b, c"),
     (2, ["--weights", "a=-1,b=1", "a.txt", "b.jsonl"], "not a number from 0 on"),
     (2, ["--weights", "a=0,b=0", "a.txt", "b.jsonl"], "all weights are zero"),
     (2, ["a.txt", "x/a.txt"], "both a source 'a'"),
     (2, ["--tokens", "many", "a.txt", "b.jsonl"], "not a number of tokens"),
     (2, ["--stream", "a.txt", "b.jsonl"], "needs --weights"), (3, ["a.txt", "-"], "--stream, or write it to a file"),
     (3, ["--weights", "a=1,empty=1", "a.txt", "empty.txt"], "empty.txt: no records, but a weight"),
     (3, ["--stream", "--weights", "a=1,<stdin>=1", "a.txt", "-"], "<stdin> ended before the mixture"),
     (2, ["--sizes", "a=1", "a.txt", "b.jsonl"], "without FILEs")],
)  # fmt: skip
def test_careless_input(status, arguments, said, sources, lmkit, write, one_line):
    write("empty.txt", b"")
    done = lmkit("data", "mix", "-q", *arguments, stdin=b"c\n")
    assert done.status == status, done.stderr
    assert said in done.stderr
    one_line(done.stderr)
