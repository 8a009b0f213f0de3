"""Draws docs/tour.svg: a terminal in which the commands below are run. `python docs/tour.py` from a checkout."""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console  # noqa: TID253
from rich.text import Text  # noqa: TID253

COMMANDS = """
lmkit data text python-docs -o docs.txt
awk 'NR % 10' docs.txt > train.txt; awk 'NR % 10 == 0' docs.txt > test.txt
lmkit ngram fit -q --order 5 train.txt -o words.lm
lmkit ngram fit -q --order 2 train.txt -o bigrams.lm
lmkit ppl -q -m words.lm -m bigrams.lm test.txt | cut -f 1,3,11
lmkit next -m words.lm --prompt "the value of" --top 4 --term
lmkit ngram fit -q --order 8 --tokens char train.txt -o chars.lm
lmkit sample -m chars.lm -n 3 --prompt "The " --echo -t 0.7 --top-p 0.9
lmkit compress -q -m chars.lm test.txt | wc -c; gzip -9c test.txt | wc -c
"""
FONT = re.compile(r"@font-face \{\{.*?\}\}\n", re.DOTALL)
ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    """Run the commands in an empty folder and write the picture."""
    from rich._export_format import CONSOLE_SVG_FORMAT

    console = Console(record=True, width=80, file=open(os.devnull, "w"), force_terminal=True)  # noqa: SIM115
    with tempfile.TemporaryDirectory() as folder:
        shim = Path(folder) / "lmkit"
        shim.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m lmkit "$@"\n')
        shim.chmod(0o755)
        environment = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT), "COLUMNS": "80"}
        for command in COMMANDS.strip().split("\n"):
            console.print(Text.assemble(("$ ", "bold green"), (command, "bold")))
            done = subprocess.run(
                ["bash", "-c", command], cwd=folder, env=environment, capture_output=True, text=True, check=True
            )
            console.print(Text(done.stdout.expandtabs(12)), end="")
    svg = console.export_svg(title="lmkit", code_format=FONT.sub("", CONSOLE_SVG_FORMAT), unique_id="tour")
    (ROOT / "docs" / "tour.svg").write_text(re.sub(r" *<!-- .*? -->\n", "", svg), encoding="utf-8")


if __name__ == "__main__":
    main()
