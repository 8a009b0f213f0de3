"""A conversation in a pseudo-terminal: typed lines, commands, Ctrl-C and Ctrl-D."""

import fcntl
import json
import os
import pty
import select
import subprocess
import sys
import termios

import chat_models
import pytest
from asleep import HANG, until_asleep


class Typist:
    """Types into a command's terminal and reads what it shows."""

    def __init__(self, *arguments):
        self._controller, side = pty.openpty()

        def take_terminal():
            os.setsid()
            fcntl.ioctl(side, termios.TIOCSCTTY, 0)

        self.process = subprocess.Popen(
            [sys.executable, "-m", "lmkit", "chat", *arguments],
            stdin=side, stdout=side, stderr=side, preexec_fn=take_terminal, env={**os.environ, "NO_COLOR": "1"},
        )  # fmt: skip
        os.close(side)
        self.text = ""

    def read(self, until):
        """Reads up to a text; gives what came before it."""
        while until not in self.text:
            assert select.select([self._controller], [], [], HANG)[0], self.text
            self.text += os.read(self._controller, 1 << 16).decode().replace("\r\n", "\n")
        before, _, self.text = self.text.partition(until)
        return before

    def type(self, text):
        """Types keys."""
        os.write(self._controller, text.encode())

    def interrupt(self):
        """Types Ctrl-C at the prompt."""
        until_asleep(self.process)
        self.type("\x03")

    def say(self, text):
        """Types a line at the prompt; gives what is shown up to the next prompt."""
        self.type(f"{text}\n")
        self.read("\n")
        return self.read("> ").strip()

    def end(self):
        """Gives the exit status."""
        return self.process.wait(HANG)


@pytest.fixture
def typist(lmkit, write):
    started = Typist(*chat_models.make(lmkit, write), "--greedy", "--max-tokens", "1000000")
    assert started.read("> ") == "lmkit: chat.lm; /help lists commands, Ctrl-D ends\n"
    yield started
    started.process.kill()
    started.process.wait(HANG)


def test_a_conversation(typist, work):
    assert typist.say("hello") == "good day"
    assert typist.say("/retry") == "good day"
    assert typist.say("/save one.jsonl") == "lmkit: one.jsonl: 2 messages saved"
    assert "/load FILE" in typist.say("/help")
    assert typist.say("/reset") == ""
    assert typist.say("") == ""
    assert typist.say("//again<|end|>").startswith("lmkit: the message contains <|end|>, a control token of")
    assert "exists and is not replaced" in typist.say("/save one.jsonl")
    assert typist.say("/load one.jsonl") == "lmkit: one.jsonl: 2 messages"
    assert typist.say("count") == "one two three"
    assert typist.say("/save one.jsonl") == "lmkit: one.jsonl: 4 messages saved"
    assert "chat: no.jsonl: No such file" in typist.say("/load no.jsonl")
    assert "no command /what" in typist.say("/what")
    assert "several lines" in typist.say("two\\\nlines")
    assert typist.say("hello") == "good day"
    typist.type("\x04")
    assert typist.end() == 0
    saved = json.loads((work / "one.jsonl").read_text())["messages"]
    assert [message["content"] for message in saved] == ["hello", "good day", "count", "one two three"]


def test_ctrl_c_stops_the_answer_then_the_program(typist):
    typist.type("loop\n")
    typist.read("la la la ")
    typist.type("\x03")
    assert typist.read("> ").endswith("lmkit: stopped\n")
    assert typist.say("hello") == "good day"
    typist.type("unfinished")
    typist.read("unfinished")
    typist.interrupt()
    assert "Ctrl-C again" not in typist.read("> ")
    typist.interrupt()
    assert "(Ctrl-C again, or Ctrl-D, ends the conversation)" in typist.read("> ")
    typist.interrupt()
    assert typist.end() == 130
