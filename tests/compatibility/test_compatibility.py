"""Files that earlier versions wrote are read, and answered from as then. See make_files.py."""

import re
import shlex
import shutil
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parent
NUMBER = re.compile(r"-?\d+\.\d+(?:e[+-]\d+)?")
TOLERANCE = 1e-4  # relative: float32 sums in another order, over a few tokens
CASES = [
    (answers.parent.name, command, shown)
    for answers in sorted(FOLDER.glob("*/answers.txt"))
    for command, _, shown in (block.partition("\n") for block in re.split(r"^\$ ", answers.read_text(), flags=re.M)[1:])
]


def in_shell(command):
    """Whether a line is more than one command."""
    return "|" in command or "&&" in command


@pytest.mark.parametrize(
    ("version", "command", "shown"),
    [pytest.param(*case, marks=[pytest.mark.slow] if in_shell(case[1]) else []) for case in CASES],
    ids=[f"{version}: {command}" for version, command, _ in CASES],
)
def test_an_earlier_answer(version, command, shown, lmkit, shell, work):
    for file in (FOLDER / version).iterdir():
        shutil.copy(file, work)
    done = shell(f"set -eo pipefail; {command}") if in_shell(command) else lmkit(*shlex.split(command)[1:])
    assert done.status == 0, done.stderr
    assert NUMBER.sub("N", done.text) == NUMBER.sub("N", shown)
    found, expected = ([float(number) for number in NUMBER.findall(text)] for text in (done.text, shown))
    assert found == pytest.approx(expected, rel=TOLERANCE, abs=1e-5)


def test_every_file_is_read_by_some_command():
    for folder in {FOLDER / version for version, _, _ in CASES}:
        commands = " ".join(command for version, command, _ in CASES if version == folder.name)
        unread = [file.name for file in folder.iterdir() if file.name.removesuffix(".state") not in commands]
        assert set(unread) <= {"answers.txt", "likelihood.lm", "tagged.conll", "instructions.jsonl"}
