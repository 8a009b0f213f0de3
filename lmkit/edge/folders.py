"""Folders of files: read by name, and written so that they appear whole or not at all."""

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from lmkit.edge import streams
from lmkit.errors import CheckpointError, DataError, OutputError, UsageError

WITHIN = ("additional_chat_templates",)
"""Folders within a folder whose files belong to it, named as `folder/file`."""


class Folder(Mapping[str, memoryview]):
    """The files of a folder by name, each mapped when it is asked for.

    Raises DataError where the folder can't be read, CheckpointError with the reason where a file in it can't.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._names: list[str] = []
        for file in streams.names_in(name):
            if not os.path.isdir(os.path.join(name, file)):
                self._names.append(file)
            elif file in WITHIN:
                self._names += [f"{file}/{inner}" for inner in streams.names_in(os.path.join(name, file))]

    def __getitem__(self, file: str) -> memoryview:
        if file not in self._names:
            raise KeyError(file)
        try:
            return streams.read_whole(os.path.join(self.name, file))
        except (DataError, OSError) as error:
            reason = streams.reason(error) if isinstance(error, OSError) else str(error).rpartition(": ")[2]
            raise CheckpointError(reason) from None

    def __contains__(self, file: object) -> bool:
        return file in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def write_folder(name: str, files: Mapping[str, Iterable[bytes | memoryview]]) -> None:
    """A new folder with the given files, written beside its final name and renamed when complete.

    Raises UsageError where something is there already that is no empty folder, OutputError
    where it can't be written.
    """
    target = Path(name).absolute()
    if target.exists() and not (target.is_dir() and not streams.names_in(name)):
        raise UsageError(f"{name} is there already", hint="-o names a new folder, or an empty one")
    temporary = None
    try:
        temporary = tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent)
        for file, pieces in files.items():
            if "/" in file:
                os.makedirs(os.path.join(temporary, os.path.dirname(file)), exist_ok=True)
            _write(os.path.join(temporary, file), pieces)
        os.chmod(temporary, 0o777 & ~streams.umask())
        os.rename(temporary, target)
    except BaseException as error:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)
        if isinstance(error, OSError):
            raise OutputError(f"{name}: {streams.reason(error)}") from None
        raise


def _write(name: str, pieces: Iterable[bytes | memoryview]) -> None:
    with open(name, "wb") as stream:
        for piece in pieces:
            stream.write(piece)
        stream.flush()
        os.fsync(stream.fileno())
