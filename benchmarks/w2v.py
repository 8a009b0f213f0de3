"""lmkit w2v train against gensim, fastText and the original word2vec: time and quality of the same runs.

Whole commands, in turn, with the same hyper-parameters; the first run of lmkit, which compiles, is reported
apart. Quality: questions-words with the 30,000 most frequent words, and Spearman's correlation with files of
word pairs that people have scored, by the same code for all; means and standard errors over seeds.
"""

import argparse
import json
import statistics
import struct
import sys
import tempfile
from pathlib import Path

import numpy as np
from measure import Contestant

LMKIT = [sys.executable, "-m", "lmkit"]
PEERS = str(Path(__file__).with_name("w2v_peers.py"))
LIMIT = 30_000
RATES = {"skipgram": 0.025, "cbow": 0.05}


def settings(options: argparse.Namespace, arch: str, seed: int) -> dict:
    told = {"dim": 100, "window": 5, "negatives": 5, "sample": 1e-4, "min_count": 5}
    return {
        **told, "arch": arch, "threads": options.threads, "epochs": options.epochs, "seed": seed,
        "lr": options.lr or RATES[arch],
    }  # fmt: skip


def contestants(options: argparse.Namespace, arch: str, seed: int, folder: Path) -> dict[str, Contestant]:
    """Commands that train, each with what it writes as {name}.{seed}."""
    told = settings(options, arch, seed)
    own = (
        f"{' '.join(LMKIT)} w2v train -q --arch {arch} --dim 100 --window 5 --negatives 5 --sample 1e-4 --min-count 5 "
        f"--lr {told['lr']} --epochs {options.epochs} --seed {seed} {options.more} {options.text}"
    )
    made = {}
    for name in options.only.split(","):
        out = folder / f"{name}.{arch}.{seed}"
        command = {
            "lmkit": f"{own} --threads {options.threads} -o {out}",
            "hogwild": f"{own} --threads {options.threads} --hogwild -o {out}",
            "word2vec": f"{options.word2vec} -train {options.text} -output {out} -size 100 -window 5 -negative 5 "
            f"-sample 1e-4 -min-count 5 -cbow {int(arch == 'cbow')} -alpha {told['lr']} -threads {options.threads} "
            f"-iter {options.epochs} -binary 1 -debug 0",
        }.get(name, f"{options.peers} {PEERS} {name} {options.text} {out}.npz '{json.dumps(told)}'")
        made[name] = Contestant(name, command)
    return made


def read(name: str, out: Path) -> tuple[list[bytes], np.ndarray]:
    """Words by falling count, and their vectors."""
    if name in ("lmkit", "hogwild"):
        from lmkit import kinds

        space = kinds.load(memoryview(out.read_bytes()), str(out))
        return [space.tokenizer.piece(token) for token in space.words()], space.centre[space.words()]
    if name == "word2vec":
        data = out.read_bytes()
        head, rest = data.split(b"\n", 1)
        (size, dim), place, words, vectors = map(int, head.split()), 0, [], []
        for _ in range(size):
            end = rest.index(b" ", place)
            words.append(rest[place:end].lstrip(b"\n"))
            vectors.append(struct.unpack_from(f"{dim}f", rest, end + 1))
            place = end + 1 + 4 * dim
        return words[1:], np.array(vectors[1:], dtype=np.float32)  # the first is </s>
    held = np.load(f"{out}.npz")
    return held["words"].tolist(), held["vectors"]


class Quality:
    """Analogies and pairs of words that vectors are asked."""

    def __init__(self, options: argparse.Namespace) -> None:
        lines = Path(options.questions).read_text().lower().splitlines()
        self.questions = [line.split() for line in lines if line and line[0] != ":"]
        self.pairs = {Path(name).stem: pairs(Path(name)) for name in options.pairs}

    def ask(self, words: list[bytes], vectors: np.ndarray) -> dict[str, float]:
        """Percent of analogies answered, of those whose words are known, and correlations."""
        places: dict[str, int] = {}
        for place, word in enumerate(words):
            places.setdefault(word.decode(errors="replace").lower(), place)
        units = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
        frequent = {word: place for word, place in places.items() if place < LIMIT}
        known = np.array([[frequent[w] for w in q] for q in self.questions if all(w in frequent for w in q)])
        found = {"analogies": 100 * statistics.mean(answered(units[:LIMIT], known).tolist())}
        for name, scored in self.pairs.items():
            both = [(places[a], places[b], score) for a, b, score in scored if a in places and b in places]
            one, other, scores = map(np.array, zip(*both, strict=True))
            found[name] = float(np.corrcoef(ranks((units[one] * units[other]).sum(1)), ranks(scores))[0, 1])
        return found


def pairs(path: Path) -> list[tuple[str, str, float]]:
    """Lines of two words and a score, other lines left out."""
    found = []
    for line in path.read_text().splitlines():
        fields = line.replace("\t", " ").split()
        if len(fields) == 3 and line[0] != "#":
            found.append((fields[0].lower(), fields[1].lower(), float(fields[2])))
    return found


def ranks(values: np.ndarray) -> np.ndarray:
    """Ranks, the mean one where values are equal."""
    _, group, sizes = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(sizes) - (sizes - 1) / 2)[group]


def answered(units: np.ndarray, questions: np.ndarray) -> np.ndarray:
    """Whether 3CosAdd finds the fourth word."""
    right = []
    for begin in range(0, len(questions), 500):
        a, b, c, d = questions[begin : begin + 500].T
        scores = (units[b] - units[a] + units[c]) @ units.T
        for asked in (a, b, c):
            scores[np.arange(len(a)), asked] = -np.inf
        right.append(scores.argmax(axis=1) == d)
    return np.concatenate(right)


def compare(options: argparse.Namespace, arch: str, folder: Path) -> None:
    quality = Quality(options)
    runs: dict[str, list[Contestant]] = {}
    found: dict[str, list[dict[str, float]]] = {}
    for seed in range(1, options.seeds + 1):
        for name, contestant in contestants(options, arch, seed, folder).items():
            contestant.run()
            out = folder / f"{name}.{arch}.{seed}"
            runs.setdefault(name, []).append(contestant)
            found.setdefault(name, []).append(quality.ask(*read(name, out)))
            for made in folder.glob(f"{name}.{arch}.{seed}*"):
                made.unlink()

    def median(name: str, what: str) -> float:
        return statistics.median(getattr(run, what)[0] for run in runs[name])

    best = min((median(name, "cpu") for name in runs if name not in ("lmkit", "hogwild")), default=0.0)
    print(f"\n{arch}, {options.epochs} epochs of {options.text}; ratio: CPU of the fastest peer over the row's")
    print(f"{'':10}{'CPU s':>8}{'ratio':>7}{'wall s':>8}{'peak MB':>9}  quality")
    for name, answers in found.items():
        shown = []
        for key in answers[0]:
            values = [answer[key] for answer in answers]
            error = statistics.stdev(values) / len(values) ** 0.5 if len(values) > 1 else 0.0
            shown.append(f"{key} {statistics.mean(values):.3f} ±{error:.3f}")
        cpu = median(name, "cpu")
        line = f"{cpu:8.1f}{best / cpu:7.2f}{median(name, 'wall'):8.1f}{median(name, 'peak'):9.0f}"
        print(f"{name:10}{line}  {'  '.join(shown)}", flush=True)


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
    parser.add_argument("--lr", type=float, help="default: 0.025, cbow 0.05")
    parser.add_argument("--more", default="", help="more options for `lmkit w2v train`")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for arch in options.arch.split(","):
            first = Contestant(
                "first",
                f"head -n 200 {options.text} | {' '.join(LMKIT)} w2v train -q --arch {arch} --epochs 1 -o {folder}/x",
            )
            first.run()
            print(f"{arch}: a first run on little text {first.cpu[0]:.1f} s of CPU, compiling what is not yet")
            compare(options, arch, Path(folder))


if __name__ == "__main__":
    main()
