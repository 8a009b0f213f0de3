"""`--engine dask`: the same bytes as one process, from processes of this machine and from a cluster on loopback."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

CLUSTER = """
import sys
from distributed import LocalCluster
if __name__ == "__main__":
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs=50) as cluster:
        print(cluster.scheduler_address, *(nanny.pid for nanny in cluster.workers.values()), flush=True)
        sys.stdin.read()
"""


@pytest.fixture(scope="module")
def cluster():
    """The address of a scheduler with two workers, and their process ids."""
    pytest.importorskip("distributed")
    command = [sys.executable, "-c", CLUSTER]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        address, *workers = process.stdout.readline().split()
        yield address, list(map(int, workers))
        process.stdin.close()


@pytest.fixture
def corpus(write):
    item = " ".join(f"w{at}" for at in range(20))
    for name in "abc":
        records = [{"text": f"{name}{n} the cat of the house", "source": name if n % 2 else "x"} for n in range(20)]
        records += [{"text": "The cat"}, {"text": "the  CAT"}]
        records.append({"text": f"before {item} after" if name != "a" else item[:30], "id": f"{name}-plant"})
        lines = "".join(json.dumps(record) + "\n" for record in records)
        write(f"{name}.jsonl", lines.encode() + (b"broken\n" if name == "b" else b""))
        write(f"{name}.txt", f"{name} the cat\n\n\nof  the house {name}\n".encode() * 3)
    write("test.txt", item.encode() + b"\nother words\n")
    return ["a.jsonl", "b.jsonl", "c.jsonl"]


TEXTS = ["a.txt", "b.txt", "a.txt"]
STATS = ["data", "stats", "--by", "source", "--languages", "--tokens", "char"]
COMMANDS = [
    STATS,
    ["data", "dedup", "--near", "0.5", "--shingle", "2", "--against", "test.txt", "--report", "r"],
    ["data", "dedup", "--normalize", "--against", "test.txt", "--report", "r"],
    ["data", "dedup", "--substring", "5", "--against", "test.txt", "--report", "r"],
    ["data", "decontaminate", "--against", "test.txt", "--report", "r", "--clean", "test"],
    ["data", "filter", "--rules", "gopher,pii,-gopher-words", "--match", "the", "--explain", "--report", "r"],
    ["bpe", "count"],
    ["ngram", "count", "--order", "3"],
    ["w2v", "train", "-q", "--dim", "4", "--min-count", "2", "--phrases", "1", "--phrase-threshold", "1"],
]


@pytest.mark.few(3)
@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: "-".join(command[:3]))
def test_a_cluster_gives_the_bytes_of_one_process(command, cluster, corpus, lmkit, work):
    files = ["--on-error", "skip", *corpus] if command[0] == "data" else TEXTS
    alone = lmkit(*command, *files)
    report = (work / "r").read_bytes() if "--report" in command else b""
    engine = lmkit(*command, "--engine", "dask", "--scheduler", cluster[0], *files)
    assert alone.status == engine.status == 0, engine.stderr
    assert engine.stdout == alone.stdout != b""
    assert report == ((work / "r").read_bytes() if "--report" in command else b"")
    if command[0] == "data":
        assert engine.stderr == alone.stderr
        assert "1 record skipped, the first one for: b.jsonl:24: not JSON" in alone.stderr


def test_workers_see_that_the_items_changed(cluster, corpus, lmkit, write):
    command = ["data", "decontaminate", "--against", "test.txt", "--n", "2"]
    engine = ["--engine", "dask", "--scheduler", cluster[0]]
    for items in (b"the cat\n", b"no words\n", b"of the house\n"):
        write("test.txt", items)
        alone = lmkit(*command, "a.jsonl", "c.jsonl")
        assert alone == lmkit(*command, *engine, "a.jsonl", "c.jsonl")


def test_processes_of_this_machine_give_the_same(corpus, lmkit):
    alone = lmkit(*STATS, "--on-error", "skip", *corpus)
    engine = lmkit(*STATS, "--on-error", "skip", "--engine", "dask", *corpus)
    assert (engine.stdout, engine.stderr) == (alone.stdout, alone.stderr)


def test_the_best_record_is_kept_and_others_are_skipped(lmkit, write):
    for name, scores in (("d", [1, 5, None]), ("e", [7, None, 2])):
        records = [{"text": f"the cat sat on the mat {at}", "score": score} for at, score in enumerate(scores)]
        write(f"{name}.jsonl", "".join(json.dumps(record) + "\n" for record in records).encode())
    command = ["data", "dedup", "--near", "0.5", "--best", "score", "--on-error", "skip", "d.jsonl", "e.jsonl"]
    alone = lmkit(*command)
    assert [json.loads(line)["score"] for line in alone.lines] == [7]
    assert "2 records skipped, the first one for: d.jsonl:3: no field 'score'" in alone.stderr
    assert lmkit(*command, "--engine", "dask") == alone


def test_errors_come_from_tasks_as_from_one_process(cluster, corpus, fails, write):
    tasks = ["--engine", "dask", "--scheduler", cluster[0]]
    assert "b.jsonl:24: not JSON" in fails(3, "data", "stats", *tasks, "b.jsonl").stderr
    write("open.txt", b"no end")
    assert "open.txt: its last line has no end" in fails(3, "bpe", "count", *tasks, "open.txt", "a.txt").stderr


def test_engines_that_are_not_there(corpus, fails, monkeypatch):
    lines = ["--unit", "line", "--engine", "dask", "a.jsonl"]
    assert "--engine compares records" in fails(2, "data", "dedup", *lines).stderr
    assert "not stdin" in fails(2, "data", "stats", "--engine", "dask").stderr
    assert "--scheduler needs --engine dask" in fails(2, "data", "stats", "--scheduler", "tcp://x:1", "a.jsonl").stderr
    assert "--ppl ranks" in fails(2, "data", "filter", "--ppl", "-m", "x", "--engine", "dask", "a.jsonl").stderr
    pytest.importorskip("distributed")
    monkeypatch.setattr("lmkit.commands.options.engine.PATIENCE", 1)
    for address in ("tcp://127.0.0.1:9", "nowhere"):
        done = fails(2, "data", "stats", "--engine", "dask", "--scheduler", address, "a.jsonl")
        assert f"--scheduler {address}: no Dask scheduler answers there" in done.stderr


def test_a_worker_of_another_version_is_refused(cluster, corpus, fails, monkeypatch):
    monkeypatch.setattr("lmkit.commands.options.engine.__version__", "9.9")
    done = fails(2, "data", "stats", "--engine", "dask", "--scheduler", cluster[0], "a.jsonl")
    assert "has lmkit" in done.stderr
    assert "expected lmkit 9.9" in done.stderr


def processor_time(process):
    """The clock ticks that a process has computed."""
    return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[11])


@pytest.mark.slow
@pytest.mark.parametrize(("number", "command"), [(0, COMMANDS[1]), (1, COMMANDS[4])])
def test_nothing_is_lost_where_a_worker_is_killed(number, command, cluster, lmkit, write, work):
    files, draw, texts = [f"{name}.jsonl" for name in "abcdefgh"], random.Random(0), []
    for name in files:
        own = [" ".join(f"w{draw.randrange(5000)}" for _ in range(80)) for _ in range(4000)]
        own += [text.replace("w1", "W 1", 1) for text in draw.sample(texts or own, 50)]
        texts += own
        write(name, "".join(json.dumps({"text": text}) + "\n" for text in own).encode())
    write("test.txt", "\n".join(draw.sample(texts, 20)).encode() + b"\n")
    alone = lmkit(*command, *files)
    report = (work / "r").read_bytes()
    worker, runs, killed_in_run = cluster[1][number], threading.Event(), threading.Event()
    begin = processor_time(worker)

    def kill():
        while processor_time(worker) < begin + 30:
            time.sleep(0.01)
        os.kill(worker, signal.SIGKILL)
        if runs.is_set():
            killed_in_run.set()

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    runs.set()
    engine = lmkit(*command, "--engine", "dask", "--scheduler", cluster[0], *files)
    runs.clear()
    killer.join()
    assert killed_in_run.is_set()
    assert engine.status == 0, engine.stderr
    assert engine.stdout == alone.stdout
    assert (work / "r").read_bytes() == report != b""
