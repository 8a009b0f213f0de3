"""Records as Parquet, where the name of an output says so: lines are kept until the type of each column is known."""

import io
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import IO, Any, cast

from lmkit.errors import DataError, MissingError
from lmkit.io import outputs
from lmkit.io.outputs import Output

ROWS, BYTES = 1 << 14, 1 << 23
"""Rows of a group, and bytes of their lines, that are written together."""


@contextmanager
def open_records(name: str | None, form: str, field: str) -> Iterator[Output]:
    """An output for lines of records in a form, `jsonl`, `tsv` under a header or `text`, whose column is `field`.

    A name that ends in .parquet makes rows of them; the lines of all go to a temporary file first. Raises DataError for
    values of different types in a column, MissingError without pyarrow, and what `open_output` does.
    """
    if name is None or not name.lower().endswith(".parquet"):
        with outputs.open_output(name) as out:
            yield out
        return
    try:
        import pyarrow  # noqa: F401
    except ImportError:
        raise MissingError("Parquet is written with pyarrow", package="pyarrow") from None
    rows = _Rows(name, form, field)
    with outputs.open_output(name, binary=True) as out:
        yield Output(cast(IO[bytes], rows), live=False)
        rows.write_to(out)


class _Rows(io.RawIOBase):
    """Takes lines and keeps them, and the columns that they have together."""

    def __init__(self, name: str, form: str, field: str) -> None:
        import pyarrow

        from lmkit.io.spool import Spool
        from lmkit.io.temp_storage import Disk

        self._name, self._form, self._header = name, form, [field]
        self._has_header = form != "tsv"
        self._lines, self._held, self._size = Spool(Disk()), list[bytes](), 0
        self._schema = pyarrow.schema([])

    def write(self, data: Any) -> int:
        """Take complete lines."""
        lines = bytes(data)[:-1].split(b"\n")
        if not self._has_header:
            self._header, self._has_header = lines.pop(0).decode().split("\t"), True
        self._held += lines
        self._size += len(data)
        if len(self._held) >= ROWS or self._size >= BYTES:
            self._settle()
        return len(data)

    def _settle(self) -> None:
        import pyarrow

        rows = self._rows(self._held)
        names = dict.fromkeys(name for row in rows for name in row)
        with self._types():
            own = pyarrow.table({name: [row.get(name) for row in rows] for name in names}).schema
            self._schema = pyarrow.unify_schemas([self._schema, own], promote_options="permissive")
        self._lines.add(self._held)
        self._held, self._size = [], 0

    def _rows(self, lines: Sequence[bytes]) -> list[dict[str, Any]]:
        if self._form == "jsonl":
            return [json.loads(line) for line in lines]
        if self._form == "tsv":
            return [dict(zip(self._header, line.decode().split("\t"), strict=True)) for line in lines]
        return [{self._header[0]: line.decode(errors="replace")} for line in lines]

    def write_to(self, out: Output) -> None:
        """Write all rows. Raises DataError where a column has values of different types."""
        import pyarrow
        from pyarrow import parquet

        if self._held:
            self._settle()
        with self._types(), parquet.ParquetWriter(_Stream(out), self._schema) as writer:
            for lines in self._lines.chunks():
                writer.write_table(pyarrow.Table.from_pylist(self._rows(lines), schema=self._schema))

    @contextmanager
    def _types(self) -> Iterator[None]:
        import pyarrow

        try:
            yield
        except (pyarrow.ArrowException, OverflowError) as error:
            what = " ".join(str(error).split())[:120]
            message = f"{self._name}: a Parquet column has values of one type ({what})"
            raise DataError(message, hint="name a .jsonl") from None


class _Stream(io.RawIOBase):
    """An output as pyarrow writes to it."""

    def __init__(self, out: Output) -> None:
        self._out, self._at = out, 0

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def write(self, data: Any) -> int:
        size = len(data)
        self._out.write(bytes(data))
        self._at += size
        return size
