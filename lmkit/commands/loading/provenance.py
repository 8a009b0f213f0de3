"""What a checkpoint says of where it came from, and checkpoints as bytes."""

from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from typing import Any, Protocol

from lmkit import __version__
from lmkit.io import streams
from lmkit.io.text_sources import TextSource


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


def stored(source: TextSource, names: Sequence[str]) -> dict[str, Any]:
    """What the origin says, beside the text's record, of files of records: each as it is stored, and what was read.

    Nothing where all are plain text; of stdin, which is read once, no hash.
    """
    described = {name: source.describe(name) for name in names}
    if not any(described.values()):
        return {}
    return {"files": [{**_as_stored(name), **described[name]} for name in names]}


def _as_stored(name: str) -> dict[str, Any]:
    if name == streams.STDIN:
        return {}
    hashed = Hashed(streams.chunks(name, as_is=True))
    for _ in hashed:
        pass
    return hashed.record()


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
