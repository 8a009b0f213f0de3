"""Speed of `lmkit data` in MB per CPU second, and how many planted near duplicates and test items it finds."""

import argparse
import json
import os
import random
import re
import shlex
import sys
import tempfile
from itertools import accumulate
from pathlib import Path

from measure import Contestant, compare

LMKIT = f"{shlex.quote(sys.executable)} -m lmkit data"
WORDS = 20_000
NEAR, FAR = 506, 194
"""Copies that are planted with a similarity of at least .7, and below it."""
DATASKETCH = """
import json, re, sys, time
from datasketch import MinHash, MinHashLSH
texts = [json.loads(line)["text"] for line in open(sys.argv[1])]
index = MinHashLSH(0.7, num_perm=128)
for number, text in enumerate(texts):
    words = re.findall(r"\\w+", text.lower())
    one = MinHash(128)
    one.update_batch([" ".join(words[at : at + 5]).encode() for at in range(max(1, len(words) - 4))])
    for other in index.query(one):
        print(other, number)
    index.insert(number, one)
"""


def documents(text: str, megabytes: float) -> list[str]:
    """Documents of six lines of a text."""
    lines = text.splitlines()
    size = 0
    texts = []
    for at in range(0, len(lines), 6):
        texts.append(" ".join(lines[at : at + 6]))
        size += len(texts[-1]) + 12
        if size > megabytes * 1e6:
            break
    return texts


def corpus(megabytes: float, draw: random.Random) -> list[str]:
    """Made-up documents of some 80 words, of frequencies as in Zipf's law."""
    words = [f"{draw.choice('bcdfglmnprst')}{draw.choice('aeiou')}{number:x}" for number in range(WORDS)]
    weights = list(accumulate(1 / (rank + 10) for rank in range(WORDS)))
    texts, size = [], 0
    while size < megabytes * 1e6:
        text = " ".join(draw.choices(words, cum_weights=weights, k=draw.randrange(40, 120))).capitalize() + "."
        texts.append(text)
        size += len(text) + 12
    return texts


def shingles(text: str) -> set[str]:
    words = re.findall(r"[^\W_]+", text.lower())
    return {" ".join(words[at : at + 5]) for at in range(len(words) - 4)}


def similarity(one: str, other: str) -> float:
    a, b = shingles(one), shingles(other)
    return len(a & b) / len(a | b)


def plant_copies(texts: list[str], draw: random.Random) -> tuple[set[str], set[str]]:
    """Add copies with some words changed; return those with a similarity of at least .7, and those of .4 to .7."""
    near, far = set[str](), set[str]()
    for text in draw.sample([text for text in texts if len(text.split()) >= 40], NEAR + FAR):
        words, copies = text.split(), []
        while (nearness := similarity(text, " ".join(words))) >= 0.4:
            copies.append((nearness, " ".join(words)))
            words[draw.randrange(len(words))] = f"changed{draw.randrange(100)}"
        wanted, found = (near, True) if len(near) < NEAR else (far, False)
        chosen = [copy for nearness, copy in copies if (nearness >= 0.7) == found and copy != text]
        wanted.add(draw.choice(chosen))
    texts.extend(sorted(near | far))
    return near, far


def speed(title: str, command: str, size: int, start: float) -> str:
    one = Contestant(title, command)
    one.run()
    seconds = max(1e-3, one.cpu[0] - start)
    print(
        f"{title:34}{one.cpu[0]:9.2f} CPU s {size / 1e6 / seconds:8.1f} MB/CPU s{one.peak[0]:8.0f} MB peak", flush=True
    )
    return one.output


def engine(megabytes: float, files: int, items: int, rounds: int, folder: Path) -> None:
    """One process and `--engine dask` in turn, on records in several files."""
    draw = random.Random(0)
    names = [folder / f"part-{number}.jsonl" for number in range(files)]
    for name in names:
        with name.open("w") as out:
            for text in corpus(megabytes / files, draw):
                out.write(json.dumps({"text": text}) + "\n")
    (folder / "test.jsonl").write_text(
        "".join(json.dumps({"text": text}) + "\n" for text in corpus(items / 1500, draw))
    )
    parts = shlex.join(map(str, names))
    for task in ("dedup --near 0.7", f"decontaminate --against {folder}/test.jsonl"):
        command = f"{LMKIT} {task} -q {parts} -o {folder}/out.jsonl"
        pair = [Contestant("one process", command), Contestant("--engine dask", f"{command} --engine dask")]
        compare(f"data {task.partition('/')[0]}, {megabytes:g} MB in {files} files", pair, rounds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=float, default=10.0)
    parser.add_argument("--text", help="a text of lines; documents are six of them")
    parser.add_argument("--peers", help="a Python that has datasketch")
    parser.add_argument("--items", type=int, default=1000, help="test items of decontaminate")
    parser.add_argument("--files", type=int, default=0, help="files for --engine dask, which alone is measured then")
    parser.add_argument("--rounds", type=int, default=3, help="with --files")
    options = parser.parse_args()
    draw = random.Random(0)
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as name:
        folder = Path(name)
        if options.files:
            engine(options.megabytes, options.files, options.items, options.rounds, folder)
            return
        if options.text:
            texts = documents(Path(options.text).read_text(), options.megabytes)
        else:
            texts = corpus(options.megabytes, draw)
        near, far = plant_copies(texts, draw)
        records, lines = folder / "records.jsonl", Path(options.text or folder / "lines.txt")
        records.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
        if not options.text:
            lines.write_text("\n".join(texts) + "\n")
        items = corpus(options.items / 1500, draw)
        plants = draw.sample(range(len(texts)), min(300, len(items)))
        (folder / "test.jsonl").write_text("".join(json.dumps({"text": item}) + "\n" for item in items))
        train = list(texts)
        for at, item in zip(plants, items, strict=False):
            train[at] += f" {' '.join(item.split()[10:23])} fixed"
        (folder / "train.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in train))
        start = Contestant("start", f"{LMKIT} stats -q /dev/null")
        start.run()
        print(f"start of a process: {start.cpu[0]:.2f} CPU s; the speeds are without it\n")
        cost, text_size, record_size = start.cpu[0], lines.stat().st_size, records.stat().st_size
        for task in ("dedup", "split --only train", "shuffle", "stats"):
            speed(f"data {task}, lines", f"{LMKIT} {task} -q {shlex.quote(str(lines))} > /dev/null", text_size, cost)
        for task in ("dedup", "stats", "filter --rules gopher"):
            speed(f"data {task}, records", f"{LMKIT} {task} -q {records} > /dev/null", record_size, cost)
        report = folder / "clusters.jsonl"
        speed(
            "data dedup --near 0.7",
            f"{LMKIT} dedup -q --near 0.7 --report {report} {records} > /dev/null",
            record_size,
            cost,
        )
        rows = [json.loads(line) for line in report.open()]
        dropped, kept = ([texts[int(row[side].rpartition(":")[2]) - 1] for row in rows] for side in ("dropped", "kept"))
        wrong = sum(similarity(*pair) < 0.7 for pair in zip(dropped, kept, strict=True))
        print(f"  planted copies found: {len(near & {*dropped, *kept})} of {len(near)}", end="; ")
        print(f"called duplicates below 0.7: {len(far & {*dropped, *kept})} of {len(far)}, pairs {wrong}")
        if options.peers:
            found = speed(
                "datasketch", f"{options.peers} -c {shlex.quote(DATASKETCH)} {records}", record_size, 0
            ).splitlines()
            pairs = [tuple(map(int, pair.split())) for pair in found]
            wrong = sum(similarity(texts[a], texts[b]) < 0.7 for a, b in pairs)
            right = {texts[b] for a, b in pairs if similarity(texts[a], texts[b]) >= 0.7}
            print(f"  planted copies found: {len(near & right)} of {len(near)}; pairs below 0.7: {wrong}")
        overlap = folder / "overlap.jsonl"
        command = f"{LMKIT} decontaminate -q --against {folder}/test.jsonl --report {overlap} {folder}/train.jsonl"
        speed("data decontaminate", f"{command} > /dev/null", record_size, cost)
        rows = {int(json.loads(line)["id"].rpartition(":")[2]) - 1 for line in overlap.open()}
        print(
            f"  planted 13-grams found: {len(rows & set(plants))} of {len(plants)}; others: {len(rows - set(plants))}"
        )


if __name__ == "__main__":
    main()
