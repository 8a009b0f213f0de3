"""Messages to people."""

import io
import sys

from lmkit.io import progress
from lmkit.io.messages import WIPE, Terminal, tell_error


class Screen(io.StringIO):
    def isatty(self):
        return True


def test_messages():
    for quiet, verbose, expected in (
        (False, False, "lmkit: a\n"),
        (True, False, ""),
        (False, True, "lmkit: a\nlmkit: b\n"),
    ):
        stream = io.StringIO()
        shown = Terminal(quiet=quiet, verbose=verbose, stream=stream)
        shown.notice("a")
        shown.detail("b")
        assert stream.getvalue() == expected


def test_messages_to_nowhere(monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    shown = Terminal(verbose=True)
    shown.notice("a")
    shown.detail("b")
    with shown.progress("x", 1) as begun:
        begun.advance(1)


def test_a_picture_is_wiped_before_a_message(monkeypatch):
    monkeypatch.setattr(progress, "PATIENCE", 0.0)
    monkeypatch.setattr(progress, "PERIOD", 0.0)
    monkeypatch.setenv("NO_COLOR", "1")
    screen = Screen()
    shown = Terminal(stream=screen)
    with shown.progress("counting", 100) as begun:
        begun.advance(10)
        shown.notice("look\x1b[2J")
    assert screen.getvalue().endswith(f"\r{WIPE}lmkit: look\\x1b[2J\n")


def test_errors_are_one_line_and_a_hint(monkeypatch):
    for stream, expected in (
        (io.StringIO(), "lmkit x: a\\x07 b\n  hint: c\n"),
        (Screen(), "\x1b[1;31mlmkit x:\x1b[0m a\\x07 b\n  \x1b[36mhint:\x1b[0m c\n"),
    ):
        monkeypatch.setattr(sys, "stderr", stream)
        tell_error("lmkit x", "a\x07\nb", "c")
        assert stream.getvalue() == expected
