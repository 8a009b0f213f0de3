"""What a checkpoint says of where it came from, and checkpoints as bytes."""

import os
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from typing import Any, Protocol

from lmkit import __version__
from lmkit.io import streams
from lmkit.io.text_sources import SourceReader


class Storable(Protocol):
    """What a checkpoint can hold."""

    def to_checkpoint(self, origin: Mapping[str, Any], /) -> Any:
        """As a file's content."""


class Hashed:
    """Passes blocks on and keeps the SHA-256 and size of all, for the record of where a model came from."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks = blocks
        self._hash = sha256()
        self._size = 0

    def __iter__(self) -> Iterator[bytes]:
        for block in self._blocks:
            self._hash.update(block)
            self._size += len(block)
            yield block

    def record(self) -> dict[str, Any]:
        """What the checkpoint's origin says of the input."""
        return {"bytes": self._size, "sha256": self._hash.hexdigest()}


def stored(reader: SourceReader, names: Sequence[str], text: Mapping[str, Any]) -> dict[str, Any]:
    """What the origin says of files beside the record of their text, as it was read: each as `sha256sum` has it.

    Nothing where the text is a single file, unchanged; nor of stdin and other pipes, which are read once.
    """
    described = [reader.source.describe(name) for name in names]
    if not any(described) and (not any(map(os.path.isfile, names)) or _is_unchanged(reader, names, text)):
        return {}
    return {"files": [{**file_record(name), **more} for name, more in zip(names, described, strict=True)]}


def _is_unchanged(reader: SourceReader, names: Sequence[str], text: Mapping[str, Any]) -> bool:
    """Whether the text that was read is a single plain file, byte for byte."""
    if len(names) > 1 or reader.completed or reader.replaced or streams.is_compressed(names[0]):
        return False
    return bool(text["bytes"] == streams.size_of(names))  # whatever else is changed takes bytes away


def file_record(name: str) -> dict[str, Any]:
    """Size and SHA-256 of a file as it is stored; nothing of what is no plain file."""
    if not os.path.isfile(name):
        return {}
    hashed = Hashed(streams.chunks(name, as_is=True))
    for _ in hashed:
        pass
    return hashed.record()


def content_record(name: str, content: Mapping[str, Any]) -> dict[str, Any]:
    """The record of a file's content, and of the file itself where it is compressed."""
    if os.path.isfile(name) and streams.is_compressed(name):
        return {**content, "files": [file_record(name)]}
    return dict(content)


def origin(command: str, settings: dict[str, Any], inputs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Where a checkpoint came from: nothing in it depends on time, host, user or file names."""
    import platform

    import numpy as np

    versions = {"lmkit": __version__, "numpy": np.__version__, "python": platform.python_version()}
    return {"command": command, "settings": settings, "inputs": list(inputs), "versions": versions}


def checkpoint_bytes(model: Storable, record: dict[str, Any]) -> Iterator[bytes | memoryview]:
    """A model as the bytes of a checkpoint."""
    from lmkit.checkpoint import serialize

    return serialize(model.to_checkpoint(record))
