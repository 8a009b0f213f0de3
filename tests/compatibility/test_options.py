"""Options are an interface: options.txt lists those of every command, and one that goes is named in CHANGELOG.md.

python tests/compatibility/test_options.py     writes the list again
"""

import re
from pathlib import Path

from lmkit import cli, command_table

ROOT = Path(__file__).resolve().parents[2]
LIST = Path(__file__).with_name("options.txt")


def listed():
    """Each command with its options and arguments, a line each: every spelling of an option."""
    for name in command_table.COMMANDS:
        command = cli.build([name])
        for word in name.split():
            command = command.commands[word]
        for parameter in command.params:
            spellings = [*parameter.opts, *parameter.secondary_opts]
            yield from (f"{name} {spelling}" for spelling in spellings if spelling.startswith("-"))


def test_options_are_listed_and_those_that_go_are_in_the_changelog():
    before, now = set(LIST.read_text().splitlines()), set(listed())
    assert now <= before, "new options: python tests/compatibility/test_options.py"
    changes = (ROOT / "CHANGELOG.md").read_text().split("\n## ")[1]
    removed = "".join(re.findall(r"### Removed\n(.*?)(?=\n### |\Z)", changes, re.DOTALL))
    gone = [line for line in sorted(before - now) if line.split()[-1] not in removed]
    assert not gone, "removed without a word in CHANGELOG.md, under Removed"


if __name__ == "__main__":
    LIST.write_text("".join(f"{line}\n" for line in sorted(set(listed()))))
