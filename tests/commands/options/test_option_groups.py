"""Options as one value, and help in sections."""

import inspect
from dataclasses import dataclass
from typing import Annotated

import pytest

from lmkit import command_table
from lmkit.commands.options.option_groups import Before, sections_of, with_groups

SECTIONED = [name for name in command_table.COMMANDS if sections_of(command_table.function_of(name))]


@dataclass(frozen=True)
class Group:
    one: int = 1
    two: int = 2

    @property
    def total(self):
        return self.one + self.two


@with_groups(group={"two": 5})
def command(
    run,
    group: Group,
    own: Annotated[str, Before("two")] = "a",
    also: Annotated[str, Before("two")] = "b",
    last: int = 0,
):
    """Show how options are grouped."""
    run.append((group.total, own, also, last))


def test_a_group_is_replaced_by_its_options_and_marked_ones_take_their_places():
    parameters = inspect.signature(command).parameters
    assert list(parameters) == ["run", "one", "own", "also", "two", "last"]
    assert parameters["one"].default == 1
    assert parameters["two"].default == 5
    assert command.__doc__ == "Show how options are grouped."


def test_what_is_typed_comes_back_as_an_object():
    run = []
    command(run, one=2, two=3, own="x", also="y", last=4)
    assert run == [(5, "x", "y", 4)]


def test_a_command_may_do_without_options_of_a_group():
    @with_groups(without=["two"])
    def shorter(run, group: Group):
        """Show that the others stay."""
        run.append((group.one, group.two))

    assert list(inspect.signature(shorter).parameters) == ["run", "one"]
    run = []
    shorter(run, one=7)
    assert run == [(7, 2)]


def test_sample_has_sections():
    assert "sample" in SECTIONED


@pytest.mark.parametrize("name", SECTIONED)
def test_each_parameter_stands_in_one_section(name, lmkit):
    function = command_table.function_of(name)
    placed = [parameter for names in sections_of(function).values() for parameter in names]
    assert sorted(placed) == sorted(list(inspect.signature(function).parameters)[1:])
    lines = lmkit(*name.split(), "--help").lines
    titles = [*sections_of(function), "Options of every command"]
    assert [line[:-1] for line in lines if line[:-1] in titles] == titles


def test_commands_without_sections_have_options(lmkit):
    assert "Options:" in lmkit("ppl", "--help").lines
