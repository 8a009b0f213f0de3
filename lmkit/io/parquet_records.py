"""Rows of Parquet files, read by pyarrow some at a time, as JSON values. Knows no forms of text."""

import io
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, BinaryIO, cast

from lmkit.errors import DataError, MissingError, OutputError
from lmkit.io import streams

ROWS = 256
"""Rows that are read at once."""


def rows(name: str, fields: Sequence[str] | None = None) -> Iterator[list[dict[str, Any]]]:
    """Yield groups of rows, with these fields only where some are named.

    Raises DataError for what is not Parquet and for a field that it has not, MissingError without pyarrow.
    """
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise MissingError("Parquet is read with pyarrow", package="pyarrow") from None
    shown, number = streams.display(name), 0
    with _seekable(name) as stream:
        try:
            opened = parquet.ParquetFile(stream)
            _expect(opened.schema_arrow.names, fields, shown)
            columns = None if fields is None else list(fields)
            for batch in opened.iter_batches(ROWS, columns=columns, use_threads=False):
                found = _values(batch, shown, number)
                number += len(found)
                yield found
        except (pyarrow.ArrowException, OSError) as error:
            what = " ".join(str(error).split())
            raise DataError(f"{shown}: not Parquet, or damaged ({what})") from None


def _values(batch: Any, shown: str, before: int) -> list[dict[str, Any]]:
    """Return the rows of a batch. Raises DataError naming the row that has a text which is not UTF-8."""
    try:
        return [{key: _plain(value) for key, value in row.items()} for row in batch.to_pylist()]
    except UnicodeDecodeError as error:
        if batch.num_rows > 1:
            parts = [_values(batch.slice(at, 1), shown, before + at) for at in range(batch.num_rows)]
            return [row for part in parts for row in part]
        byte = error.object[error.start]
        raise DataError(f"{shown}:{before + 1}: a text that is not UTF-8 (byte 0x{byte:02x})") from None


def _expect(names: Sequence[str], fields: Sequence[str] | None, shown: str) -> None:
    """Raise DataError for a field that is not there."""
    absent = next((field for field in fields or () if field not in names), None)
    if absent is not None:
        raise DataError(f"{shown}: no field {absent!r}", hint=there_is(names))


def there_is(names: Sequence[str]) -> str:
    """Return what to do where a field is not there: the names of the first few that are."""
    listed = ", ".join(map(repr, names[:8])) + ", ..." * (len(names) > 8)
    return f"--field NAME; there is {listed}" if names else "--field NAME; it has no field"


def _plain(value: Any) -> Any:
    """Return a value as JSON has it: dates, decimals and bytes as texts, no NaN."""
    if value is None or isinstance(value, str | int):
        return value
    if isinstance(value, float):
        return None if math.isnan(value) else value
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


@contextmanager
def _seekable(name: str) -> Iterator[BinaryIO]:
    """A file that can be read from any place: what is compressed, or no file, is copied to a temporary one first."""
    from lmkit.io.temp_storage import Disk

    with streams.open_input(name) as stream:
        if isinstance(stream, io.BufferedReader) and stream.seekable() and not stream.tell():
            yield stream
            return
        disk = Disk()
        with disk.file() as copy:
            for piece in iter(lambda: stream.read(streams.BLOCK), b""):
                try:
                    copy.write(piece)
                except OSError as error:
                    raise OutputError(f"{disk.folder}: {streams.reason(error)}") from None
            copy.seek(0)
            yield cast(BinaryIO, copy)
