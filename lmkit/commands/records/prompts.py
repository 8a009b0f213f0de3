"""Prompts of `lmkit sample`: the one of --prompt, or one a line or a record of files."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lmkit.commands.loading import models as opening
from lmkit.commands.options.standard import Run
from lmkit.errors import DataError, UsageError
from lmkit.io import streams
from lmkit.io.records import from_json, take_id

FORMS = ("auto", "text", "jsonl")
_RECORDS = (".jsonl", ".ndjson")
_COMPRESSED = (".gz", ".bz2", ".xz", ".zst")


@dataclass(frozen=True)
class Prompt:
    """A text to go on from."""

    text: bytes
    id: Any
    """What its record is known by; the number of its line where it has no name."""
    place: str = ""
    """Where it was read, for messages."""
    record: Mapping[str, Any] = field(default_factory=dict)
    """What else its record has."""

    @property
    def key(self) -> str:
        """Its id as random streams are made of it: 7, 7.0 and "7" are one."""
        if isinstance(self.id, float) and self.id.is_integer():
            return str(int(self.id))
        return str(self.id)


def form_of(name: str, asked: str) -> str:
    """Whether a file has `text` lines or records (`jsonl`); `auto` goes by its name, and stdin is text."""
    if asked != "auto":
        return asked
    plain = name.lower()
    for ending in _COMPRESSED:
        plain = plain.removesuffix(ending)
    return "jsonl" if plain.endswith(_RECORDS) else "text"


def has_records(files: Sequence[str] | None, asked: str) -> bool:
    """Whether one of the files has records."""
    return any(form_of(name, asked) == "jsonl" for name in files or [])


def check(prompt: str, files: Sequence[str] | None, asked: str) -> None:
    """Raises UsageError where --prompt or --input does not go with the FILEs."""
    if files and prompt:
        raise UsageError("--prompt and FILEs exclude each other")
    if asked != "auto" and not files:
        raise UsageError("--input is about FILEs, and there is none", hint="`-` as a FILE is stdin")


class Prompts:
    """The prompts of files in order, read as they come; their ids go on from file to file."""

    def __init__(self, run: Run, files: Sequence[str], asked: str, *, errors: str, raw: bool) -> None:
        self._files = [(name, form_of(name, asked)) for name in files]
        self._run = run
        self._text = opening.text_reader(errors, raw=raw, eager=True)
        self._json = opening.text_reader(errors, eager=True)
        self._seen: set[str] = set()
        self._warned = False

    def groups(self) -> Iterator[Iterable[Prompt]]:
        """The prompts that are there at once, such as a line that somebody typed."""
        before = 0
        for name, form in self._files:
            reader, number = (self._json, self._record) if form == "jsonl" else (self._text, self._line)
            lines = 0
            for block in opening.warn_if_checkpoint(self._run, name, reader.blocks(name)):
                new = block[:-1].split(b"\n")
                places = enumerate(new, lines + 1)
                yield (p for line, text in places if (p := number(name, line, before + line, text)) is not None)
                lines += len(new)
            before += lines
        opening.warn_replaced_bytes(self._run, self._text)
        opening.warn_replaced_bytes(self._run, self._json)

    @staticmethod
    def _line(name: str, line: int, number: int, text: bytes) -> Prompt:
        return Prompt(text, number, f"{streams.display(name)}:{line}")

    def _record(self, name: str, line: int, number: int, text: bytes) -> Prompt | None:
        """The prompt of a record; None for a blank line. Raises DataError where it is no record with a prompt."""
        if not text.strip():
            return None
        place = f"{streams.display(name)}:{line}"
        record = from_json(text, place)
        prompt = record.pop("prompt", None)
        if not isinstance(prompt, str):
            raise DataError(f"{place}: no `prompt` that is a text", hint='a record such as {"prompt": "Once"}')
        known_by = take_id(record, place)
        try:
            data = prompt.encode()
        except UnicodeEncodeError:
            raise DataError(f"{place}: its `prompt` has half a surrogate pair, which is no character") from None
        found = Prompt(data, number if known_by is None else known_by, place, record)
        self._tell_twice(found)
        return found

    def _tell_twice(self, prompt: Prompt) -> None:
        """Says once that two records have the same id."""
        if prompt.key in self._seen and not self._warned:
            self._warned = True
            self._run.terminal.notice(
                f"{prompt.place}: id {prompt.id!r} was there before; records of one id draw the same random numbers"
            )
        self._seen.add(prompt.key)


def asked(run: Run, source: Any, files: Sequence[str] | None, model: Any) -> Iterable[Iterable[Prompt]]:
    """The prompts that options (`options.Source`) or files give a model, in groups that are there at once."""
    raw = model.tokenizer.takes_bytes
    if not files:
        return [[Prompt(streams.argument_bytes(source.prompt, raw=raw), 1)]]
    return Prompts(run, files, source.form, errors=source.encoding_errors, raw=raw).groups()
