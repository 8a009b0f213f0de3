"""lmkit bpe against Hugging Face tokenizers, SentencePiece, tiktoken and others: training, encoding, decoding.

Encoding and decoding are whole processes from stdin to stdout. lmkit, tiktoken and Hugging Face have the
same 32k vocabulary and must print the same ids; SentencePiece has its own of that size.
"""

import argparse
import hashlib
import os
import shlex
import shutil
import sys
import tempfile
from pathlib import Path

from measure import Contestant, compare

LMKIT = f"{shlex.quote(sys.executable)} -m lmkit"
PEERS = shlex.quote(str(Path(__file__).with_name("bpe_peers.py")))


def train(options: argparse.Namespace, folder: Path) -> None:
    for text in options.texts:
        source = shlex.quote(text)
        for size in options.size or [8000, 32000]:
            own = f"{LMKIT} bpe train -q --vocab-size {size} {source} -o {folder}/own.lm"
            rows = [Contestant("lmkit bpe train", own)]
            if options.peers:
                peers = {
                    "Hugging Face tokenizers": "hf-train",
                    "sentencepiece": "spm-train",
                    "rustbpe": "rustbpe-train",
                }
                peers |= {"gigabpe": "gigabpe-train"} if options.gigabpe else {}
                for name, task in reversed(peers.items()):
                    rows.insert(0, Contestant(name, f"{options.peers} {PEERS} {task} {source} {size} {folder}/peer"))
            compare(f"train: {Path(text).name}, {size} pieces", rows, options.rounds)


def _models(options: argparse.Namespace, folder: Path) -> None:
    """The same merges for lmkit, tiktoken and Hugging Face, and a SentencePiece model, from the first text."""
    source = shlex.quote(options.train)
    steps = [f"{LMKIT} bpe train -q --vocab-size 32000 {source} -o {folder}/own.lm"]
    if options.peers:
        steps = [
            f"{options.peers} {PEERS} hf-train {source} 32000 {folder}/hf.json",
            f"{options.peers} {PEERS} write-ranks {folder}/hf.json {folder}/ranks",
            f"{options.peers} {PEERS} spm-train {source} 32000 {folder}/spm",
            f"{LMKIT} bpe import -q {folder}/hf.json -o {folder}/own.lm",
        ]
    for step in steps:
        Contestant("prepare", step).run()


def encode(options: argparse.Namespace, folder: Path) -> None:
    _models(options, folder)
    for text in options.texts:
        source = shlex.quote(text)
        own = f"{LMKIT} bpe encode -q -m {folder}/own.lm"
        rows = [
            Contestant("lmkit bpe encode", f"{own} < {source} > {folder}/own.ids"),
            Contestant("lmkit bpe encode --as npy", f"{own} --as npy < {source} > {folder}/own.npy"),
        ]
        if options.peers:
            command = f"{options.peers} {PEERS} tiktoken-encode {folder}/ranks < {source} > {folder}/tiktoken.ids"
            rows.insert(0, Contestant("tiktoken loop", command))
            if shutil.which("spm_encode"):
                command = f"spm_encode --model={folder}/spm.model --output_format=id < {source} > {folder}/spm.ids"
                rows.insert(0, Contestant("spm_encode", command))
        compare(f"encode: {Path(text).name}", rows, options.rounds)
        for name in ("own", "tiktoken"):
            path = folder / f"{name}.ids"
            if path.exists():
                print(f"  {name}: {hashlib.md5(path.read_bytes()).hexdigest()}")


def decode(options: argparse.Namespace, folder: Path) -> None:
    _models(options, folder)
    for text in options.texts:
        source, own = shlex.quote(text), f"{LMKIT} bpe decode -q -m {folder}/own.lm"
        Contestant("ids", f"{LMKIT} bpe encode -q -m {folder}/own.lm < {source} > {folder}/ids").run()
        rows = [Contestant("lmkit bpe decode", f"{own} < {folder}/ids | cmp - {source}")]
        if options.peers:
            command = f"{options.peers} {PEERS} tiktoken-decode {folder}/ranks < {folder}/ids | cmp - {source}"
            rows.insert(0, Contestant("tiktoken loop", command))
            if shutil.which("spm_decode"):
                ids = f"{folder}/spm.ids"
                Contestant("ids", f"spm_encode --model={folder}/spm.model --output_format=id < {source} > {ids}").run()
                command = f"spm_decode --model={folder}/spm.model --input_format=id < {ids} > {folder}/text"
                rows.insert(0, Contestant("spm_decode", command))
        compare(f"decode: {Path(text).name}", rows, options.rounds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("task", choices=["train", "encode", "decode"])
    parser.add_argument("texts", nargs="+")
    parser.add_argument("--peers", help="interpreter that has tokenizers, tiktoken, sentencepiece, rustbpe")
    parser.add_argument("--gigabpe", action="store_true", help="measure gigabpe too")
    parser.add_argument("--size", type=int, action="append")
    parser.add_argument("--train", help="text that the vocabularies are learned from; default: the first text")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    options.train = options.train or options.texts[0]
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as folder:
        {"train": train, "encode": encode, "decode": decode}[options.task](options, Path(folder))


if __name__ == "__main__":
    main()
