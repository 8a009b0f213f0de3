"""Lines that are kept in a temporary file until they are read again, in order. Knows not what is in them."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple
from weakref import finalize

from lmkit.errors import OutputError
from lmkit.io.temp_storage import Disk, discard


class _Span(NamedTuple):
    """The bytes of some lines in the file, and how many lines they are."""

    size: int
    lines: int


class Spool:
    """Lines without line feeds, written once from front to back."""

    def __init__(self, disk: Disk, buffer: int = 1 << 20) -> None:
        self._disk = disk
        self._file = disk.file(buffer)
        finalize(self, discard, self._file)  # reading may stop early, with no place to do so
        self._spans: list[_Span] = []

    def add(self, lines: Sequence[bytes]) -> None:
        """Keep some lines. Raises OutputError where the disk is full."""
        if lines:
            data = b"\n".join(lines)
            try:
                self._file.write(data)
            except OSError as error:
                raise self._disk.error(error) from None
            self._spans.append(_Span(len(data), len(lines)))

    def chunks(self) -> Iterator[list[bytes]]:
        """Yield the lines as they were added. Raises OutputError where the disk is full."""
        try:
            self._file.seek(0)
        except OSError as error:
            raise self._disk.error(error) from None
        for size, lines in self._spans:
            data = self._file.read(size)
            found = data.split(b"\n")
            if len(data) != size or len(found) != lines:
                raise OutputError(f"{self._disk.folder}: a temporary file is not what was written")
            yield found
