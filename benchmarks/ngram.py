"""lmkit against KenLM: fitting a model of a text, and the perplexity of a text under a model."""

import argparse
import os
import shlex
import sys
import tempfile
from pathlib import Path

from measure import Contestant, compare

LMKIT = f"{shlex.quote(sys.executable)} -m lmkit"


def quoted(*parts: object) -> list[str]:
    return [shlex.quote(str(part)) for part in parts]


def fit(options: argparse.Namespace, folder: Path) -> None:
    for text in options.texts:
        for order in options.order or [3, 5]:
            source, arpa, model = quoted(text, folder / "k.arpa", folder / "m.lm")
            own = f"{LMKIT} ngram fit -q --order {order} {source} -o {model}"
            rows = [
                Contestant("lmkit ngram fit", own),
                Contestant("lmkit ngram fit --threads 1", f"{own} --threads 1"),
                Contestant(f"lmkit ngram fit --memory {options.memory}", f"{own} --memory {options.memory}"),
            ]
            if options.kenlm:
                lmplz = f"{options.kenlm}/lmplz -o {order} -S {options.memory} -T {folder} < {source} > {arpa}"
                binary = f"{options.kenlm}/build_binary trie {arpa} {folder}/k.trie"
                rows.insert(0, Contestant(f"lmplz -S {options.memory}", lmplz))
                rows.append(Contestant("lmplz + build_binary trie", f"{lmplz} && {binary} > /dev/null"))
            compare(f"fit: {Path(text).name}, order {order}", rows, options.rounds)


def query(options: argparse.Namespace, folder: Path) -> None:
    source, model, arpa = quoted(options.train, folder / "m.lm", folder / "k.arpa")
    Contestant("fit", f"{LMKIT} ngram fit -q --order 5 {source} -o {model}").run()
    if options.kenlm:
        bin_ = options.kenlm
        lmplz = f"{bin_}/lmplz -o 5 -S {options.memory} -T {folder} < {source} > {arpa}"
        Contestant("lmplz", f"{lmplz} && {bin_}/build_binary trie {arpa} {folder}/k.trie").run()
        Contestant("probing", f"{bin_}/build_binary probing {arpa} {folder}/k.probing && rm {arpa}").run()
    for text in options.texts:
        (test,) = quoted(text)
        rows = [
            Contestant("lmkit ppl", f"{LMKIT} ppl -b -m {model} {test}"),
            Contestant("lmkit ppl --threads 1", f"{LMKIT} ppl -b --threads 1 -m {model} {test}"),
        ]
        if options.kenlm:
            for kind in ("probing", "trie"):
                command = f"{options.kenlm}/query -v summary {folder}/k.{kind} < {test}"
                rows.insert(0, Contestant(f"query, {kind}", command))
        compare(f"ppl: {Path(text).name} under order 5 of {Path(options.train).name}", rows, options.rounds)
        for row in rows:
            print(f"  {row.name}: {row.output.strip().splitlines()[0]}")
    compare(
        "next word of a mapped model",
        [Contestant("lmkit next", f"{LMKIT} next -m {model} --prompt 'once upon a' --top 1")],
        options.rounds,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("task", choices=["fit", "query"])
    parser.add_argument("texts", nargs="+")
    parser.add_argument("--kenlm", help="folder with lmplz, build_binary and query")
    parser.add_argument("--order", type=int, action="append")
    parser.add_argument("--train", help="text whose model is queried")
    parser.add_argument("--memory", default="1G")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as folder:
        {"fit": fit, "query": query}[options.task](options, Path(folder))


if __name__ == "__main__":
    main()
