"""Items as templates see them, fields by name: of lines, of TSV with named columns, of records. And what goes out."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from lmkit.commands.loading import models as opening
from lmkit.commands.options import prompting
from lmkit.commands.options.standard import Run
from lmkit.commands.records.record_files import TextNotices, open_records
from lmkit.errors import DataError, UsageError
from lmkit.io import outputs, streams
from lmkit.io.record_reader import Record, encoded, form_of
from lmkit.io.records import to_json
from lmkit.prompting.slot_templates import FilledTemplate, as_text

Files = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[FILE]...",
        help="Items: text (one per line), TSV or JSON Lines; `-` or none: stdin.",
        show_default=False,
    ),
]
Form = prompting.ItemsForm
Columns = Annotated[
    str | None,
    typer.Option(
        "--columns", metavar="LIST", show_default="those of the named template, else input,output",
        help="Comma-separated names of TSV columns; a line without tabs is the first column.",
    ),
]  # fmt: skip
Bare = Annotated[bool, typer.Option("--bare", "-b", help="Print only the prompts, as text.")]


def expect_one_form(*, bare: bool, json: bool) -> None:
    """Raises UsageError where prompts are wanted as text and as records."""
    if bare and json:
        raise UsageError("--bare and --json exclude each other")


OWN = ("prompt", "joint", "slot")
"""Fields of records that say of an earlier prompt what no longer holds."""


@dataclass(frozen=True)
class Item:
    """An item's fields, its name, and where it was read."""

    fields: Mapping[str, Any]
    id: Any
    place: str


class Items:
    """The items of files in order, as they come; those without an `id` are numbered through all files."""

    def __init__(self, run: Run, form: str, columns: Sequence[str]) -> None:
        self._run, self._form, self._columns = run, form, columns
        self._number = 0

    def of(self, files: Sequence[str] | None) -> Iterator[Item]:
        """The items. Raises DataError naming file and line."""
        for group in self.groups(files):
            yield from group

    def groups(self, files: Sequence[str] | None) -> Iterator[list[Item]]:
        """The same in groups that are there at once. Those before one that is wrong come before the DataError."""
        notices = TextNotices(self._run, self._form)
        for name in files or [streams.STDIN]:
            form = form_of(name, self._form, "text")
            for records in open_records(self._run, name).groups(form):
                group: list[Item] = []
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

    def _item(self, record: Record) -> Item:
        self._number += 1
        fields = self._named(record) if record.fields is None else record.fields
        return Item(fields, self._number if fields.get("id") is None else fields["id"], record.place)

    def _named(self, record: Record) -> dict[str, Any]:
        """Return the columns of a record by their names. Raises DataError where they are too many."""
        if len(record.columns) > len(self._columns):
            wanted = ", ".join(self._columns)
            raise DataError(
                f"{record.place}: {len(record.columns)} fields, but the columns are {wanted}",
                hint="name others with --columns",
            )
        return dict(zip(self._columns, record.columns, strict=False))


def columns_of(asked: str | None, otherwise: Sequence[str]) -> list[str]:
    """The names of --columns. Raises UsageError for one that is empty or repeated."""
    names = list(otherwise) if asked is None else asked.split(",")
    if "" in names or len(set(names)) < len(names):
        raise UsageError(f"--columns {asked!r} is not a list of different names")
    return names


def typed_once(text: str | None, files: Sequence[str] | None, option: str, column: str) -> Item | None:
    """The one item that an option gives, if it does, as a line would. Raises UsageError where there are FILEs too."""
    if text is None:
        return None
    if files:
        raise UsageError(f"{option} and FILEs exclude each other")
    return Item({column: streams.argument_text(text)}, 1, option)


class Prompts:
    """Writes prompts: as records, with what their items had behind them, or bare."""

    def __init__(self, out: outputs.Output, *, bare: bool) -> None:
        self._out, self._bare = out, bare

    def write(self, item: Item, filled: FilledTemplate, more: Mapping[str, Any], *, gone: Sequence[str] = ()) -> None:
        """A prompt with `more` fields; fields in `gone` do not pass through. Raises DataError for what is no text."""
        text = encoded(filled.text, item.place)
        if self._bare:
            self._out.answer(text + b"\n")
            return
        record = {"id": item.id, **filled.fields(), **more}
        left = {key: value for key, value in item.fields.items() if key not in (*record, *OWN, *gone)}
        self._out.line(to_json({**record, **left}))


def output_in(item: Item, names: Sequence[str]) -> tuple[str | None, str | None]:
    """What is right for an item and the field that says so, the first of `names` that is there. Raises DataError."""
    name = next((one for one in names if item.fields.get(one) is not None), None)
    if name is None:
        return None, None
    with opening.error_context(item.place):
        return as_text(item.fields[name], name), name
