"""Texts, or pairs of them, with their labels or without, from TSV, JSON Lines, CSV or Parquet."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lmkit.commands.options.standard import Run
from lmkit.commands.records.record_files import TextNotices, open_records
from lmkit.errors import DataError
from lmkit.io import streams, text_files
from lmkit.io.record_reader import GROUP, Record, encoded, form_of

TEXT, PAIR, LABEL, GOLD = "text", "pair", "label", "gold"


@dataclass(frozen=True)
class LabelledText:
    """A text, or two, and what is right for it, None where that is not said."""

    texts: tuple[str, ...]
    label: str | None
    place: str
    record: Mapping[str, Any] | None = None
    """Its record, where it was one."""


def read_examples(run: Run, name: str, form: str = "auto") -> list[LabelledText]:
    """Return the examples of a file, at least one, each with a label; all have one text or all have two.

    Raises DataError that names the place of anything else.
    """
    found = [_checked(example) for example in _examples(run, name, form)]
    if not found:
        raise DataError(f"{streams.display(name)}: no examples: the input is empty")
    sides = len(found[0].texts)
    for example in found:
        if len(example.texts) != sides:
            raise DataError(
                f"{example.place}: {_shape(len(example.texts))}, but {_shape(sides)} at {found[0].place}",
                hint="all examples are texts, or all are pairs: text, tab, text, tab, label",
            )
    return found


def _shape(sides: int) -> str:
    return "a pair" if sides == 2 else "one text"


def _examples(run: Run, name: str, form: str) -> Iterator[LabelledText]:
    form = form_of(name, form, "tsv")
    for record in open_records(run, name, text_files.TextReader()).records("tsv" if form == "text" else form):
        yield labelled(record) if record.fields is None else of_fields(record.fields, record)


def _checked(example: LabelledText) -> LabelledText:
    label = example.label
    if label is None:
        hint = "expected a text, a tab and a label" if example.record is None else f"add a field {LABEL!r}"
        raise DataError(f"{example.place}: no label", hint=hint)
    if not label:
        raise DataError(f"{example.place}: the label is empty")
    if any(character in label for character in "\t\n\r"):
        raise DataError(f"{example.place}: the label {label[:40]!r} contains a tab or a line end")
    return example


def labelled(record: Record) -> LabelledText:
    """Return the columns of TSV as an example: a text and its label, or two texts and a label. Raises DataError."""
    *texts, label = record.columns
    if not texts:
        return LabelledText((label,), None, record.place)
    if len(texts) > 2:
        raise DataError(
            f"{record.place}: {len(texts) + 1} columns, expected a text and a label, or two texts and a label",
            hint="TSV has no quoting: a tab in a text begins a column",
        )
    return LabelledText(tuple(texts), label.strip(), record.place)


def of_fields(fields: Mapping[str, Any], record: Record) -> LabelledText:
    """Return a record's `text`, `pair` where it has one, and `label` as an example. Raises DataError."""
    if fields.get(TEXT) is None:
        shown = ", ".join(map(repr, list(fields)[:8]))
        raise DataError(f"{record.place}: no field {TEXT!r}", hint=f"the record has {shown}" if fields else None)
    texts = [_as_text(fields[name], name, record.place) for name in (TEXT, PAIR) if fields.get(name) is not None]
    label = fields.get(LABEL)
    return LabelledText(
        tuple(texts), None if label is None else _as_text(label, LABEL, record.place).strip(), record.place, fields
    )


def _as_text(value: object, name: str, place: str) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str | int | float):
        raise DataError(f"{place}: the field {name!r} has the wrong type: expected a text or a number")
    encoded(str(value), place, f"its {name!r} has ")
    return str(value)


class Items:
    """What is to be predicted: lines, columns of TSV or records of files, in groups that are there at once."""

    def __init__(self, run: Run, sides: int, form: str) -> None:
        """`sides`: how many texts the model takes; 0: one or two, of TSV as many as have a label behind them."""
        self._run, self._sides, self._form = run, sides, form

    def groups(self, files: Sequence[str]) -> Iterator[list[LabelledText]]:
        """Yield the items. Those before one that is wrong come before the DataError."""
        notices = TextNotices(self._run, self._form)
        for name in files:
            form = form_of(name, self._form, "tsv" if self._sides == 2 else "text")
            for records in open_records(self._run, name, size=GROUP).groups(form):
                group: list[LabelledText] = []
                try:
                    for record in records:
                        if form == "text":
                            notices.see(record)
                        group.append(self._item(record))
                except DataError:
                    yield group
                    raise
                yield group
        notices.close()

    def _item(self, record: Record) -> LabelledText:
        if record.fields is not None:
            found = of_fields(record.fields, record)
        else:
            sides = self._sides or min(2, max(1, len(record.columns) - 1))
            texts, label = record.columns[:sides], record.columns[sides:]
            found = LabelledText(tuple(texts), label[0].strip() if label else None, record.place)
        if self._sides and len(found.texts) != self._sides:
            raise DataError(f"{record.place}: {_shape(len(found.texts))}, but the model takes {_shape(self._sides)}")
        return found
