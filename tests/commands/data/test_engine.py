"""`--engine dask`: the same bytes as one process, from tasks in processes of this machine."""

import json

import pytest


@pytest.fixture
def corpus(write):
    item = " ".join(f"w{at}" for at in range(20))
    for name in "abc":
        records = [{"text": f"{name}{n} the cat of the house", "source": name if n % 2 else "x"} for n in range(20)]
        records.append({"text": f"before {item} after" if name != "a" else item[:30], "id": f"{name}-plant"})
        lines = "".join(json.dumps(record) + "\n" for record in records)
        write(f"{name}.jsonl", lines.encode() + (b"broken\n" if name == "b" else b""))
    write("test.txt", item.encode() + b"\nother words\n")
    return ["--on-error", "skip", "a.jsonl", "b.jsonl", "c.jsonl"]


@pytest.mark.parametrize(
    "command",
    [["stats", "--by", "source", "--languages", "--tokens", "char"],
     ["dedup", "--near", "0.5", "--shingle", "2", "--against", "test.txt", "--report", "r"],
     ["dedup", "--substring", "5", "--against", "test.txt", "--report", "r"],
     ["decontaminate", "--against", "test.txt", "--report", "r", "--clean", "test"]],
)  # fmt: skip
def test_tasks_give_the_bytes_of_one_process(command, corpus, lmkit, work):
    alone = lmkit("data", *command, *corpus)
    report = (work / "r").read_bytes() if "--report" in command else b""
    engine = lmkit("data", *command, "--engine", "dask", *corpus)
    assert alone.status == engine.status == 0, engine.stderr
    assert engine.stdout == alone.stdout != b""
    assert engine.stderr == alone.stderr
    assert "1 record skipped, the first one for: b.jsonl:22: not JSON" in alone.stderr
    assert report == ((work / "r").read_bytes() if "--report" in command else b"")


def test_errors_come_from_tasks_as_from_one_process(corpus, fails):
    assert "b.jsonl:22: not JSON" in fails(3, "data", "stats", "--engine", "dask", *corpus[2:]).stderr
    assert "--engine is for --near and --substring" in fails(2, "data", "dedup", "--engine", "dask", "a.jsonl").stderr
    assert "not stdin" in fails(2, "data", "stats", "--engine", "dask").stderr
    assert "--scheduler needs --engine dask" in fails(2, "data", "stats", "--scheduler", "tcp://x:1", "a.jsonl").stderr
