"""`lmkit report`."""

import json
import re

import pytest

STEPS = [{"event": "step", "step": n, "tokens": n, "seconds": n, "nats": 3 / n, "lr": 0.1} for n in (1, 2, 3)]
LOG = [*STEPS, {"event": "evaluation", "step": 3, "nats": 2.5, "bits_per_byte": 1.5}, {"event": "saved", "step": 3}]
PPL = [
    {"file": "a.txt", "perplexity": 10.5, "signature": "kind:ngram|x", "command": "lmkit ppl -m a.lm a.txt --json"},
    {"file": "b.txt", "perplexity": 12.5, "signature": "kind:ngram|x", "command": "lmkit ppl -m a.lm a.txt --json"},
]
EVAL = {
    "accuracy": 0.75, "macro_f1": 0.7, "n": 4, "intervals": {"accuracy": [0.25, 1.0], "macro_f1": None},
    "confusion": {"labels": ["neg", "pos"], "table": [[2, 0], [1, 1]]},
    "reliability": [{"low": 0.5, "high": 0.6, "items": 2, "confidence": 0.6, "accuracy": 0.0}],
}  # fmt: skip
HOSTILE = "</script><script>alert(1)</script>"


@pytest.fixture
def jsonl(write):
    def put(name, *records):
        return write(name, "".join(json.dumps(record) + "\n" for record in records).encode())

    return put


def test_a_page_of_all_that_was_written(lmkit, jsonl, work):
    files = [jsonl("run.jsonl", *LOG), jsonl("ppl.jsonl", *PPL), jsonl("eval.jsonl", EVAL)]
    for name in ("one.html", "two.html"):
        done = lmkit("report", *files, "--title", "A & B", "-o", name)
        assert (done.status, done.stderr) == (0, "")
    page = (work / "one.html").read_text()
    assert page.replace("one.html", "two.html") == (work / "two.html").read_text()
    assert re.findall("<h2>(.*?)</h2>", page) == ["training", "ppl", "eval classify", "How to repeat it"]
    assert page.count("<svg") == 1 + 1 + 2  # the curve, perplexities, confusion and calibration
    assert "<title>A &amp; B</title>" in page
    assert page.count("lmkit ppl -m a.lm a.txt --json") == 1
    assert "Signatures: 1" in page
    assert not re.search(r"(?:src|href)=|url\(|@import", page)


def test_earlier_versions_other_tools_and_junk(lmkit, jsonl, write, work):
    odd = {HOSTILE: HOSTILE, "list": [1], "inner": {"x": 1, "y": [2]}, "none": None, "flag": True, "command": 3}
    broken = {"confusion": {"labels": [1], "table": "no"}, "reliability": [3], "macro_f1": 1, "intervals": [0]}
    files = [
        jsonl("old.jsonl", {"perplexity": 3.5}, odd, broken, {"event": "step", "step": "x"}, {"event": "step"}),
        write("pretty.json", json.dumps({"accuracy": 1.0}, indent=1).encode()),
        write("junk.txt", b"junk\n\xff\n" + b"[" * 100_000 + b"\n"),
    ]
    done = lmkit("report", *files)
    assert done.status == 0
    assert done.stderr == "lmkit: junk.txt:1: not a JSON object; such lines are skipped\n"
    assert done.text.count("<script>") == 1
    assert "inner.x" in done.text


def test_many_runs_are_one_figure(lmkit, jsonl):
    runs = [jsonl(f"{n}.jsonl", *({**event, "nats": event.get("nats", 0) + n} for event in LOG)) for n in range(20)]
    done = lmkit("report", *runs)
    assert "20 runs, the best 6 in colour" in done.text
    assert done.text.count("<svg") == 1


def test_nothing_to_report(fails, write):
    assert "no JSON records" in fails(3, "report", write("empty.jsonl", b"")).stderr
    assert "none.jsonl" in fails(3, "report", "none.jsonl").stderr
