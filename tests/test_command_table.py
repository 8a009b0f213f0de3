"""The command table."""

import pytest

from lmkit import command_table


@pytest.mark.parametrize("name", command_table.COMMANDS)
def test_every_command_is_there(name):
    command = command_table.COMMANDS[name]
    assert callable(command_table.function_of(name))
    assert command.summary.endswith(".")
    assert "\n" not in command.summary
    assert len(command.summary) < 70


def test_every_group_has_commands():
    assert {name.split()[0] for name in command_table.COMMANDS if " " in name} == set(command_table.GROUPS)


@pytest.mark.parametrize("name", command_table.COMMANDS)
def test_commands_are_documented_by_their_functions(name):
    text = command_table.function_of(name).__doc__
    assert "Examples:\n" in text


@pytest.mark.parametrize(
    ("words", "name"),
    [(["ppl"], "ppl"), (["ppl", "x"], "ppl"), (["ngram", "fit"], "ngram fit"),
     (["ngram", "fit", "--order", "3"], "ngram fit"), (["ngram"], None),
     ([], None), (["nonsense"], None), (["ngram", "nonsense"], None), (["-h"], None), (["fit"], None),
     (["-q", "ppl"], "ppl")],
)  # fmt: skip
def test_the_typed_command(words, name):
    assert command_table.typed_command(words) == name
