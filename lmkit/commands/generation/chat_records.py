"""Conversations of files: each line a record of messages, or each a message of one conversation."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lmkit.commands.loading import models as opening
from lmkit.commands.loading.chat_templates import PASSED, ControlTokenGuard, messages_of
from lmkit.commands.options.standard import Run
from lmkit.data import keyed_random
from lmkit.errors import DataError
from lmkit.generation.constraint_report import ConstraintReport
from lmkit.io.outputs import Output
from lmkit.io.record_reader import Record, RecordFile
from lmkit.io.records import id_key, take_id, to_json
from lmkit.prompting import chat_templates
from lmkit.prompting.answers import Answer, Answerer, Dialogue

if TYPE_CHECKING:
    from lmkit.generation.sampler import Constraint


@dataclass
class ChatFiles:
    """Answers what files ask."""

    run: Run
    answerer: Answerer
    out: Output
    seed: int
    system: str | None
    constraint: "Callable[[Mapping[str, Any] | None], Constraint | None]"
    report: ConstraintReport
    json: bool
    """Whether the answers to lines are records too."""

    def __post_init__(self) -> None:
        self._guard = ControlTokenGuard(self.run, self.answerer.chat.marks)
        self._dialogue = Dialogue(self.answerer, self.seed, "1")
        self._number = 0
        self._said_cut = False
        system = [] if self.system is None else [{"role": chat_templates.SYSTEM, "content": self.system}]
        self._dialogue.begin(self._guard.passed("--system", system))

    def answer(self, file: RecordFile, form: str) -> None:
        """Answer the lines or records of a file. Raises DataError, with the place; answers before it are written."""
        for record in file.records(form):
            self._number += 1
            with opening.error_context(record.place):
                if record.fields is None:
                    self._line(record)
                else:
                    self._record(record.place, record.fields)

    def close(self) -> None:
        """Say what was not said. Raises UnmetError where an answer is not what it was to be."""
        self._guard.close()
        self.report.close()

    # A line is a message of one conversation.

    def _line(self, record: Record) -> None:
        dialogue = self._dialogue
        said = {"role": chat_templates.USER, "content": record.columns[0]}
        dialogue.messages += self._guard.passed(record.place, [said])
        for event in dialogue.answer(self.constraint(None)):
            if isinstance(event, Answer):
                self._tell_left_out(event)
                self._add(event, self._number)
                line = to_json(_record(self._number, dialogue.messages, event)) if self.json else ""
                self.out.line(line)
            elif not self.json:
                self.out.answer(event.replace("\n", "\\n").encode())

    def _tell_left_out(self, answer: Answer) -> None:
        if answer.left_out and not self._said_cut:
            self._said_cut = True
            self.run.terminal.notice("the context is full: the model no longer sees the oldest messages")

    # A record is a conversation.

    def _record(self, place: str, fields: dict[str, Any]) -> None:
        known_by = take_id(fields, place)
        known_by = self._number if known_by is None else known_by
        messages = messages_of(fields, self.system)
        chat_templates.check_turns(messages)
        if messages[-1]["role"] == chat_templates.ASSISTANT:
            raise DataError("the last message is the assistant's, so there is nothing to answer")
        messages = self._guard.passed(place, messages)
        values = {key: fields[key] for key in PASSED if key in fields}
        stream = keyed_random.stream_of(self.seed, id_key(known_by), 0)
        self.answerer.forget()
        answer = _last(self.answerer.events(messages, stream, self.constraint(fields), values))
        if answer.left_out:
            self.run.terminal.notice(f"{place}: the model was not shown the oldest {answer.left_out} messages")
        self._add(answer, known_by)
        said = {"role": chat_templates.ASSISTANT, "content": answer.text}
        record = _record(known_by, [*messages, said], answer)
        self.out.line(to_json(record | {key: value for key, value in fields.items() if key not in record}))

    def _add(self, answer: Answer, name: object) -> None:
        if answer.completion is not None:
            self.report.add(answer.completion, name)


def _record(known_by: object, messages: chat_templates.Messages, answer: Answer) -> dict[str, Any]:
    record = {
        "id": known_by, "messages": list(messages), "text": answer.text, "tokens": answer.tokens,
        "finish_reason": answer.finish_reason,
    }  # fmt: skip
    return record | ({"left_out": answer.left_out} if answer.left_out else {})


def _last(events: Iterator[str | Answer]) -> Answer:
    *_, last = events
    assert isinstance(last, Answer)
    return last
