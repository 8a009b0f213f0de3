"""Compare two checkouts of lmkit: the same command lines must print and write the same bytes.

    python tests/comparison/compare_checkouts.py OLD NEW

OLD and NEW are folders of checkouts; both run under this interpreter. Every line of `command_lines.txt` runs under bash
in a folder of its own for each checkout, in order, so later lines use the files of earlier ones. Compared are exit
status, stdout, and all files at the end; stderr too where the line succeeds. The wording of errors may change.
Exits 1 where anything differs.
"""

import argparse
import hashlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

LINES = Path(__file__).with_name("command_lines.txt")
SECONDS = 300  # after which a line counts as hanging


@dataclass(frozen=True)
class Outcome:
    """How a command line ended."""

    status: int
    stdout: bytes
    stderr: bytes

    def difference(self, other: "Outcome") -> str:
        """Name what differs; empty where nothing does."""
        if self.status != other.status:
            return f"status {self.status} and {other.status}: {_tail(self.stderr)} | {_tail(other.stderr)}"
        if self.stdout != other.stdout:
            return f"stdout: {_first_difference(self.stdout, other.stdout)}"
        if not self.status and self.stderr != other.stderr:
            return f"stderr: {_first_difference(self.stderr, other.stderr)}"
        return ""


def _tail(data: bytes) -> str:
    return data.decode(errors="replace").strip().split("\n")[-1][:100]


def _first_difference(one: bytes, two: bytes) -> str:
    for number, (a, b) in enumerate(zip(one.split(b"\n"), two.split(b"\n"), strict=False), 1):
        if a != b:
            return f"line {number}: {a[:80]!r} and {b[:80]!r}"
    return f"{len(one)} and {len(two)} bytes"


def command_lines() -> list[str]:
    """Return the command lines, without blank lines and comments; a final backslash continues a line."""
    text = LINES.read_text(encoding="utf-8").replace("\\\n", "")
    return [line for line in text.split("\n") if line.strip() and not line.startswith("#")]


def outcomes(checkout: Path, folder: Path, lines: list[str]) -> Iterator[Outcome]:
    """Run the lines one after another in `folder` with the lmkit of `checkout`."""
    (folder / "tmp").mkdir()
    environment = {
        "PATH": os.environ["PATH"], "PYTHONPATH": str(checkout), "HOME": str(folder), "TMPDIR": str(folder / "tmp"),
        "TERM": "dumb", "LANG": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1",
    }  # fmt: skip
    prelude = f'lmkit() {{ "{sys.executable}" -m lmkit "$@"; }}\n'
    work = folder / "work"
    work.mkdir()
    for line in lines:
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-c", prelude + line],
            cwd=work, env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=SECONDS, check=False,
        )  # fmt: skip
        yield Outcome(done.returncode, done.stdout, done.stderr)


def files(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every file below `folder`."""
    paths = sorted(path for path in (folder / "work").rglob("*") if path.is_file())
    return {str(path.relative_to(folder / "work")): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def compare(old: Path, new: Path, lines: list[str]) -> int:
    """Print what differs and a summary; return how many differences there are."""
    differences = failing = 0
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as two, ThreadPoolExecutor(2) as pool:
        runs = [outcomes(checkout, Path(folder), lines) for checkout, folder in ((old, one), (new, two))]
        for line in lines:
            was, now = pool.map(next, runs)
            failing += was.status != 0
            if found := was.difference(now):
                differences += 1
                print(f"DIFFERS {line}\n  {found}", flush=True)
        written, rewritten = files(Path(one)), files(Path(two))
        for name in sorted(written.keys() | rewritten.keys()):
            if written.get(name) != rewritten.get(name):
                differences += 1
                print(f"FILE {name}: {written.get(name, 'absent')[:12]} and {rewritten.get(name, 'absent')[:12]}")
    print(
        f"{len(lines)} command lines, {failing} of them with a status other than 0; {len(written)} files; "
        f"{differences} differences"
    )
    return differences


def main() -> None:
    """Compare the two checkouts named on the command line."""
    parser = argparse.ArgumentParser(description="Compare what two checkouts of lmkit print and write.")
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    parser.add_argument("--list", action="store_true", help="print the first checkout's status and output of each line")
    options = parser.parse_args()
    lines = command_lines()
    if options.list:
        with tempfile.TemporaryDirectory() as folder:
            for line, outcome in zip(lines, outcomes(options.old.resolve(), Path(folder), lines), strict=True):
                print(f"{outcome.status}\t{line}\n\t{_tail(outcome.stdout)}\n\t{_tail(outcome.stderr)}")
        return
    sys.exit(bool(compare(options.old.resolve(), options.new.resolve(), lines)))


if __name__ == "__main__":
    main()
