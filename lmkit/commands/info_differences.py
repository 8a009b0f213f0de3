"""`lmkit info A B`: what differs between two checkpoints."""

from collections.abc import Iterator, Mapping
from typing import Any

from lmkit.commands.info import describe, parts
from lmkit.commands.loading import models as opening
from lmkit.io import outputs
from lmkit.io.records import to_json, write_rows

ABSENT = "-"


def print_differences(first: str, second: str, json: bool, output: str | None) -> None:
    """Print the names and both values of what differs, from the headers alone."""
    opening.check_single_stdin(first, second)
    one, other = (dict(_flat(describe(name, verify=False))) for name in (first, second))
    names = [name for name in {**one, **other} if one.get(name) != other.get(name) or (name in one) != (name in other)]
    with outputs.open_output(output) as out:
        if json:
            for name in names:
                out.line(to_json({"name": name, "first": one.get(name), "second": other.get(name)}))
        else:
            rows = [(name, *(_shown(values, name) for values in (one, other))) for name in names]
            write_rows(out, ("name", "first", "second"), rows)


def _flat(record: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield names and values of all that `info` shows, objects by the names of their fields, and of tensors."""
    for name, value in [*parts(dict(record)), ("digest", record.get("digest"))]:
        yield from _fields(name, value)
    for name, (dtype, shape) in record["tensors"].items():
        yield f"tensor.{name}", f"{dtype} {'x'.join(map(str, shape))}"


def _fields(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _fields(f"{name}.{key}", inner)
    else:
        yield name, value


def _shown(values: Mapping[str, Any], name: str) -> object:
    if name not in values:
        return ABSENT
    value = values[name]
    return "none" if value is None else to_json({"": value})[5:-1] if isinstance(value, dict | list) else value
