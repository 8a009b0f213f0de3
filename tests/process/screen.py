"""A model of a terminal's screen, and commands that run in a pseudo-terminal of so many columns."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import unicodedata

HANG = 30  # seconds after which a process counts as hanging
_PARTS = re.compile("\x1b\\[([0-9;?]*)([A-Za-z])|(.)", re.DOTALL)


class Screen:
    """Rows of cells. Lines that were too long are wrapped; where the width changes they are wrapped anew (VTE, kitty,
    tmux), or, with `clips`, cut (xterm).
    """

    def __init__(self, columns, *, clips=False):
        self.columns, self.clips = columns, clips
        self.lines = [[]]
        self.place = 0
        self.wrapped = set()
        """Lines that were wider than the screen."""
        self.obeyed = []
        """Sequences that no part of lmkit has a reason to send."""

    @property
    def rows(self):
        """What is to be seen."""
        found = []
        for line in self.lines:
            found += [
                "".join(line[at : at + self.columns]).rstrip() for at in range(0, max(1, len(line)), self.columns)
            ]
        return found

    def resize(self, columns):
        """Changes the width."""
        if self.clips:
            assert all(len(line) <= self.columns for line in self.lines)
            self.lines = [line[:columns] for line in self.lines]
            self.place = min(self.place, columns - 1)
        self.columns = columns

    def feed(self, text):
        """Shows what was written."""
        for code, final, character in _PARTS.findall(text):
            if final:
                self._obey(code, final)
            elif character == "\r":
                last = max(0, self.place - 1) if self.place == len(self.lines[-1]) else self.place
                self.place = last - last % self.columns
            elif character == "\n":
                self.lines.append([])
                self.place = 0
            elif unicodedata.category(character) in ("Cc", "Cf") and character not in "\u200d":
                self.obeyed.append(character)
            else:
                self._put(character)

    def _put(self, character):
        line = self.lines[-1]
        if unicodedata.combining(character) or "\U0001f3fb" <= character <= "\U0001f3ff":  # or a tone of skin
            line[self.place - 1] += character
            return
        width = 2 if unicodedata.east_asian_width(character) in "WF" else 1
        if self.place % self.columns + width > self.columns:
            self._put(" ")
        line[self.place : self.place + width] = [character, *[""] * (width - 1)]
        self.place += width
        if self.place > self.columns:
            self.wrapped.add(len(self.lines))

    def _obey(self, code, final):
        line = self.lines[-1]
        if (code, final) == ("", "J"):
            del line[self.place :]
        elif (code, final) == ("", "K"):
            end = self.place - self.place % self.columns + self.columns
            line[self.place : end] = [" "] * len(line[self.place : end])
        elif final != "m":
            self.obeyed.append(code + final)


class Session:
    """A command in a pseudo-terminal, with what its screen shows."""

    def __init__(
        self, *arguments, columns=80, clips=False, program=("-m", "lmkit"), stdin=subprocess.DEVNULL, env=None
    ):
        self.screen = Screen(columns, clips=clips)
        self.text = ""
        self._controller, self._side = pty.openpty()
        self._set_size()
        self.process = subprocess.Popen(
            [sys.executable, *program, *map(str, arguments)], stdin=stdin, stdout=self._side, stderr=self._side,
            env={**os.environ, **(env or {})},
        )  # fmt: skip

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.stdin is not None:
            self.process.stdin.close()
        self.process.kill()
        self.process.wait(HANG)

    def type(self, text):
        """Writes a line to the command's stdin, a pipe."""
        self.process.stdin.write(text)
        self.process.stdin.flush()

    def resize(self, columns):
        """Changes the width, and tells the command."""
        self.screen.resize(columns)
        self._set_size()
        self.process.send_signal(signal.SIGWINCH)

    def _set_size(self):
        fcntl.ioctl(self._side, termios.TIOCSWINSZ, struct.pack("HHHH", 24, self.screen.columns, 0, 0))

    def read(self, until=None):
        """Shows what the command writes, until a text came, or to its end; gives the rows of the screen."""
        if until is None:
            os.close(self._side)
        seen = len(self.text)
        while until is None or until not in self.text[seen:]:
            assert select.select([self._controller], [], [], HANG)[0], self.text
            try:
                piece = os.read(self._controller, 1 << 16).decode()
            except OSError:  # the other side is closed
                break
            if not piece:
                break
            self.text += piece
            self.screen.feed(piece)
        if until is None:
            self.process.wait(HANG)
            os.close(self._controller)
        return self.screen.rows


def shown(*arguments, **settings):
    """The rows of the screen after a command, and its session; no row was wider than the screen."""
    with Session(*arguments, **settings) as session:
        rows = session.read()
    assert not session.screen.obeyed
    while rows and not rows[-1]:
        rows.pop()
    return rows, session
