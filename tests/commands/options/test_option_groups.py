"""Help in sections."""

import inspect

import pytest

from lmkit import cli
from lmkit.commands.options.option_groups import sections_of

SECTIONED = [name for name in cli.COMMANDS if sections_of(cli.function_of(name))]


def test_sample_has_sections():
    assert "sample" in SECTIONED


@pytest.mark.parametrize("name", SECTIONED)
def test_each_parameter_stands_in_one_section(name, lmkit):
    function = cli.function_of(name)
    placed = [parameter for names in sections_of(function).values() for parameter in names]
    assert sorted(placed) == sorted(list(inspect.signature(function).parameters)[1:])
    lines = lmkit(*name.split(), "--help").lines
    titles = [*sections_of(function), "Options of every command"]
    assert [line[:-1] for line in lines if line[:-1] in titles] == titles


def test_commands_without_sections_have_options(lmkit):
    assert "Options:" in lmkit("ppl", "--help").lines
