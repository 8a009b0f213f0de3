"""Examples and items of `lmkit prompt`, from lines, TSV or JSON Lines."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from lmkit.commands.loading import running_text
from lmkit.commands.options.standard import Run
from lmkit.commands.records.record_files import TextNotices, open_records
from lmkit.errors import DataError
from lmkit.io.record_reader import Record, encoded, form_of
from lmkit.io.records import take_id, to_json
from lmkit.prompting.examples import INPUTS, OUTPUTS, Example


class Fields(NamedTuple):
    """The fields of a record that may have its text, and those that may have what is right for it; the first counts."""

    inputs: Sequence[str] = INPUTS
    outputs: Sequence[str] = OUTPUTS


FIELDS = Fields()


def fields_of(input_field: str | None, output_field: str | None) -> Fields:
    """Return the fields that options name, or else the usual ones."""
    return Fields(
        INPUTS if input_field is None else (input_field,), OUTPUTS if output_field is None else (output_field,)
    )


def examples(
    run: Run, name: str, form: str, *, labelled: bool, fields: Fields = FIELDS, errors: str = "strict", before: int = 0,
    see: Callable[[Record], None] = lambda _record: None,
) -> Iterator[Example]:  # fmt: skip
    """Yield the examples of a file; `labelled`: each must say what is right. Raises DataError.

    They are numbered by their lines, from `before` on. `see` is shown the lines that are taken for texts.
    """
    text = running_text.text_reader(errors, eager=True)
    for record in open_records(run, name, text).records(form):
        if form == "text":
            see(record)
        found = _example(record, before + record.number, fields)
        if labelled and found.output is None:
            raise DataError(f"{record.place}: no output", hint=_missing(form, fields))
        yield found
    running_text.warn_replaced_bytes(run, text)


def items(
    run: Run, files: Sequence[str], asked: str, *, fields: Fields = FIELDS, errors: str = "strict",
    otherwise: str = "text",
) -> Iterator[Example]:  # fmt: skip
    """Yield the items of several files in order; their numbers continue from file to file. Raises DataError.

    `otherwise` is the form of files whose names tell none.
    """
    before, notices = 0, TextNotices(run, asked)
    for name in files:
        number, form = before, form_of(name, asked, otherwise)
        for item in examples(
            run, name, form, labelled=False, fields=fields, errors=errors, before=before, see=notices.see
        ):
            number = item.number
            yield item
        before = number
    notices.close()


def _missing(form: str, fields: Fields) -> str:
    if form == "jsonl":
        return f"add a field {' or '.join(map(repr, fields.outputs))}"
    return "expected an input, a tab and an output"


def _example(record: Record, number: int, fields: Fields) -> Example:
    if record.fields is not None:
        return _of_fields(record.fields, record, number, fields)
    text, *output = record.columns
    if len(output) > 1:
        raise DataError(f"{record.place}: {len(output) + 1} fields: expected an input, a tab and an output")
    return Example(text, output[0] if output else None, number=number, place=record.place)


def _of_fields(record: dict[str, Any], source: Record, number: int, fields: Fields) -> Example:
    place = source.place
    if b"\\ud" in source.data or b"\\uD" in source.data:
        encoded(to_json(record), place)
    text = _taken(record, fields.inputs, place)
    if text is None:
        shown = ", ".join(map(repr, list(record)[:8]))
        raise DataError(
            f"{place}: no field {' or '.join(map(repr, fields.inputs))}",
            hint=f"the record has {shown}" if record else None,
        )
    output = _taken(record, fields.outputs, place)
    return Example(text, output, take_id(record, place), number, place, record)


def _taken(record: dict[str, Any], names: Sequence[str], place: str) -> str | None:
    """Take the first of these fields that is there and not null out of the record, as text."""
    for name in names:
        value = record.pop(name, None)
        if value is not None:
            if not isinstance(value, str | int | float):
                raise DataError(f"{place}: the field {name!r} has the wrong type: expected a text, number or boolean")
            return str(value).lower() if isinstance(value, bool) else str(value)
    return None
