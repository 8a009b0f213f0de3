"""Conversations with answers, and pairs of answers to one prompt, from files of records."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from lmkit.commands.loading import models as opening
from lmkit.commands.options.standard import Run
from lmkit.commands.records.record_files import open_records
from lmkit.errors import DataError
from lmkit.io import streams, text_files
from lmkit.io.record_reader import Record, form_of

if TYPE_CHECKING:
    from lmkit.prompting.chat_templates import Messages

Item = TypeVar("Item")
COLUMNS = ("instruction", "input", "output")


@dataclass(frozen=True)
class Conversation:
    """Messages, the last of which is an answer, and where they were read."""

    messages: "Messages"
    place: str
    id: Any = None


@dataclass(frozen=True)
class Preference:
    """The same prompt with the chosen answer and with the rejected one."""

    chosen: "Messages"
    rejected: "Messages"
    place: str
    id: Any = None


def read_conversations(run: Run, name: str, form: str = "auto") -> list[Conversation]:
    """Return the conversations of a file, at least one. Raises DataError that names the place of anything else."""
    from lmkit.prompting import answered_records

    def made(record: Record) -> Conversation:
        return Conversation(answered_records.conversation(_named(record)), *_of(record))

    return _read(run, name, form, made)


def read_preferences(run: Run, name: str, form: str = "auto") -> list[Preference]:
    """Return the pairs of a file, at least one. Raises DataError that names the place of anything else."""
    from lmkit.prompting import answered_records

    def pair(record: Record) -> Preference:
        return Preference(*answered_records.preference(_named(record)), *_of(record))

    return _read(run, name, form, pair)


def _read(run: Run, name: str, form: str, make: Callable[[Record], Item]) -> list[Item]:
    found = []
    for record in _records(run, name, form):
        with opening.error_context(record.place):
            found.append(make(record))
    if not found:
        raise DataError(f"{streams.display(name)}: no records: the input is empty")
    return found


def _records(run: Run, name: str, form: str) -> Iterator[Record]:
    return iter(open_records(run, name, text_files.TextReader()).records(form_of(name, form, "jsonl")))


def _of(record: Record) -> tuple[str, Any]:
    return record.place, (record.fields or {}).get("id", record.number)


def _named(record: Record) -> Mapping[str, Any]:
    """The fields of a record; those of TSV are an instruction, an input if there are three, and an output."""
    if record.fields is not None:
        return record.fields
    if len(record.columns) not in (2, 3):
        raise DataError(f"{len(record.columns)} columns", hint="expected an instruction, a tab and an output")
    names = COLUMNS if len(record.columns) == 3 else (COLUMNS[0], COLUMNS[2])
    return dict(zip(names, record.columns, strict=True))
