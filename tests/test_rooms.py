"""Tests of: the packages of lmkit. No text names a package or module that was moved."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
GONE = ("counting", "edge", "embedding", "families", "kinds", "neural", "text", "using")
NAMES = re.compile(rf"\blmkit[./](?:{'|'.join(GONE)})\b")


def test_no_file_names_a_package_that_is_gone():
    sources = [path for folder in ("lmkit", "tests", "benchmarks") for path in (ROOT / folder).rglob("*.py")]
    sources += [ROOT / "pyproject.toml", ROOT / "README.md", ROOT / "lmkit" / "README.md"]
    found = {str(path.relative_to(ROOT)) for path in sources if NAMES.search(path.read_text(encoding="utf-8"))}
    assert not found


def test_packages_that_are_gone_are_gone():
    assert not [name for name in GONE if (ROOT / "lmkit" / name).exists()]
