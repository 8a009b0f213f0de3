"""Words that lmkit's texts do without, since each has a plainer term of the field: `python tests/wording.py`.

Prints where one is in the manual, the README, docs/ or the help of completions, and exits 1.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TEXTS = ("README.md", "docs/*.md", "man/man?/*", "completions/*", "examples/*.mk")
BANNED = re.compile(
    r"\b(told|tells? of|teller|hangs? on|parted|parting|goes on|go on|stands|comes of|nobody|somebody|by itself|"
    r"makes? no sense|do not go together|(?<!there )is none|afresh|whoever)\b",
    re.IGNORECASE,
)


def found() -> list[str]:
    """Return each place of a banned word, as `file:line: word`."""
    places = []
    for pattern in TEXTS:
        for path in sorted(ROOT.glob(pattern)):
            for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), 1):
                places += [f"{path.relative_to(ROOT)}:{number}: {hit[0]}" for hit in BANNED.finditer(line)]
    return places


if __name__ == "__main__":
    print("\n".join(places := found()))
    sys.exit(bool(places))
