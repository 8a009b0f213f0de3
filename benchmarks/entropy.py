"""lmkit entropy: bytes against `ent`, where there is one; longer histories in bounded memory."""

import argparse
import shlex
import shutil
import sys
from pathlib import Path

from measure import Contestant, compare

LMKIT = f"{shlex.quote(sys.executable)} -m lmkit entropy -q -b"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("texts", nargs="+")
    parser.add_argument("--memory", default="300M")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    for text in options.texts:
        source, name = shlex.quote(text), Path(text).name
        rows = [Contestant("lmkit entropy", f"{LMKIT} {source}"), Contestant("cat", f"cat {source} > /dev/null")]
        if shutil.which("ent"):
            rows.insert(0, Contestant("ent", f"ent -t {source}"))
        compare(f"bytes, order 0: {name}", rows, options.rounds)
        rows = [Contestant(f"--unit-of {unit}", f"{LMKIT} --unit-of {unit} {source}") for unit in ("char", "word")]
        compare(f"order 0: {name}", rows, options.rounds)
        five = f"{LMKIT} --unit-of char --order 5 {source}"
        rows = [
            Contestant("--order 5", five),
            Contestant(f"--memory {options.memory}", f"{five} --memory {options.memory}"),
        ]
        compare(f"characters, order 5: {name}", rows, options.rounds)


if __name__ == "__main__":
    main()
