"""Prompts as questions with candidates: from records, or the one of --prompt."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lmkit.commands.options.standard import Run
from lmkit.commands.records.record_files import open_records
from lmkit.errors import DataError, UsageError
from lmkit.io.record_reader import Record, encoded
from lmkit.io.records import take_id
from lmkit.prompting.multiple_choice import Question, question_of
from lmkit.prompting.slot_templates import ANSWER

RESERVED_FIELDS = ("prompt", "joint", "slot")  # fields that do not pass through


@dataclass(frozen=True)
class QuestionRecord:
    """A question, and what else its record has."""

    question: Question
    id: Any
    record: Mapping[str, Any] = field(default_factory=dict)
    size: int = 0
    """Bytes of its line."""


@dataclass(frozen=True)
class QuestionReader:
    """Options for all prompts: the candidates, if they are the same for all, and the separator before them."""

    candidates: tuple[str, ...] | None = None
    words: tuple[str, ...] | None = None
    """The words of a verbalizer, for prompts without named candidates."""
    joint: str = ""

    def only(self, prompt: str) -> QuestionRecord:
        """The prompt of --prompt. Raises UsageError without candidates, or for more than one [Z]."""
        candidates = self.candidates or self.words
        if candidates is None:
            raise UsageError("no candidate answers", hint="give them with --candidates good,bad")
        if prompt.count(ANSWER) > 1:
            raise UsageError(f"--prompt has {prompt.count(ANSWER)} slots {ANSWER}, expected one")
        slot = prompt.find(ANSWER) if ANSWER in prompt else None
        return QuestionRecord(question_of(prompt, candidates, self.joint, slot), 1)

    def groups(self, run: Run, files: Sequence[str]) -> Iterator[list[QuestionRecord]]:
        """The prompts of files in order, those together that are there at once. Raises DataError."""
        before = 0
        for name in files:
            file = open_records(run, name)
            for records in file.groups("jsonl"):
                yield [self._item(record.fields or {}, record, before + record.number) for record in records]
            before += file.line_count

    def _item(self, record: dict[str, Any], source: Record, number: int) -> QuestionRecord:
        place, prompt = source.place, record.get("prompt")
        if not isinstance(prompt, str):
            raise DataError(f"{place}: no text `prompt`", hint='expected a record such as {"prompt": "Once"}')
        known_by, joint = take_id(record, place), record.get("joint", self.joint)
        if not isinstance(joint, str):
            raise DataError(f"{place}: `joint` is not a text")
        question = question_of(prompt, self._candidates(record, place), joint, _slot(record, prompt, place), place)
        encoded("".join((prompt, joint, *question.candidates)), place, "it has ")
        return QuestionRecord(
            question,
            number if known_by is None else known_by,
            {key: value for key, value in record.items() if key not in RESERVED_FIELDS},
            len(source.data) + 1,
        )

    def _candidates(self, record: Mapping[str, Any], place: str) -> tuple[str, ...]:
        """Those of the options, or of the record's `candidates`, or of the verbalizer, or the record's `labels`."""
        if self.candidates is not None:
            return self.candidates
        if "candidates" in record:
            return _texts(record["candidates"], f"{place}: `candidates`")
        if self.words is not None:
            return self.words
        if "labels" in record:
            return _texts(record["labels"], f"{place}: `labels`")
        raise DataError(
            f"{place}: no candidate answers", hint="give --candidates good,bad; or add `candidates` to records"
        )


def _slot(record: Mapping[str, Any], prompt: str, place: str) -> int | None:
    """Where in a prompt its [Z] is, if it has one. Raises DataError where that is not clear."""
    if "slot" not in record:
        if prompt.count(ANSWER) > 1:
            raise DataError(
                f"{place}: {prompt.count(ANSWER)} slots {ANSWER}, expected one",
                hint="add `slot`, the character position of the right one",
            )
        return prompt.find(ANSWER) if ANSWER in prompt else None
    slot = record["slot"]
    if slot is None:
        return None
    if type(slot) is not int or slot < 0 or prompt[slot : slot + len(ANSWER)] != ANSWER:
        raise DataError(f"{place}: `slot` is not the position of a {ANSWER}")
    return slot


def _texts(values: object, what: str) -> tuple[str, ...]:
    if not isinstance(values, list) or not values:
        raise DataError(f"{what} is not a list of texts")
    if any(isinstance(value, bool) or not isinstance(value, str | int | float) for value in values):
        raise DataError(f"{what} has values that are not texts")
    return distinct(tuple(map(str, values)), what)


def distinct(candidates: tuple[str, ...], what: str) -> tuple[str, ...]:
    """The same candidates. Raises DataError where one is there twice."""
    seen: set[str] = set()
    for one in candidates:
        if one in seen:
            raise DataError(f"{what}: {one!r} is repeated")
        seen.add(one)
    return candidates
