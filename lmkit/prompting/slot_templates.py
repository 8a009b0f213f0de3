"""Templates with slots: `[X]`, `[X:field]` for what an item says, and `[Z]` for the answer. Knows no files."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

from lmkit.errors import DataError
from lmkit.prompting.examples import INPUTS
from lmkit.prompting.layout import open_ended

ANSWER = "[Z]"
_SLOT = re.compile(r"\[X(?::([^\[\]]+))?\]|\[Z\]")


class FilledTemplate(NamedTuple):
    """A prompt, the separator before an answer (`joint`), and the position of its `[Z]`, None for the end."""

    text: str
    joint: str
    slot: int | None

    def fields(self) -> dict[str, Any]:
        """The prompt as a record has it: `slot` only where text of the data could be taken for a slot, or hides one."""
        record: dict[str, Any] = {"prompt": self.text}
        record |= {"joint": self.joint} if self.joint else {}
        if self.text.count(ANSWER) != (self.slot is not None):
            record["slot"] = self.slot
        return record


def ended(text: str) -> FilledTemplate:
    """A prompt that the answer ends; the spaces and tabs at its end become the joint."""
    return FilledTemplate(*open_ended(text), None)


class Slot(NamedTuple):
    """A place in a template for a field; None: for the item's own text."""

    name: str | None


@dataclass(frozen=True)
class Template:
    """Texts and slots, one after another; None is where the answer goes."""

    parts: tuple[str | Slot | None, ...]

    @property
    def slots(self) -> list[Slot]:
        """The places for fields."""
        return [part for part in self.parts if isinstance(part, Slot)]

    def fill(self, values: Callable[[str | None], str]) -> FilledTemplate:
        """The prompt with what `values` says of each name, None for `[X]`."""
        text, slot = "", None
        for part in self.parts:
            if part is None:
                slot = len(text)
            text += ANSWER if part is None else values(part.name) if isinstance(part, Slot) else part
        return ended(text) if slot is None else FilledTemplate(text, "", slot)


@lru_cache(maxsize=64)
def parse(text: str) -> Template:
    """The template that a text spells. Raises DataError for more than one `[Z]`."""
    parts, begin = list[str | Slot | None](), 0
    for found in _SLOT.finditer(text):
        parts += [text[begin : found.start()], None if found[0] == ANSWER else Slot(found[1])]
        begin = found.end()
    if parts.count(None) > 1:
        raise DataError(f"{ANSWER} occurs twice, expected once")
    return Template((*parts, text[begin:]))


def text_in(record: Mapping[str, Any], name: str | None) -> str:
    """A field as text, or the item's own text; numbers as JSON writes them. Raises DataError where there is none."""
    named = INPUTS if name is None else (name,)
    found = next((one for one in named if one in record), None)
    if found is None:
        raise DataError(f"no field {' or '.join(map(repr, named))}")
    return as_text(record[found], found)


def as_text(value: Any, name: str) -> str:
    """What a field holds, as text. Raises DataError for what is neither text nor number."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise DataError(f"the field {name!r} is not a text")
    return str(value)


RenderEach = Callable[[Iterable[Mapping[str, Any]]], Iterator[str]]


def located_each(render: RenderEach, records: Sequence[Mapping[str, Any]]) -> Iterator[FilledTemplate]:
    """Prompts that something else than a Template makes of records; `[Z]` is its own, and not a record's text.

    Where a text has `[Z]` it is made a second time, of a record whose brackets and Zs are other
    characters, which shows the template's own. Raises DataError where that makes another text, and
    where several are the template's own, in the order of the records.
    """
    texts, failure = list[str](), None
    try:
        texts.extend(render(records))
    except DataError as error:
        failure = error
    asked = [record for record, text in zip(records, texts, strict=False) if ANSWER in text]
    hidden = render(map(_hidden, asked)) if asked else iter(())
    for text in texts:
        yield _located(text, next(hidden)) if ANSWER in text else ended(text)
    if failure is not None:
        raise failure


def _located(text: str, hidden: str) -> FilledTemplate:
    if hidden.translate(_SHOWN) != text:
        raise DataError(f"the position of {ANSWER} is ambiguous, because the text depends on brackets in the data")
    count = hidden.count(ANSWER)
    if count > 1:
        raise DataError(f"{ANSWER} occurs {count} times in the prompt, expected once")
    return FilledTemplate(text, "", hidden.index(ANSWER)) if count else ended(text)


_HIDDEN = str.maketrans("[Z]", "\ufdd0\ufdd1\ufdd2")  # noncharacters, which no text has
_SHOWN = str.maketrans("\ufdd0\ufdd1\ufdd2", "[Z]")


def _hidden(value: Any) -> Any:
    if isinstance(value, str):
        return value.translate(_HIDDEN)
    if isinstance(value, Mapping):
        return {key: _hidden(one) for key, one in value.items()}
    return [_hidden(one) for one in value] if isinstance(value, list) else value
