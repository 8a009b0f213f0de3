"""Words that lmkit's texts do without, since each has a plainer term of the field: `python tests/wording.py`.

Prints where one is in the manual, the README, docs/, examples, completions, or a string of the code (help, messages,
docstrings), and exits 1.
"""

import io
import re
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TEXTS = ("README.md", "docs/*.md", "man/man?/*", "completions/*", "examples/*.mk", "lmkit/README.md")
BANNED = re.compile(
    r"\b([Tt]old|[Tt]ells? of|[Tt]eller|[Hh]angs? on|[Pp]arted|parting|[Gg]oes on|[Gg]o on|[Ss]tands|[Cc]omes of|"
    r"whole or not at all|"
    r"[Nn]obody|[Ss]omebody|by itself|makes? no sense|do not go together|(?<!there )is none|[Aa]fresh|[Ww]hoever)\b"
)


def strings(source: str) -> Iterator[tuple[int, str]]:
    """Yield the lines of string literals, with their numbers; of f-strings the text (from Python 3.12 on)."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if tokenize.tok_name[token.type] in ("STRING", "FSTRING_MIDDLE"):
            for number, line in enumerate(token.string.split("\n"), token.start[0]):
                yield number, re.sub(r"\{\w+\}", "", line)


def found() -> Iterator[str]:
    """Yield each place of a banned word, as `file:line: word`."""
    for path in (path for pattern in TEXTS for path in sorted(ROOT.glob(pattern))):
        for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), 1):
            yield from (f"{path.relative_to(ROOT)}:{number}: {hit[0]}" for hit in BANNED.finditer(line))
    for path in sorted((ROOT / "lmkit").rglob("*.py")):
        name = path.relative_to(ROOT).as_posix()
        for number, line in strings(path.read_text(encoding="utf-8")):
            yield from (f"{name}:{number}: {hit[0]}" for hit in BANNED.finditer(line))


if __name__ == "__main__":
    print("\n".join(places := list(found())))
    sys.exit(bool(places))
