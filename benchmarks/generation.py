"""lmkit sample against transformers, nanoGPT and torch: tokens a second with top-k 40, the same weights, in turn.

    gpt2         GPT-2's small size, random weights: one text, and 32 at once; with the share of the memory's limit
    characters   GPT-2's shape, 4 layers of 128 over 65 characters: one text, and 32 at once
    lstm         2 layers of 128 over 65 characters, against torch.nn.LSTM a step at a time
    first        from a cold start to the first token on the character model: the whole process

Every process is run in each round, ours and the peers' in turn; medians over rounds, wall seconds unless --cpu.
A text of any kind of model is the same by itself and beside others; that costs steps where rounding is in doubt.
"""

import argparse
import json
import os
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

LMKIT = [sys.executable, "-m", "lmkit"]
PEERS = str(Path(__file__).with_name("generation_peers.py"))


def measured(python: str, *words: object) -> dict[str, float]:
    """What a process of generation_peers.py found."""
    command = [python, PEERS, *map(str, words)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"status {done.returncode}: {shlex.join(command)}")
    return json.loads(done.stdout.splitlines()[-1])


def compare(options: argparse.Namespace, title: str, batch: int, runs: dict[str, list[object]]) -> dict[str, float]:
    """Runs each in turn, ours first; `runs` has the words after the name of a process, tokens last but for paths."""
    found: dict[str, list[dict[str, float]]] = {name: [] for name in runs}
    for _ in range(options.rounds):
        for name, words in runs.items():
            found[name].append(measured(options.peers if name != "own" else sys.executable, *words))
    key = "cpu" if options.cpu else "wall"
    medians = {name: statistics.median(one[key] for one in several) for name, several in found.items()}
    ours = batch * options.tokens / medians["own"]
    parts = [one[f"model_{key}"] / one[key] for one in found["own"] if f"model_{key}" in one]
    choosing = f"{max(0.0, 1 - statistics.median(parts)):.0%} of it choosing" if parts else "in several processes"
    print(f"{title}, batch {batch}: lmkit {ours:.1f} tokens/s, {choosing}; load {os.getloadavg()[0]:.1f}")
    for name, seconds in medians.items():
        if name != "own":
            rate = batch * options.tokens / seconds
            print(f"    {name:20} {rate:10.1f} tokens/s   lmkit is {ours / rate:5.2f} times as fast", flush=True)
    return medians


def gpt2_shaped(options: argparse.Namespace, folder: Path, title: str, shape: list[int]) -> None:
    model, exported = folder / "model.lm", folder / "model"
    size = measured(sys.executable, "make", model, "transformer", *shape)["bytes"]
    subprocess.run([*LMKIT, "convert", "-q", str(model), "-o", str(exported)], check=True)
    for batch in options.batches:
        runs: dict[str, list[object]] = {
            "own": ["own", model, batch, options.tokens],
            "the same as a folder": ["own", exported, batch, options.tokens],
            "transformers": ["transformers", exported, batch, options.tokens],
        }
        if options.nanogpt and batch == 1:
            runs["nanoGPT"] = ["nanogpt", exported, batch, options.tokens, options.nanogpt]
        medians = compare(options, title, batch, runs)
        if size > 1 << 28 and batch == 1:
            limit = statistics.median(measured(sys.executable, "memory")["bytes"] for _ in range(3)) / size
            share = options.tokens / medians["own"] / limit
            print(f"    reading all weights once a token: {limit:.1f} tokens/s; lmkit reaches {share:.0%}", flush=True)


def gpt2(options: argparse.Namespace, folder: Path) -> None:
    gpt2_shaped(options, folder, "GPT-2's small size", [12, 768, 12, 1024, 50257])


def characters(options: argparse.Namespace, folder: Path) -> None:
    gpt2_shaped(options, folder, "characters, 4 x 128", [4, 128, 4, 256, 65])


def lstm(options: argparse.Namespace, folder: Path) -> None:
    model = folder / "model.lm"
    measured(sys.executable, "make", model, "rnn", 2, 128, 0, 0, 65)
    for batch in options.batches:
        runs: dict[str, list[object]] = {
            "own": ["own", model, batch, options.tokens],
            "torch.nn.LSTM": ["lstm", 2, 128, 65, batch, options.tokens],
        }
        compare(options, "LSTM, 2 x 128", batch, runs)


def first(options: argparse.Namespace, folder: Path) -> None:
    model = folder / "model.lm"
    measured(sys.executable, "make", model, "transformer", 4, 128, 4, 256, 65)
    seconds = []
    for _ in range(3 * options.rounds):
        begun = time.perf_counter()
        subprocess.run([*LMKIT, "sample", "-m", str(model), "--max-tokens", "1"], check=True, stdout=subprocess.DEVNULL)
        seconds.append(time.perf_counter() - begun)
    print(f"cold start to the first token: median {statistics.median(seconds):.2f} s, least {min(seconds):.2f} s")


TASKS = {"gpt2": gpt2, "characters": characters, "lstm": lstm, "first": first}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", choices=TASKS, nargs="+")
    parser.add_argument("--nanogpt", help="a clone of nanoGPT")
    parser.add_argument("--peers", default=sys.executable, help="a Python with torch and transformers")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tokens", type=int, default=100, help="length of each text")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 32])
    parser.add_argument("--cpu", action="store_true", help="CPU seconds, for a machine that has other work")
    options = parser.parse_args()
    for name in options.task:
        with tempfile.TemporaryDirectory() as folder:
            TASKS[name](options, Path(folder))


if __name__ == "__main__":
    main()
