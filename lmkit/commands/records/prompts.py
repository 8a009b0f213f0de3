"""Prompts of `lmkit sample`: the one of --prompt, or one a line or a record of files."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from lmkit.commands.loading import running_text
from lmkit.commands.options.standard import Run
from lmkit.commands.records.record_files import open_records
from lmkit.errors import DataError, UsageError
from lmkit.io import record_reader, streams
from lmkit.io.record_reader import Record, encoded
from lmkit.io.records import id_key, take_id
from lmkit.protocols import is_conditional

FORMS = ("text", "jsonl")


@dataclass(frozen=True)
class Prompt:
    """A text to continue."""

    text: bytes
    id: Any
    """What its record is known by; the number of its line where it has no name."""
    place: str = ""
    """Where it was read, for messages."""
    record: dict[str, Any] = field(default_factory=dict)
    """What else its record has."""

    @property
    def key(self) -> str:
        """Its id as random streams are made of it: 7, 7.0 and "7" are one."""
        return id_key(self.id)


def form_of(name: str, asked: str) -> str:
    """Return whether a file has `text` lines or records (`jsonl`); `auto` goes by its name, and stdin is text."""
    return record_reader.form_of(name, asked, "text", FORMS)


def has_records(files: Sequence[str] | None, asked: str) -> bool:
    """Whether one of the files has records."""
    return any(form_of(name, asked) == "jsonl" for name in files or [])


def check(prompt: str, files: Sequence[str] | None, asked: str) -> None:
    """Raises UsageError where --prompt or --input does not go with the FILEs."""
    if files and prompt:
        raise UsageError("--prompt and FILEs exclude each other")
    if asked != "auto" and not files:
        raise UsageError("--input needs FILEs", hint="give `-` as a FILE to read stdin")


class Prompts:
    """The prompts of files in order, read as they come; their ids continue from file to file."""

    def __init__(
        self, run: Run, files: Sequence[str], asked: str, *, errors: str, raw: bool,
        names: Sequence[str] = ("prompt",), otherwise: str | None = None,
    ) -> None:  # fmt: skip
        """`names`: of the field that holds the prompt; the first that a record has. `otherwise`: where it has none."""
        self._names, self._otherwise = names, otherwise
        self._files = [(name, form_of(name, asked)) for name in files]
        self._run = run
        self._readers = {
            form: running_text.text_reader(errors, raw=raw and form == "text", eager=True) for form in FORMS
        }
        self._seen: set[str] = set()
        self._warned = False

    def groups(self) -> Iterator[Iterable[Prompt]]:
        """The prompts that are available together, such as a typed line."""
        before = 0
        for name, form in self._files:
            file = open_records(self._run, name, self._readers[form], size=None)
            for records in file.groups(form):
                yield map(partial(self._prompt, before), records)
            before += file.line_count
        for reader in self._readers.values():
            running_text.warn_replaced_bytes(self._run, reader)

    def _prompt(self, before: int, record: Record) -> Prompt:
        """Return a line or a record as a prompt. Raises DataError where it is no record with a prompt."""
        number = before + record.number
        if record.fields is None:
            return Prompt(record.data, number, record.place)
        if self._otherwise is not None:
            record.fields.setdefault(self._names[0], self._otherwise)
        found = _of_fields(record.fields, record.place, number, self._names)
        self._tell_twice(found)
        return found

    def _tell_twice(self, prompt: Prompt) -> None:
        """Warns once that two records have the same id."""
        if prompt.key in self._seen and not self._warned:
            self._warned = True
            self._run.terminal.notice(
                f"{prompt.place}: id {prompt.id!r} is repeated; records with the same id use the same random numbers"
            )
        self._seen.add(prompt.key)


def _of_fields(record: dict[str, Any], place: str, number: int, names: Sequence[str]) -> Prompt:
    name = next((name for name in names if name in record), names[0])
    prompt = record.pop(name, None)
    if not isinstance(prompt, str):
        raise DataError(f"{place}: no text `{name}`", hint=f'expected a record such as {{"{name}": "Once"}}')
    known_by = take_id(record, place)
    data = encoded(prompt, place, "its `prompt` has ")
    return Prompt(data, number if known_by is None else known_by, place, record)


def asked(
    run: Run, source: Any, files: Sequence[str] | None, model: Any, otherwise: str | None = None
) -> Iterable[Iterable[Prompt]]:
    """The prompts that options (`options.Source`) or files give a model, in groups that are there at once.

    `otherwise` is the prompt of records that have none.
    """
    raw = model.tokenizer.accepts_any_bytes
    if not files:
        return [[Prompt(streams.argument_bytes(source.prompt, raw=raw), 1)]]
    names = ("source", "prompt") if is_conditional(model) else ("prompt",)
    return Prompts(
        run, files, source.form, errors=source.encoding_errors, raw=raw, names=names, otherwise=otherwise
    ).groups()
