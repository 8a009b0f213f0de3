"""Arrays on disk for work that is larger than memory: files without names, gone with the process however it ends."""

import mmap
import os
import tempfile
from contextlib import suppress
from typing import IO, Any
from weakref import finalize

import numpy as np
import numpy.typing as npt

from lmkit.errors import OutputError, UsageError

_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}

Array = npt.NDArray[Any]


def memory_size(text: str | None, option: str = "--memory") -> int:
    """Bytes from `500M`, `2G` or a number; half of what is free without one. Raises UsageError."""
    if text is None:
        return free_memory() // 2
    number, unit = text.rstrip("kKmMgGtTbB"), text.lstrip("0123456789.").lower().removesuffix("b")
    try:
        size = int(float(number) * _UNITS[unit])
    except (ValueError, KeyError, OverflowError):
        size = 0
    if size <= 0:
        raise UsageError(f"{option} {text!r} is not a size such as 500M or 2G")
    return size


def free_memory() -> int:
    """Bytes that this process could still take, by the system's and its control group's word."""
    free = [8 << 30]
    try:
        with open("/proc/meminfo") as lines:
            free = [int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable:")] or free
        with open("/sys/fs/cgroup/memory.max") as limit, open("/sys/fs/cgroup/memory.current") as used:
            free.append(int(limit.read()) - int(used.read()))
    except (OSError, ValueError):
        pass  # no such system, or no limit
    return max(256 << 20, min(free))


def discard(file: IO[bytes]) -> None:
    """Closes a temporary file that is no longer read; a full disk can't take what its buffer still holds."""
    with suppress(OSError):
        file.close()


class _FileWriter:
    """An array written to a nameless file and then mapped."""

    def __init__(self, disk: "Disk", dtype: Any) -> None:
        self._disk = disk
        self._dtype = np.dtype(dtype)
        self._file: IO[bytes] = disk.file()
        finalize(self, discard, self._file)  # an error may leave an array unfinished
        self._length = 0

    def append(self, values: Array) -> None:
        try:
            self._file.write(np.ascontiguousarray(values, dtype=self._dtype).data)
        except OSError as error:
            raise self._disk.error(error) from None
        self._length += len(values)

    def finish(self) -> Array:
        try:
            self._file.flush()
        except OSError as error:
            raise self._disk.error(error) from None
        if not self._length:
            self._file.close()
            return np.zeros(0, dtype=self._dtype)
        mapped = mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ)
        self._file.close()
        self._disk.maps.append(mapped)
        return np.frombuffer(mapped, dtype=self._dtype)


class Disk:
    """Storage in a folder; see `lmkit.array_storage.Storage`."""

    def __init__(self, folder: str | None = None) -> None:
        self.folder = folder or tempfile.gettempdir()
        self.maps: list[mmap.mmap] = []
        if not os.path.isdir(self.folder):
            raise UsageError(f"--temp-dir {self.folder} is not a folder")

    def file(self, buffer: int = 1 << 20) -> IO[bytes]:
        """A new file without a name; what is written is gathered in a buffer of so many bytes."""
        try:
            return tempfile.TemporaryFile(dir=self.folder, buffering=buffer)
        except OSError as error:
            raise OutputError(f"{self.folder}: {error.strerror}") from None

    def error(self, error: OSError) -> OutputError:
        """What to say of a file here that could not be written."""
        hint = "--temp-dir DIR puts temporary files elsewhere"
        return OutputError(f"{self.folder}: {error.strerror}", hint=hint)

    def writer(self, dtype: Any) -> _FileWriter:
        """A new, empty array."""
        return _FileWriter(self, dtype)

    def release(self) -> None:
        """Gives mapped pages back; they are read again from the file when needed."""
        if hasattr(mmap, "MADV_DONTNEED"):
            for mapped in self.maps:
                mapped.madvise(mmap.MADV_DONTNEED)
