"""Tests of: command_lines.txt, the lines that two checkouts are compared by."""

import re

import pytest
from compare_checkouts import command_lines

from lmkit import command_table


@pytest.mark.parametrize("name", command_table.COMMANDS)
def test_every_command_is_compared(name):
    lines = [line for line in command_lines() if re.search(rf"\blmkit {name}\b", line)]
    assert f"lmkit {name} --help" in lines
    assert len(lines) > 1
