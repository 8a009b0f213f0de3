"""Other runs of lmkit as child processes."""

from contextlib import closing

from lmkit.io import child_commands


def test_commands_that_end():
    found = sorted(child_commands.ended([["--version"], ["nonsense"]], 2))
    assert [(one.place, one.status) for one in found] == [(0, 0), (1, 2)]
    assert "nonsense" in found[1].messages


def test_commands_that_are_ended(tmp_path):
    """What waits for a pipe that nobody writes to is ended with the iterator."""
    import os

    os.mkfifo(tmp_path / "pipe")
    commands = [["--version"], ["ppl", "-m", str(tmp_path / "pipe"), str(tmp_path / "pipe")]]
    with closing(child_commands.ended(commands, 2)) as running:
        assert next(running).place == 0
    assert not list(running)
