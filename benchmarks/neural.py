"""lmkit train against nanoGPT on tinyshakespeare's characters, and what mixtures with n-grams add.

    recipe       nanoGPT's documented recipe for a CPU beside `lmkit train transformer` to the same loss
    best         the best loss in nanoGPT's wall time: transformer, LSTM, n-gram, and mixtures
    throughput   tokens a second of training and of scoring at the same size, and the share of the machine's peak

Losses are nats a character over the whole validation split (the last tenth): `blocks`, windows of the
context that do not overlap; `sliding`, windows by a quarter of it; `stateful`, the state carried along.
"""

import argparse
import json
import os
import re
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

LMKIT = [sys.executable, "-m", "lmkit"]
PEERS = str(Path(__file__).with_name("neural_peers.py"))
RECIPE = (
    "train.py config/train_shakespeare_char.py --device=cpu --compile=False --eval_iters=20 --log_interval=1 "
    "--block_size=64 --batch_size=12 --n_layer=4 --n_head=4 --n_embd=128 --max_iters=2000 --lr_decay_iters=2000 "
    "--dropout=0.0"
)


def timed(command: list[str], folder: str | Path | None = None) -> tuple[float, float, str]:
    """Wall and CPU seconds of a whole process, and what it printed."""
    begun = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=folder)
    output = process.stdout.read().decode(errors="replace")
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"status {process.returncode}: {shlex.join(command)}")
    return time.perf_counter() - begun, usage.ru_utime + usage.ru_stime, output


def ppl(model: list[str], text: Path, *more: str) -> float:
    """Nats a token under one or several models."""
    named = [word for name in model for word in ("-m", name)]
    _, _, output = timed([*LMKIT, "ppl", "-q", "--json", *named, *more, str(text)])
    record = json.loads(output.splitlines()[-1])
    return -record["nats"] / record["tokens"]


class NanoGPT:
    """nanoGPT's recipe, run as its README says."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.python, self.folder = options.peers, options.nanogpt
        timed([self.python, PEERS, "prepare", self.folder, options.text])
        self.out = tempfile.mkdtemp()

    def run(self) -> dict[str, float]:
        command = [self.python, *shlex.split(RECIPE), f"--out_dir={self.out}"]
        wall, cpu, output = timed(command, self.folder)
        steps = [
            float(found[2]) / 1000
            for found in re.finditer(r"iter (\d+): loss [\d.]+, time ([\d.]+)ms", output)
            if int(found[1]) % 250  # the others hold an evaluation
        ]
        return {"wall": wall, "cpu": cpu, "loop": 2000 * statistics.mean(steps)}

    def loss(self) -> dict[str, float]:
        return json.loads(timed([self.python, PEERS, "loss", self.folder, self.out])[2].splitlines()[-1])


def split(options: argparse.Namespace, folder: Path) -> tuple[Path, Path]:
    """nanoGPT's split: the first nine tenths of the characters, and the rest."""
    data = Path(options.text).read_bytes()
    border = int(len(data) * 0.9)
    (folder / "train.txt").write_bytes(data[:border])
    (folder / "valid.txt").write_bytes(data[border:])
    return folder / "train.txt", folder / "valid.txt"


def lmkit_train(family: str, train: Path, model: Path, *more: str) -> dict[str, float]:
    log = model.with_suffix(".jsonl")
    wall, cpu, _ = timed([*LMKIT, "train", family, "-q", str(train), "-o", str(model), "--log", str(log), *more])
    return {"wall": wall, "cpu": cpu, "loop": json.loads(log.read_text().splitlines()[-1])["seconds"]}


def row(name: str, runs: list[dict[str, float]], losses: dict[str, float], reference: dict[str, float]) -> None:
    medians = {key: statistics.median(run[key] for run in runs) for key in ("loop", "wall", "cpu")}
    ratios = " ".join(f"{medians[key]:8.1f} {reference[key] / medians[key]:6.1f}" for key in ("loop", "wall", "cpu"))
    print(f"{name:34} {ratios}  {' '.join(f'{key} {value:.4f}' for key, value in losses.items())}", flush=True)


def recipe(options: argparse.Namespace, folder: Path) -> None:
    train, valid = split(options, folder)
    peer = NanoGPT(options)
    own = ["--steps", str(options.steps), *shlex.split(options.more)]
    runs: dict[str, list[dict[str, float]]] = {"peer": [], "own": []}
    for _ in range(options.rounds):
        runs["peer"].append(peer.run())
        runs["own"].append(lmkit_train("transformer", train, folder / "own.lm", *own))
    reference = {key: statistics.median(run[key] for run in runs["peer"]) for key in ("loop", "wall", "cpu")}
    print(f"{'':34} {'loop s':>8} {'ratio':>6} {'wall s':>8} {'ratio':>6} {'CPU s':>8} {'ratio':>6}")
    row("nanoGPT, its CPU recipe", runs["peer"], peer.loss(), reference)
    blocks, sliding = (ppl([str(folder / "own.lm")], valid, "--stride", stride) for stride in ("64", "16"))
    row(f"lmkit train transformer {' '.join(own)}", runs["own"], {"blocks": blocks, "sliding": sliding}, reference)


def best(options: argparse.Namespace, folder: Path) -> None:
    train, valid = split(options, folder)
    text = train.read_text()
    (folder / "most.txt").write_text(text[: -len(text) // 20])  # weights are tuned on text that no model saw
    (folder / "tuning.txt").write_text(text[-len(text) // 20 :])
    budget = ["--budget", f"{options.seconds}s"]
    made = {
        "transformer": ["train", "transformer", *budget, *shlex.split(options.more)],
        "lstm": ["train", "rnn", "--matrix-lr", "0.02", *budget],
        "ngram": ["ngram", "fit", "--tokens", "char", "--order", str(options.order)],
    }
    for name, command in made.items():
        for part in ("most", "train"):
            source, model = folder / f"{part}.txt", folder / f"{name}.{part}.lm"
            wall, cpu, _ = timed([*LMKIT, *command, "-q", str(source), "-o", str(model)])
        more = ["--stride", "16"] if name == "transformer" else []
        how = {"transformer": "sliding", "lstm": "stateful", "ngram": "lines"}[name]
        print(f"{name:28} {wall:7.1f} s wall {cpu:7.1f} s CPU  {how} {ppl([str(model)], valid, *more):.4f}", flush=True)
    for names in (["lstm", "ngram"], ["transformer", "ngram"], ["lstm", "transformer", "ngram"]):
        tuned = [word for name in names for word in ("-m", str(folder / f"{name}.most.lm"))]
        mix = ["--mix", "auto", "--mix-text", str(folder / "tuning.txt")]
        _, _, output = timed([*LMKIT, "ppl", "-q", "--json", *tuned, *mix, str(folder / "tuning.txt")])
        weights = json.loads(output.splitlines()[-1])["weights"]
        models = [str(folder / f"{name}.train.lm") for name in names]
        shown = ",".join(f"{weight:.4f}" for weight in weights)
        print(f"{' + '.join(names):28} weights {shown}: {ppl(models, valid, '--mix', shown):.4f}", flush=True)


def peak() -> float:
    """Floating-point operations a second of matrix products that stay in the cache."""
    import torch

    left, right = torch.randn(768, 512), torch.randn(512, 512)
    seconds = []
    for _ in range(200):
        begun = time.perf_counter()
        torch.mm(left, right)
        seconds.append(time.perf_counter() - begun)
    return 2 * 768 * 512 * 512 / min(seconds)


def throughput(options: argparse.Namespace, folder: Path) -> None:
    train, valid = split(options, folder)
    most = peak()
    print(f"matrix products: {most / 1e9:.0f} GFLOP/s")
    shape = ["--layers", "4", "--width", "128", "--heads", "4", "--context", "64"]
    gpt2 = ["--preset", "gpt2", *shape, "--optimizer", "adamw", "--lr", "1e-3"]
    tokens = 12 * 64
    for _ in range(options.rounds):
        peer = json.loads(timed([options.peers, PEERS, "train", "4", "128", "4", "64", "12", "67"])[2])["seconds"]
        rates = {"transformers": tokens / peer}
        for name, more in {"lmkit, GPT-2's shape, AdamW": gpt2, "lmkit, its own": shape}.items():
            model = folder / "throughput.lm"
            loop = lmkit_train("transformer", train, model, "--steps", "120", *more)["loop"]
            rates[name] = 120 * tokens / loop
        for name, rate in rates.items():
            print(
                f"training {name:30} {rate:9.0f} tokens/s  {rate * 3 * 2 * 0.8e6 / most:5.1%} of the peak", flush=True
            )
    timed([*LMKIT, "train", "transformer", "-q", *gpt2, "--steps", "20", str(train), "-o", str(folder / "scored.lm")])
    timed([*LMKIT, "convert", "-q", str(folder / "scored.lm"), "-o", str(folder / "scored")])
    for stride in ("32", "64"):
        peer = json.loads(timed([options.peers, PEERS, "score", str(folder / "scored"), str(valid), stride])[2])
        begun = time.perf_counter()
        nats = ppl([str(folder / "scored.lm")], valid, "--stride", stride)
        wall = time.perf_counter() - begun
        size = valid.stat().st_size
        rate = peer["tokens"] / peer["seconds"]
        print(f"scoring, stride {stride}: transformers {rate:.0f} tokens/s ({peer['nats']:.4f})")
        print(f"scoring, stride {stride}: lmkit ppl, whole process {size / wall:.0f} tokens/s ({nats:.4f})", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", choices=["recipe", "best", "throughput"])
    parser.add_argument("text", help="tinyshakespeare's input.txt")
    parser.add_argument("--nanogpt", help="a clone of nanoGPT")
    parser.add_argument("--peers", default=sys.executable, help="a Python with torch and transformers")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--steps", type=int, default=250, help="steps of `recipe`")
    parser.add_argument("--seconds", type=float, default=100.0, help="budget of `best`")
    parser.add_argument("--order", type=int, default=6)
    parser.add_argument("--more", default="", help="more options for `lmkit train transformer`")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        {"recipe": recipe, "best": best, "throughput": throughput}[options.task](options, Path(folder))


if __name__ == "__main__":
    main()
