"""What the calc commands share: one JSON value per line in and out, and arrays from JSON."""

import json as reading
import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Annotated, Any

import typer

from lmkit.commands.loading import models as opening
from lmkit.errors import DataError
from lmkit.io import outputs, streams, text_files
from lmkit.io.records import to_json

Values = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[JSON|FILE]...", show_default=False,
        help="JSON values (`[...]` or `{...}`) or files of JSON Lines. `-`, or none, reads stdin.",
    ),
]  # fmt: skip


def each(values: Sequence[str] | None, output: str | None, function: Callable[[Any], Any]) -> None:
    """Answers each value on a line of its own. Raises DataError that names the value's place."""
    sources = list(values or [streams.STDIN])
    opening.check_single_stdin(*sources)
    with outputs.open_output(output) as out:
        count = 0
        for count, (place, text) in enumerate(_texts(sources), 1):  # noqa: B007
            try:
                answer = function(_parsed(text))
            except DataError as error:
                raise DataError(f"{place}: {error}", hint=error.hint) from None
            except RecursionError:
                raise DataError(f"{place}: nested too deeply") from None
            out.line(to_json(answer))
        if not count:
            raise DataError("no numbers: the input is empty")


def _is_json(source: str) -> bool:
    return source.lstrip().startswith(("[", "{"))


def _texts(sources: Sequence[str]) -> Iterator[tuple[str, str]]:
    reader = text_files.TextReader(eager=True)
    for source in sources:
        if _is_json(source):
            yield "argument", source
            continue
        for number, line in enumerate(reader.lines(source), 1):
            yield f"{streams.display(source)}:{number}", line.decode()


def _parsed(text: str) -> Any:
    try:
        return reading.loads(text)
    except reading.JSONDecodeError as error:
        raise DataError(f"not JSON: {error.msg} (column {error.colno})", hint="one JSON value a line") from None
    except ValueError:
        raise DataError(f"a number of more than {sys.get_int_max_str_digits()} digits") from None


def has(value: Any, *keys: str) -> bool:
    """Whether a value is an object with all these keys."""
    return isinstance(value, Mapping) and set(keys) <= set(value)


def numbers(value: Any, *, low: float = -math.inf, high: float = math.inf) -> Any:
    """An array of numbers within bounds. Raises DataError for anything else."""
    import numpy as np

    if not isinstance(value, list) or not value:
        raise DataError("expected an array of numbers")
    for number in value:
        if isinstance(number, bool) or not isinstance(number, int | float) or not low <= number <= high:
            within = "" if (low, high) == (-math.inf, math.inf) else f" from {low:g} to {high:g}"
            raise DataError(f"{reading.dumps(number)[:40]} is not a number{within}")
    try:
        return np.array(value, dtype=np.float64)
    except OverflowError:
        raise DataError("a number is too large") from None


class Fields:
    """An object of named arrays whose sizes have to fit together. Raises DataError for a name missing or unknown."""

    def __init__(self, value: Any, needed: Sequence[str], optional: Sequence[str] = ()) -> None:
        if not isinstance(value, Mapping):
            raise DataError(f"expected an object of {', '.join(needed)}")
        for name in needed:
            if name not in value:
                raise DataError(f"{name!r} is missing", hint=f"expected {', '.join(needed)}")
        for name in value:
            if name not in (*needed, *optional):
                raise DataError(f"{name[:40]!r} is unknown", hint=f"expected {', '.join((*needed, *optional))}")
        self._value = value

    def vector(self, name: str, size: int | None = None) -> Any:
        """Numbers, (size,); None where the name is not there."""
        return _sized(name, _named(name, self._value[name], numbers), size) if name in self._value else None

    def matrix(self, name: str, rows: int | None = None, columns: int | None = None) -> Any:
        """Rows of numbers, (rows, columns); None where the name is not there."""
        return _sized(name, _named(name, self._value[name], matrix), rows, columns) if name in self._value else None

    def rows(self, name: str, columns: int | None = None) -> Any:
        """As `matrix`, where a plain array is one row."""
        array = _named(name, self._value[name], rows)
        _sized(name, array[0], columns)
        return array


def _named(name: str, value: Any, read: Callable[[Any], Any]) -> Any:
    try:
        return read(value)
    except DataError as error:
        raise DataError(f"{name}: {error}") from None


def _sized(name: str, array: Any, *sizes: int | None) -> Any:
    for has_size, wanted in zip(array.shape, sizes, strict=True):
        if wanted not in (None, has_size):
            shape = " by ".join(map(str, array.shape))
            expected = " by ".join("any" if size is None else str(size) for size in sizes)
            raise DataError(f"{name} has {shape} numbers, expected {expected}")
    return array


def matrix(value: Any) -> Any:
    """An array of rows of equally many numbers, (rows, columns). Raises DataError for anything else."""
    import numpy as np

    if not isinstance(value, list) or not value or not all(isinstance(row, list) for row in value):
        raise DataError("expected an array of arrays of numbers")
    if len({len(row) for row in value}) > 1:
        raise DataError("rows of different lengths")
    return np.stack([numbers(row) for row in value])


def rows(value: Any) -> Any:
    """As `matrix`, where a plain array is one row."""
    one = isinstance(value, list) and value and not isinstance(value[0], list)
    return numbers(value)[None] if one else matrix(value)


def answer(arrays: Mapping[str, Any]) -> dict[str, Any]:
    """Named arrays as JSON has them. Raises DataError where numbers were too large to calculate with."""
    import numpy as np

    if any(np.isnan(array).any() for array in arrays.values()):
        raise DataError("the numbers are too large to calculate with")
    return {name: array.tolist() for name, array in arrays.items()}
