"""Folders of files: read by name, and written atomically."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from lmkit.errors import CheckpointError, DataError, OutputError, UsageError
from lmkit.io import size_limits, streams
from lmkit.io.atomic_replacement import new_folder

TENSORS = ".safetensors"  # files of any size
TOKENIZERS = ("tokenizer", "vocab", "merges", "added_tokens")
WITHIN = ("additional_chat_templates", "1_Pooling")
"""Folders within a folder whose files belong to it, named as `folder/file`."""


class Folder(Mapping[str, memoryview]):
    """The files of a folder by name, each mapped, as it is, when it is asked for.

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
            return self._mapped(file)
        except (DataError, OSError) as error:
            reason = streams.reason(error) if isinstance(error, OSError) else str(error).rpartition(": ")[2]
            raise CheckpointError(reason) from None

    def _mapped(self, file: str) -> memoryview:
        data = streams.read_mapped(os.path.join(self.name, file))
        limit = (
            size_limits.TOKENIZER if file.startswith(TOKENIZERS) or not file.endswith(".json") else size_limits.DOCUMENT
        )
        if not file.endswith(TENSORS) and len(data) > limit.size:
            raise limit.error(file)
        return data

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

    def fill(temporary: str) -> None:
        for file, pieces in files.items():
            if "/" in file:
                os.makedirs(os.path.join(temporary, os.path.dirname(file)), exist_ok=True)
            _write(os.path.join(temporary, file), pieces)

    fill_folder(name, fill)


def fill_folder(name: str, fill: Callable[[str], None]) -> None:
    """A new folder that a function fills, given the name that it has meanwhile. Raises as `write_folder` does."""
    target = Path(name).absolute()
    if target.exists() and not (target.is_dir() and not streams.names_in(name)):
        raise UsageError(f"{name} is there already", hint="-o names a new folder, or an empty one")
    try:
        with new_folder(target) as temporary:
            fill(temporary)
    except OSError as error:
        raise OutputError(f"{name}: {streams.reason(error)}") from None


def _write(name: str, pieces: Iterable[bytes | memoryview]) -> None:
    with open(name, "wb") as stream:
        for piece in pieces:
            stream.write(piece)
        stream.flush()
        os.fsync(stream.fileno())
