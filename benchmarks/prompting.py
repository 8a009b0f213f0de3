"""lmkit prompt answer against lm-evaluation-harness: the same prompts, candidates and weights; seconds and choices.

Made-up reviews with K examples before each, the same ones for all (`same`) or others for each (`drawn`). Models are
`small`, 4 layers of 256 with random weights over subwords, about 4 million parameters, and checkpoints of transformers.
Ours is the whole process, its start included; of the harness only `loglikelihood` is timed, without its start.
"""

import argparse
import json
import os
import random
import shlex
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from measure import Contestant

LMKIT = [sys.executable, "-m", "lmkit"]
PEERS = str(Path(__file__).with_name("prompting_peers.py"))
TEXT = """the a this that film movie plot story actors music ending was is felt seemed never always really quite too not
great awful slow funny moving boring clever flat loud warm and but so because I we loved hated saw left"""
WORDS = TEXT.split()


def review(draw: random.Random) -> str:
    return " ".join(draw.choice(WORDS) for _ in range(draw.randint(15, 25))).capitalize() + "."


def prompts(items: int, shots: int, way: str, labels: list[str]) -> list[str]:
    draw = random.Random(0)
    pool = [(review(draw), draw.choice(labels)) for _ in range(10 * shots)]
    same = pool[:shots]
    found = []
    for _ in range(items):
        shown = same if way == "same" else draw.sample(pool, shots)
        parts = [
            *(f"Review: {text}\nSentiment: {label}" for text, label in shown),
            f"Review: {review(draw)}\nSentiment:",
        ]
        found.append("\n\n".join(parts))
    return found


def small(folder: Path) -> Path:
    """A model with random weights over subwords that are learned first."""
    text, tokenizer, model = folder / "text.txt", folder / "bpe.lm", folder / "small.lm"
    with open(text, "wb") as out:
        subprocess.run([*LMKIT, "data", "text", "python-docs", "-q"], stdout=out, check=True)
    subprocess.run([*LMKIT, "bpe", "train", "-q", "--vocab-size", "4096", "-o", str(tokenizer), str(text)], check=True)
    subprocess.run([sys.executable, PEERS, "make", str(tokenizer), str(model)], check=True)
    return model


def task(options: argparse.Namespace, folder: Path, name: str, model: Path, exported: Path, way: str) -> None:
    requests = folder / "prompts.jsonl"
    records = [{"prompt": text, "joint": " "} for text in prompts(options.items, options.shots, way, options.labels)]
    requests.write_text("".join(json.dumps(record) + "\n" for record in records))
    words = [*LMKIT, "prompt", "answer", "-q", "-m", str(model), "--labels", ",".join(options.labels), str(requests)]
    own = Contestant("lmkit", shlex.join(words))
    theirs: list[dict[str, float]] = []
    for _ in range(options.rounds):
        own.run()
        if options.peers:
            words = [options.peers, PEERS, "harness", str(exported), str(requests), str(options.batch), *options.labels]
            done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False)
            if done.returncode:
                raise SystemExit(f"status {done.returncode}: {shlex.join(words)}")
            theirs.append(json.loads(done.stdout.splitlines()[-1]))
    cpu, wall = statistics.median(own.cpu), statistics.median(own.wall)
    title = f"{name}, {way} examples, {options.items} items; load {os.getloadavg()[0]:.1f}"
    print(f"\n{title}\n{'':12}{'CPU s':>9}{'wall s':>9}\n{'lmkit':12}{cpu:9.1f}{wall:9.1f}", flush=True)
    if theirs:
        other = {key: statistics.median(one[key] for one in theirs) for key in ("cpu", "wall")}
        answers = [json.loads(line) for line in own.output.splitlines()]
        alike = sum(one["answer"] == choice for one, choice in zip(answers, theirs[0]["choices"], strict=True))
        nats = [[one["scores"][label]["none"] for label in options.labels] for one in answers]
        pairs = zip(nats, theirs[0]["nats"], strict=True)
        apart = max(abs(one - other) for mine, its in pairs for one, other in zip(mine, its, strict=True))
        print(f"{'harness':12}{other['cpu']:9.1f}{other['wall']:9.1f}")
        print(f"{'ratio':12}{other['cpu'] / cpu:9.2f}{other['wall'] / wall:9.2f}")
        print(
            f"the same choices: {alike} of {len(answers)}; log-probabilities differ by {apart:.1e} at most", flush=True
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", help="`small`, or a transformer's checkpoint")
    parser.add_argument("--peers", help="a Python with lm_eval, torch and transformers")
    parser.add_argument("--items", type=int, default=1000)
    parser.add_argument("--shots", type=int, default=4)
    parser.add_argument("--labels", nargs=2, default=["positive", "negative"])
    parser.add_argument("--batch", default="64", help="the harness's batch size")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--ways", nargs="+", default=["same", "drawn"], choices=["same", "drawn"])
    options = parser.parse_args()
    os.environ["HF_HUB_OFFLINE"] = "1"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number, each in enumerate(options.models):
            model = small(folder) if each == "small" else Path(each)
            exported = folder / f"exported-{number}"
            if options.peers:
                subprocess.run([*LMKIT, "convert", "-q", str(model), "-o", str(exported)], check=True)
            for way in options.ways:
                task(options, folder, each, model, exported, way)


if __name__ == "__main__":
    main()
