"""lmkit w2v train against gensim, fastText and the original word2vec: cost and quality of the same runs.

Whole commands, in turn, with the same hyper-parameters: 100 numbers, window 5, 5 negatives, sample 1e-4, words
seen 5 times. A contestant is TOOL[:THREADS][@RATE], such as lmkit, gensim:1 or word2vec:2@0.05. The first run of
lmkit, which compiles, is reported apart. Quality is what `lmkit w2v eval` says of all of them: questions-words with
the 30,000 most frequent words, and Spearman's correlation with files of word pairs that people have scored. Means
and standard errors over seeds; "from best" is the distance to the best peer in standard errors of the difference.

With --log each run is a line in a file; runs that stand there are not made again, so that a benchmark can be
stopped and gone on with. --more adds to the name, so that variants stand beside each other.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from measure import Contestant

LMKIT = f"{sys.executable} -m lmkit"
PEERS = str(Path(__file__).with_name("w2v_peers.py"))
OWN = ("lmkit", "hogwild")
RATES = {"skipgram": 0.025, "cbow": 0.05}
COSTS = ("cpu", "wall", "peak")


class Entry(NamedTuple):
    """One contestant on one architecture: its name is as it was asked for."""

    name: str
    arch: str
    options: argparse.Namespace

    @property
    def tool(self) -> str:
        return self.name.partition("@")[0].partition(":")[0]

    @property
    def threads(self) -> int:
        return int(self.name.partition("@")[0].partition(":")[2] or self.options.threads)

    @property
    def rate(self) -> float:
        return float(self.name.partition("@")[2] or RATES[self.arch])

    @property
    def title(self) -> str:
        return f"{self.name} {self.options.more}".strip() if self.tool in OWN else self.name

    def train(self, seed: int, out: Path) -> str:
        """A command that writes word2vec's binary file, or lmkit's own."""
        asked = self.options
        if self.tool in OWN:
            return (
                f"{LMKIT} w2v train -q --arch {self.arch} --dim 100 --window 5 --negatives 5 --sample 1e-4 "
                f"--min-count 5 --lr {self.rate} --epochs {asked.epochs} --seed {seed} --threads {self.threads} "
                f"{'--hogwild ' if self.tool == 'hogwild' else ''}{asked.more} {asked.text} -o {out}"
            )
        if self.tool == "word2vec":
            return (
                f"{asked.word2vec} -train {asked.text} -output {out} -size 100 -window 5 -negative 5 -sample 1e-4 "
                f"-min-count 5 -cbow {int(self.arch == 'cbow')} -alpha {self.rate} -threads {self.threads} "
                f"-iter {asked.epochs} -binary 1 -debug 0"
            )
        told = {
            "dim": 100, "window": 5, "negatives": 5, "sample": 1e-4, "min_count": 5, "arch": self.arch,
            "threads": self.threads, "epochs": asked.epochs, "seed": seed, "lr": self.rate,
        }  # fmt: skip
        return f"{asked.peers} {PEERS} {self.tool} {asked.text} {out} '{json.dumps(told)}'"

    def run(self, seed: int, folder: Path) -> dict:
        """Trains and judges: costs, percent of analogies, correlations."""
        out, model = folder / "vectors.bin", folder / "vectors.lm"
        contestant = Contestant(self.title, self.train(seed, model if self.tool in OWN else out))
        contestant.run()
        if self.tool not in OWN:
            subprocess.run([*LMKIT.split(), "w2v", "import", "-q", str(out), "-o", str(model)], check=True)
        costs = {what: round(getattr(contestant, what)[0], 2) for what in COSTS}
        return {**costs, **judged(model, [self.options.questions, *self.options.pairs])}


def judged(model: Path, files: list[str]) -> dict[str, float]:
    """What `lmkit w2v eval` says: percent right of semantic, syntactic and all analogies, and rho of each file."""
    command = [*LMKIT.split(), "w2v", "eval", "-m", str(model), "--json", *files]
    found: dict[str, float] = {}
    for line in subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout.splitlines():
        record = json.loads(line)
        if record.get("section") in ("semantic", "syntactic", "total"):
            found[record["section"]] = 100 * (record["accuracy"] or 0.0)
        elif "spearman" in record:
            found[Path(record["file"]).stem] = record["spearman"]
    return found


class Log:
    """Results by architecture, epochs, text, contestant and seed; in a file too, where one is named."""

    def __init__(self, name: str | None) -> None:
        self.path = Path(name) if name else None
        lines = self.path.read_text().splitlines() if self.path and self.path.exists() else []
        self.held = {tuple(key): result for key, result in map(json.loads, lines)}

    def add(self, key: tuple, result: dict) -> None:
        self.held[key] = result
        if self.path:
            with self.path.open("a") as file:
                file.write(json.dumps([key, result]) + "\n")


def key(entry: Entry, seed: int) -> tuple:
    return (entry.arch, entry.options.epochs, Path(entry.options.text).name, entry.title, seed)


def error(values: list[float]) -> float:
    """The standard error of a mean."""
    return statistics.stdev(values) / len(values) ** 0.5 if len(values) > 1 else 0.0


def apart(values: list[float], others: list[float]) -> str:
    """A difference of means in its standard errors."""
    both = (error(values) ** 2 + error(others) ** 2) ** 0.5
    return f"{(statistics.mean(values) - statistics.mean(others)) / both:+.1f}" if both else ""


def show(arch: str, options: argparse.Namespace, results: dict[tuple[str, str], list[dict]]) -> None:
    """A table of one architecture: results by tool and title."""
    peers = [runs for (tool, _), runs in results.items() if tool not in OWN]
    fastest = min((statistics.median(run["cpu"] for run in runs) for runs in peers), default=0.0)
    measures = [name for name in next(iter(results.values()))[0] if name not in COSTS]

    def values(runs: list[dict], measure: str) -> list[float]:
        return [run[measure] for run in runs]

    best = {name: max((values(runs, name) for runs in peers), key=statistics.mean, default=[0.0]) for name in measures}
    print(f"\n{arch}, {options.epochs} epochs of {options.text}; ratio: CPU of the fastest peer over the row's")
    header = "".join(f"{name + ' (from best)':>24}" for name in measures)
    print(f"{'':28}{'n':>3}{'CPU s':>8}{'ratio':>7}{'wall s':>8}{'peak MB':>9}{header}")
    for (_, title), runs in results.items():
        cpu, wall, peak = (statistics.median(values(runs, what)) for what in COSTS)
        line = f"{title:28}{len(runs):3}{cpu:8.1f}{fastest / cpu:7.2f}{wall:8.1f}{peak:9.0f}"
        for name in measures:
            found = values(runs, name)
            shown = f"{statistics.mean(found):.3f} ±{error(found):.3f}"
            line += f"{f'{shown} {apart(found, best[name]):>5}':>24}"
        print(line, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("text", help="words between spaces, texts on lines")
    parser.add_argument("questions", help="questions-words.txt")
    parser.add_argument("--pairs", nargs="*", default=[], help="files of scored pairs: WordSim-353, SimLex-999")
    parser.add_argument("--peers", default=sys.executable, help="a Python with gensim and fasttext")
    parser.add_argument("--word2vec", default="word2vec", help="the original program")
    parser.add_argument("--only", default="lmkit,gensim", help="of lmkit, hogwild, gensim, fasttext, word2vec")
    parser.add_argument("--arch", default="skipgram,cbow")
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--more", default="", help="more options for `lmkit w2v train`")
    parser.add_argument("--log", metavar="FILE", help="keep results there, and go on from those that it has")
    options = parser.parse_args()
    log = Log(options.log)
    with tempfile.TemporaryDirectory() as folder:
        for arch in options.arch.split(","):
            told = f"w2v train -q --arch {arch} --negatives 5 --epochs 1 -o {folder}/x"
            first = Contestant("first", f"head -n 200 {options.text} | {LMKIT} {told}")
            first.run()
            print(f"{arch}: a first run on little text {first.cpu[0]:.1f} s of CPU, compiling what is not yet")
            entries = [Entry(name, arch, options) for name in options.only.split(",")]
            results: dict[tuple[str, str], list[dict]] = {}
            for seed in range(1, options.seeds + 1):
                for entry in entries:
                    if key(entry, seed) not in log.held:
                        log.add(key(entry, seed), entry.run(seed, Path(folder)))
                    results.setdefault((entry.tool, entry.title), []).append(log.held[key(entry, seed)])
            show(arch, options, results)


if __name__ == "__main__":
    main()
