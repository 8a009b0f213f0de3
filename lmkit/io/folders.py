"""Folders of files: read by name, and written atomically."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from lmkit.errors import CheckpointError, DataError, OutputError, UsageError
from lmkit.io import hub_cache, size_limits, streams
from lmkit.io.atomic_replacement import new_folder
from lmkit.io.messages import Terminal

TENSORS = ".safetensors"  # files of any size
TOKENIZERS = ("tokenizer", "vocab", "merges", "added_tokens")
WITHIN = ("additional_chat_templates", "1_Pooling")
"""Folders within a folder whose files belong to it, named as `folder/file`."""


class Folder(Mapping[str, memoryview]):
    """The files of a folder by name, each mapped, as it is, when it is asked for.

    A symbolic link out of the folder is refused, as what it names could come into outputs; followed are those of
    weights, with a notice, and those of the hub's cache, whose snapshots consist of them.
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
        self._check_link(file)
        data = streams.read_mapped(os.path.join(self.name, file))
        limit = (
            size_limits.TOKENIZER if file.startswith(TOKENIZERS) or not file.endswith(".json") else size_limits.DOCUMENT
        )
        if not file.endswith(TENSORS) and len(data) > limit.size:
            raise limit.error(file)
        return data

    def _check_link(self, file: str) -> None:
        place = os.path.join(self.name, file)
        target, folder = os.path.realpath(place), os.path.realpath(self.name)
        blobs = hub_cache.blobs_of(self.name) or hub_cache.blobs_of(folder)
        if any(target.startswith(inside.rstrip(os.sep) + os.sep) for inside in (folder, blobs) if inside):
            return
        if not file.endswith(TENSORS):
            raise CheckpointError("a symbolic link out of its folder", hint="copy the file into the folder")
        if Terminal.current is not None:
            Terminal.current.notice_once(f"{place}: a symbolic link to {target}")

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
