"""JSON keys are an interface: json_keys.txt lists those of every command, and one that goes is named in CHANGELOG.md.

python tests/compatibility/test_json_keys.py     writes the keys again, under the commands that the list has

Commands run on the files of 0.1. A key inside an object is written behind a dot, one of a list's objects behind `[].`.
They are those of log.jsonl where a command writes it, and of stderr where nothing is printed.
"""

import json
import os
import re
import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from lmkit import cli, command_table

ROOT = Path(__file__).resolve().parents[2]
FILES = Path(__file__).with_name("0.1")
LIST = Path(__file__).with_name("json_keys.txt")
RUNS = [  # of Chinchilla's law, five sizes a budget
    (flops, size, flops / 6 / size, 1.69 + 406 / size**0.34 + 410 / (flops / 6 / size) ** 0.28)
    for flops in (1e18, 1e19, 1e20)
    for size in (flops**0.5 / 10 * step for step in (0.25, 0.5, 1, 2, 4))
]
MORE = {
    "numbers.txt": "1\n2\n4\n",
    "answers.jsonl": '{"prompt": "x", "text": "a"}\n{"prompt": "y", "text": "b"}\n',
    "frames.json": '{"frames": [{"name": "Attack", "description": "one hits another", "examples": ["They fired."]}]}',
    "runs.csv": "flops,parameters,tokens,loss\n" + "".join(f"{','.join(map(str, run))}\n" for run in RUNS),
}


def listed() -> dict[str, list[str]]:
    """The commands of the list, each with its keys."""
    blocks = re.split(r"^\$ ", LIST.read_text(), flags=re.MULTILINE)[1:]
    return {command: keys.split() for command, _, keys in (block.partition("\n") for block in blocks)}


def keys_of(value: object, before: str = "") -> Iterator[str]:
    """The keys of a JSON value, those within its objects and lists too."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield f"{before}{key}"
            yield from keys_of(inner, f"{before}{key}.")
    elif isinstance(value, list):
        for inner in value:
            yield from keys_of(inner, f"{before.removesuffix('.')}[].")


def parted(line: str) -> tuple[bytes, list[str]]:
    """The standard input of a line and its command's words."""
    stdin, command = re.fullmatch(r"(?:printf '(.*)' \| )?lmkit (.*)", line).groups(default="")
    return stdin.encode("latin-1", "backslashreplace").decode("unicode_escape").encode(), shlex.split(command)


def printed(line: str, run) -> list[str]:
    """The keys of what a line prints, run in the working directory."""
    for file in FILES.iterdir():
        shutil.copy(file, ".")
    for name, text in MORE.items():
        Path(name).write_text(text)
    stdin, words = parted(line)
    done = run(*words, stdin=stdin)
    assert done.status == 0, f"{line}: {done.stderr}"
    log = Path("log.jsonl")
    text = log.read_text() if log.exists() else done.text.strip() or done.stderr.strip()
    values = [json.loads(text)] if text.startswith("[") or "\n}" in text else map(json.loads, text.splitlines())
    return sorted({key for value in values for key in keys_of(value)})


def with_json() -> Iterator[str]:
    """The commands that have --json."""
    for name in command_table.COMMANDS:
        command = cli.build([name])
        for word in name.split():
            command = command.commands[word]
        if any("--json" in parameter.opts for parameter in command.params):
            yield name


@pytest.mark.few(20)
@pytest.mark.parametrize("command", listed())
def test_keys_stay(command, work, lmkit):
    before, now = set(listed()[command]), set(printed(command, lmkit))
    assert now <= before, "new keys: python tests/compatibility/test_json_keys.py"
    changes = (ROOT / "CHANGELOG.md").read_text().split("\n## ")[1]
    removed = "".join(re.findall(r"### Removed\n(.*?)(?=\n### |\Z)", changes, re.DOTALL))
    gone = [key for key in sorted(before - now) if f"`{key}`" not in removed]
    assert not gone, "removed without a word in CHANGELOG.md, under Removed"


def test_every_command_with_json_is_listed():
    commands = [" ".join(parted(line)[1]) for line in listed()]
    assert [name for name in with_json() if not any(command.startswith(f"{name} ") for command in commands)] == []


def main() -> None:
    """Writes the list again."""
    sys.path.insert(0, str(ROOT / "tests"))
    from conftest import run_here

    blocks = []
    for command in listed():
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            keys = printed(command, run_here)
            os.chdir(ROOT)
        blocks.append(f"$ {command}\n{' '.join(keys)}\n")
    LIST.write_text("".join(blocks))


if __name__ == "__main__":
    main()
