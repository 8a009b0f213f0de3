"""A conversation at a terminal: typed lines are messages, or commands that begin with a slash."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lmkit.commands.loading import chat_templates as templates
from lmkit.commands.options.standard import Run
from lmkit.commands.records.record_files import open_records
from lmkit.errors import DataError, LmkitError
from lmkit.io import outputs
from lmkit.io.line_editor import LineEditor
from lmkit.io.messages import tell_error
from lmkit.io.records import to_json
from lmkit.prompting import chat_templates
from lmkit.prompting.answers import INTERRUPTED, Answer, Dialogue

if TYPE_CHECKING:
    from lmkit.generation.sampler import Constraint

PROMPT, MORE = "> ", ". "
HELP = """\
/reset         begin a new conversation
/system TEXT   set the system message and begin a new conversation; without TEXT: none
/retry         answer the last message again
/save FILE     save the conversation, a line of JSON with `messages`
/load FILE     continue a saved conversation
/quit          end, as Ctrl-D does
A line that ends in \\ is continued on the next; // begins a message with a slash. Ctrl-C stops an answer."""


@dataclass
class TerminalChat:
    """One conversation after another, with one model."""

    run: Run
    dialogue: Dialogue
    out: outputs.Output
    editor: LineEditor
    system: str | None
    constraint: "Callable[[], Constraint | None]"
    saved: set[str] = field(default_factory=set)
    """Files that this conversation came from or went to, which may be replaced."""

    def __post_init__(self) -> None:
        self.guard = templates.ControlTokenGuard(self.run, self.dialogue.answerer.chat.marks)
        self._reset()

    def talk(self) -> None:
        """Answer what is typed until the end."""
        while (line := self.editor.line(PROMPT, more=MORE)) is not None:
            if not line.strip():
                continue
            try:
                if line.startswith("/") and not line.startswith("//"):
                    if self._obey(line) is False:
                        return
                else:
                    self._say(line.removeprefix("/") if line.startswith("//") else line)
            except LmkitError as error:
                tell_error("lmkit chat", str(error), error.hint)

    # Commands.

    def _obey(self, line: str) -> bool | None:
        """Obey a command; False: the conversation ends."""
        name, _, rest = line.strip().partition(" ")
        rest = rest.strip()
        actions: dict[str, Callable[[str], bool | None]] = {
            "/help": lambda _: self._show(HELP), "/quit": lambda _: False, "/exit": lambda _: False,
            "/reset": lambda _: self._reset(), "/system": self._set_system, "/retry": lambda _: self._retry(),
            "/save": self._save, "/load": self._load,
        }  # fmt: skip
        if name not in actions:
            raise DataError(f"no command {name}", hint="/help lists the commands, // begins a message with a slash")
        return actions[name](rest)

    def _show(self, text: str) -> None:
        self.out.answer(f"{text}\n".encode())

    def _reset(self) -> None:
        system = [] if self.system is None else [{"role": chat_templates.SYSTEM, "content": self.system}]
        self.dialogue.begin(self.guard.passed("", system))
        self.saved = set()

    def _set_system(self, text: str) -> None:
        self.system = text or None
        self._reset()

    def _retry(self) -> None:
        messages = self.dialogue.messages
        roles = [message["role"] for message in messages[-1:]]
        if roles == [chat_templates.USER]:  # whose answer was stopped
            self._answer()
        elif roles != [chat_templates.ASSISTANT]:
            raise DataError("there is no answer yet")
        else:
            before = messages.pop()
            try:
                self._answer()
            except LmkitError:
                messages.append(before)
                raise

    def _save(self, name: str) -> None:
        name = _file(name)
        if os.path.exists(name) and os.path.realpath(name) not in self.saved:
            raise DataError(f"{name} exists and is not replaced: it has another conversation or something else")
        with outputs.open_output(name) as out:
            out.line(to_json({"messages": self.dialogue.messages}))
        self.saved.add(os.path.realpath(name))
        self.run.terminal.notice(f"{name}: {len(self.dialogue.messages)} messages saved")

    def _load(self, name: str) -> None:
        name = _file(name)
        found = list(open_records(self.run, name).records("jsonl"))
        if len(found) != 1:
            raise DataError(f"{name}: {len(found)} conversations, expected one")
        record = found[0]
        try:
            messages = templates.messages_of(record.fields or {}, self.system)
            chat_templates.check_turns(messages)
        except DataError as error:
            raise DataError(f"{record.place}: {error}") from None
        self.dialogue.begin(self.guard.passed(record.place, messages))
        self.saved = {os.path.realpath(name)}
        self.run.terminal.notice(f"{name}: {len(messages)} messages")
        if self.dialogue.messages[-1]["role"] == chat_templates.USER:
            self._answer()

    # Messages.

    def _say(self, text: str) -> None:
        """Answer a message, which is forgotten where it can't be answered."""
        try:
            text.encode()
        except UnicodeEncodeError:
            raise DataError("the message is not valid UTF-8") from None
        before = list(self.dialogue.messages)
        if before and before[-1]["role"] == chat_templates.USER:  # whose answer was stopped before it began
            before.pop()
        said = self.guard.passed("", [{"role": chat_templates.USER, "content": text}])
        self.dialogue.messages = [*before, *said]
        try:
            self._answer()
        except LmkitError:
            self.dialogue.messages = before
            raise

    def _answer(self) -> None:
        before = self.dialogue.left_out
        for event in self.dialogue.answer(self.constraint()):
            if isinstance(event, Answer):
                self._finish(event, before)
            else:
                self.out.answer(event.encode())

    def _finish(self, answer: Answer, before: int) -> None:
        """End the text of an answer, and say what is to be known of it."""
        self.out.answer(b"\n" if answer.text.endswith("\n") else b"\n\n")
        if answer.finish_reason == "length":
            self.run.terminal.notice(f"the answer was cut after {answer.tokens} tokens (--max-tokens)")
        elif answer.finish_reason == INTERRUPTED:
            self.run.terminal.notice("stopped")
        if answer.left_out > before:
            count = answer.left_out
            self.run.terminal.notice(f"the context is full: the model no longer sees the oldest {count} messages")


def _file(name: str) -> str:
    if not name:
        raise DataError("which file? expected /save FILE or /load FILE")
    return os.path.expanduser(name)
