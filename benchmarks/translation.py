"""Training a translator: lmkit's both architectures beside JoeyNMT and a MarianMT from scratch, at equal CPU time.

    python benchmarks/translation.py DATA --seconds 360 --peers /path/of/joeynmt
    python benchmarks/translation.py DATA --seconds 1200 --only rnn
    python benchmarks/translation.py DATA --speed --seconds 30 --rounds 3 --peers /path/of/joeynmt

DATA has train, val and test with the suffixes `--suffixes` (.es .en). All contestants have the same BPE tokenizers of
4,000 pieces a side, one process and --threads (1), and train until so many CPU seconds (user + system; reading,
encoding and imports not counted) are over; lmkit's --budget is given that clock here. BLEU is sacrebleu's, of the first
1,000 test lines, greedy and with five beams. `--speed` trains in turn at JoeyNMT's shape (two layers of 128, feed-
forward blocks of as many weights) and prints medians of pairs per CPU second. `--peers` is a folder that
`pip install --target FOLDER --no-deps joeynmt subword-nmt` made; its dependencies but tensorboard are needed too.
`--options="--width 128"` goes to `lmkit train seq2seq`.
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
from types import SimpleNamespace

HERE = Path(__file__).parent
TESTED, VOCABULARY = 1000, 4000
OURS, PEERS = ("rnn", "transformer"), ("joeynmt", "marian")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--suffixes", nargs=2, default=(".es", ".en"))
    parser.add_argument("--seconds", type=float, default=360.0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--only", choices=OURS + PEERS, action="append")
    parser.add_argument("--peers", type=Path, help="folder with joeynmt")
    parser.add_argument("--work", type=Path, help="folder for what is made; else a temporary one")
    parser.add_argument("--speed", action="store_true")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--child", choices=OURS, help=argparse.SUPPRESS)
    parser.add_argument("--options", default="", help='of `lmkit train seq2seq`, as --options="--width 128"')
    return parser.parse_args()


def lmkit(options, work, *command, source=None, target=None):
    """One lmkit command as a process of its own, from and to files; its CPU seconds."""
    before = os.times()
    with open(source or os.devnull, "rb") as read, open(target or os.devnull, "wb") as write:
        subprocess.run([sys.executable, "-m", "lmkit", *map(str, command)], stdin=read, stdout=write, check=True)
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


def prepare(options, work):
    """Tokenizers of both sides, the tested lines, and all texts as ids and pieces for the peers."""
    for side, suffix in zip(("source", "target"), options.suffixes, strict=True):
        tokens = work / f"{side}.bpe"
        train, test = (options.data / f"{part}{suffix}" for part in ("train", "test"))
        (work / f"test.{side}").write_text("".join(test.open(encoding="utf-8").readlines()[:TESTED]), encoding="utf-8")
        lmkit(options, work, "bpe", "train", "-q", "--vocab-size", VOCABULARY, train, "-o", tokens)
        for part, name in (("train", train), ("test", work / f"test.{side}")):
            for form in ("ids", "pieces"):
                made = work / f"{part}.{form}.{side}"
                lmkit(options, work, "bpe", "encode", "-m", tokens, "--as", form, "-o", made, name)


def child(options):
    """Train lmkit's model in this process, its budget in CPU seconds; print how many pairs it saw in how many."""
    from lmkit.cli import main
    from lmkit.training import pair_batches, trainer

    trainer.time = SimpleNamespace(perf_counter=time.process_time)
    seen = {"pairs": 0, "seconds": 0.0}
    step = trainer.Trainer._take_step

    def counted(self):
        event = step(self)
        seen["seconds"] = event.seconds
        return event

    batch = pair_batches.ShuffledPairs.batch

    def chosen(self, number):
        found = batch(self, number)
        seen["pairs"] += found.rows
        return found

    trainer.Trainer._take_step, pair_batches.ShuffledPairs.batch = counted, chosen
    work = options.work
    sides = [argument for side, suffix in zip(("source", "target"), options.suffixes, strict=True)
             for argument in (f"--{side}", f"{options.data}/train{suffix}",
                              f"--valid-{side}", f"{options.data}/val{suffix}")]  # fmt: skip
    try:
        main([
            "train", "seq2seq", "--arch", options.child, *sides, "--tokens", f"{work}/source.bpe", "--target-tokens",
            f"{work}/target.bpe", "--budget", f"{options.seconds}s", "--threads", str(options.threads), "--restart",
            "--save-every", "1e9", "-o", f"{work}/{options.child}.lm", "--log", f"{work}/{options.child}.jsonl",
            *shlex.split(options.options),
        ])  # fmt: skip
    except SystemExit as end:
        if end.code:
            raise
    print(json.dumps(seen))


def train(options, work, name, decode):
    """What a contestant's process says of its training."""
    environment = {**os.environ, "OMP_NUM_THREADS": str(options.threads), "MKL_NUM_THREADS": str(options.threads)}
    if name in OURS:
        own = [
            HERE / "translation.py", options.data, "--suffixes", *options.suffixes, "--child", name, "--work", work,
            "--threads", options.threads, "--seconds", options.seconds, f"--options={options.options}",
        ]  # fmt: skip
    else:
        own = [HERE / "translation_peers.py", name, work, "--seconds", options.seconds]
        own += [] if decode else ["--no-decode"]
        if options.peers:
            environment["PYTHONPATH"] = f"{options.peers.resolve()}:{environment.get('PYTHONPATH', '')}"
    made = subprocess.run(
        [sys.executable, *map(str, own)], env=environment, stdout=subprocess.PIPE, text=True, check=True
    )
    return json.loads(made.stdout.splitlines()[-1])


def texts(options, work, name, made):
    """Write WORK/NAME.greedy and WORK/NAME.beam; add the CPU seconds of lmkit's searches, with start-up."""
    for search, more in (("greedy", []), ("beam", ["--beam", 5, "--length-penalty", 1, "--beam-patience", 1])):
        target = work / f"{name}.{search}"
        if name in OURS:
            command = ["sample", "-m", work / f"{name}.lm", "--threads", options.threads, *more]
            made[f"{search} seconds"] = lmkit(options, work, *command, source=work / "test.source", target=target)
        else:
            form = ["--as", "pieces"] if name == "joeynmt" else ["-m", work / "target.bpe"]
            lmkit(options, work, "bpe", "decode", *form, work / f"{name}.{search}.tokens", "-o", target)


def bleu(work, name):
    from sacrebleu.metrics import BLEU

    def lines(name):
        return (work / name).read_text(encoding="utf-8").split("\n")[:TESTED]

    return BLEU().corpus_score(lines(name), [lines("test.target")]).score


def quality(options, work):
    print(f"{'':14}{'pairs':>9}{'pairs/CPU s':>13}{'BLEU greedy':>13}{'beam 5':>8}{'sentences/CPU s':>17}{'beam 5':>8}")
    for name in options.only or OURS + PEERS:
        made = train(options, work, name, decode=True)
        texts(options, work, name, made)
        scores = [bleu(work, f"{name}.{search}") for search in ("greedy", "beam")]
        speeds = [TESTED / made[f"{search} seconds"] for search in ("greedy", "beam")]
        print(
            f"{name:14}{made['pairs']:9,}{made['pairs'] / made['seconds']:13.0f}{scores[0]:13.1f}{scores[1]:8.1f}"
            f"{speeds[0]:17.0f}{speeds[1]:8.0f}", flush=True,
        )  # fmt: skip


def speed(options, work):
    """Pairs per CPU second at one shape, in turn."""
    names = options.only or ("joeynmt", "transformer", "rnn")
    found = {name: [] for name in names}
    for _ in range(options.rounds):
        for name in names:
            made = train(options, work, name, decode=False)
            found[name].append(made["pairs"] / made["seconds"])
            print(f"{name}: {found[name][-1]:.0f}", file=sys.stderr, flush=True)
    reference = statistics.median(found[names[0]])
    for name, rates in found.items():
        median = statistics.median(rates)
        print(f"{name:14}{median:9.0f} pairs/CPU s{median / reference:9.2f}  {' '.join(f'{one:.0f}' for one in rates)}")


def main():
    options = arguments()
    if options.child:
        child(options)
        return
    with tempfile.TemporaryDirectory() as temporary:
        work = options.work or Path(temporary)
        work.mkdir(exist_ok=True)
        if not (work / "test.pieces.target").exists():
            prepare(options, work)
        (speed if options.speed else quality)(options, work)


if __name__ == "__main__":
    main()
