"""Input of `lmkit eval`: predictions and gold answers, from lines, TSV and JSON Lines, aligned with each other."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from lmkit.commands.options.evaluation import EvaluationOptions
from lmkit.commands.options.standard import Run
from lmkit.commands.records.record_files import open_records
from lmkit.errors import DataError, UsageError
from lmkit.io import streams, text_files
from lmkit.io.record_reader import Record, form_of
from lmkit.io.records import id_key
from lmkit.metrics.item_alignment import align

GOLD = ("gold", "label", "output", "answer", "answers")


class Item(NamedTuple):
    """One item of a file."""

    values: tuple[str, ...]
    id: str | None
    """Its id as text; None without one."""
    place: str
    gold: tuple[str, ...] | None = None
    """The gold answers of its record."""
    name: Any = None
    """Its id as its record has it."""
    scores: Any = None
    """The `scores` of its record."""

    @property
    def value(self) -> str:
        """Return the value, where there is one only."""
        return self.values[0]


@dataclass(frozen=True)
class Fields:
    """Where a value is: the first of these fields of a record, or the one asked for."""

    names: tuple[str, ...]
    asked: str | None = None
    option: str = "--field"
    several: bool = False
    """Whether there may be several values: a list in a record, all fields of TSV."""


def read(run: Run, name: str, fields: Fields) -> list[Item]:
    """Return the items of a file. Raises DataError where a line is not what the first ones are."""
    file = open_records(run, name, text_files.TextReader())
    form = form_of(name, "auto", "") or file.sniffed_form()
    if form == "text" and fields.asked is not None:
        form = "tsv"
    records = file.records(form)
    found = list(_of_columns(records, fields) if form == "tsv" else (item_of(record, fields) for record in records))
    if not found:
        raise DataError(f"{streams.display(name)}: no items: the input is empty")
    if form in ("text", "tsv") and fields.asked is None:
        _tell_header(run, found, fields)
    return found


def _tell_header(run: Run, found: Sequence[Item], fields: Fields) -> None:
    """Warns where the first line looks like a header; only a named field makes it one."""
    first = found[0]
    columns = {part.strip() for value in first.values for part in value.split("\t")}
    names = [name for name in fields.names if name in columns]
    if names and len(found) > 1 and all(item.values != first.values for item in found[1:]):
        run.terminal.notice(
            f"{first.place}: {names[0]!r} looks like a header, read as an item; "
            f"hint: {fields.option} {names[0]} selects that column"
        )


def item_of(record: Record, fields: Fields) -> Item:
    """Return a line, or a record of named fields, as an item."""
    if record.fields is None:
        return Item(tuple(record.columns), None, record.place)
    values = _of_record(record.fields, fields, record.place)
    gold, name = _texts(record.fields.get("gold")), record.fields.get("id")
    scores = record.fields.get("scores")
    return Item(values, None if name is None else id_key(name), record.place, gold, name, scores)


def _of_columns(records: Iterator[Record], fields: Fields) -> Iterator[Item]:
    """Yield the items of TSV: a field by its number from 1, by its name in the header, or the last."""
    wanted, every = _column(records, fields), fields.several and fields.asked is None
    for record in records:
        found = record.columns
        if wanted >= len(found):
            raise DataError(f"{record.place}: {len(found)} columns, but {fields.option} names number {wanted + 1}")
        yield Item(tuple(found) if every else (found[wanted],), None, record.place)


def _column(records: Iterator[Record], fields: Fields) -> int:
    """Return which column is asked for, -1 for the last; the header is taken from the records where it is needed."""
    if fields.asked is None:
        return -1
    if fields.asked.isdecimal():
        wanted = int(fields.asked) - 1 if len(fields.asked) < 10 else -1
        if wanted < 0:
            raise UsageError(f"{fields.option} {fields.asked[:20]}: columns are numbered from 1 to 999999999")
        return wanted
    header = next(records, None)
    if header is None:
        return -1
    if fields.asked not in header.columns:
        shown = ", ".join(map(repr, header.columns[:8]))
        raise DataError(f"{header.place}: no column {fields.asked!r}", hint=f"the header has {shown}")
    return header.columns.index(fields.asked)


def _of_record(record: dict[str, Any], fields: Fields, place: str) -> tuple[str, ...]:
    """The value of a record, or its values."""
    names = (fields.asked,) if fields.asked is not None else fields.names
    for name in names:
        if name in record:
            values = _texts(record[name])
            if values is None or (len(values) != 1 and not fields.several):
                raise DataError(
                    f"{place}: the field {name!r} is not {'a text or a list of texts' if fields.several else 'a text'}"
                )
            return values
    wanted = " or ".join(map(repr, names))
    there = ", ".join(map(repr, list(record)[:8]))
    raise DataError(
        f"{place}: no field {wanted}", hint=f"{fields.option} NAME; the record has {there}" if record else None
    )


def _texts(value: Any) -> tuple[str, ...] | None:
    """A text or a number as text, or a list of such; None for anything else."""
    if isinstance(value, list):
        parts = [_texts(part) for part in value if not isinstance(part, list)]
        if len(parts) < len(value) or None in parts:
            return None
        return tuple(text for part in parts if part for text in part)
    if isinstance(value, bool):
        return ("true" if value else "false",)
    if isinstance(value, str):
        return (value.encode(errors="replace").decode(),)  # half of a surrogate pair can't be printed
    return (str(value),) if isinstance(value, int | float) else None


class Gold:
    """The gold answers of any system's items: in a file, which is read once, or else in the items themselves."""

    def __init__(self, run: Run, options: EvaluationOptions, names: Sequence[str], *, several: bool = False) -> None:
        """`several`: an item may have several right values, in one of the fields `names`."""
        self._run, self._name = run, options.gold
        self._fields = Fields(tuple(names), options.gold_field, "--gold-field", several)
        self._items: list[Item] | None = None

    def of(self, items: Sequence[Item], name: str, *, samples: bool = False) -> list[Item]:
        """Return the gold answers of each item of the file `name`, and their places.

        `samples`: several items may be of one id. Raises DataError for an item or a gold answer without the other.
        """
        if self._name is None:
            return [self._own(item) for item in items]
        if self._items is None:
            self._items = read(self._run, self._name, self._fields)
        return aligned(items, self._items, name, self._name, samples=samples)

    def _own(self, item: Item) -> Item:
        if not item.gold or (len(item.gold) > 1 and not self._fields.several):
            raise DataError(f"{item.place}: no `gold`", hint="give gold answers with --gold FILE")
        return Item(item.gold, item.id, item.place)


@dataclass(frozen=True)
class Judged:
    """The items of one system or of two, in the same order, and what is right for each."""

    systems: list[list[Item]]
    gold: list[Item]


def read_judged(
    run: Run, options: EvaluationOptions, names: Sequence[str], gold: Sequence[str] = GOLD, *, several: bool = False
) -> Judged:
    """Read what an evaluation compares, from the first fields of `names` and `gold` that there are.

    `several`: an item may have several right values. Raises DataError where they do not belong together.
    """
    fields = Fields(tuple(names), options.field)
    items = read(run, options.file, fields)
    right = Gold(run, options, gold, several=several).of(items, options.file)
    if options.against is None:
        return Judged([items], right)
    others = read(run, options.against, fields)
    return Judged([items, aligned(items, others, options.file, options.against)], right)


def aligned(
    items: Sequence[Item], others: Sequence[Item], name: str, other: str, *, samples: bool = False
) -> list[Item]:
    """Return the items of another file in the order of these. Raises DataError as `item_alignment.align` does."""
    files = streams.display(name), streams.display(other)
    return [others[number] for number in align(items, others, files, samples=samples)]
