"""The one file format of lmkit: the safetensors layout with metadata of its own, equal bytes for equal content.

Knows bytes and arrays, no files and no models. Any safetensors reader opens the result.
A checkpoint is data: nothing in it is ever executed. And what is taken from it is what was written: the metadata
`digests` has the digests of each tensor's blocks, `lmkit` has that of the rest of the header.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from lmkit import digests, safetensors_layout
from lmkit.digests import Array, Buffer, CheckedArray, Guard
from lmkit.errors import CheckpointError
from lmkit.safetensors_layout import (
    BFLOAT16,
    DTYPES,
    NAMES,
    Stored,
    Streamed,
    Written,
    canonical,
    dtype_of,
    extent,
    is_checkpoint,
    serialize_tensors,
    stored_tensors,
)

__all__ = [
    "BFLOAT16", "DTYPES", "NAMES", "Array", "Buffer", "Checkpoint", "Stored", "Streamed", "Tensors", "Written",
    "canonical", "extent", "is_checkpoint", "parse", "serialize", "serialize_tensors", "stored_tensors",
]  # fmt: skip
FORMAT = 1
VALUES = ("card", "config", "origin", "tokenizer")  # metadata that are JSON objects
DIGESTS = "digests"


class Tensors(Mapping[str, Array]):
    """The tensors of a file by name, each compared with its digests when it is taken.

    `guards` are of the tensors that have digests: all, or none where the file was written before there were any.
    """

    def __init__(self, stored: Mapping[str, Stored], guards: Mapping[str, Guard]) -> None:
        self.stored, self._guards = stored, guards

    def __getitem__(self, name: str) -> Array:
        return self.checked(name).whole()

    def __contains__(self, name: object) -> bool:
        return name in self.stored

    def __iter__(self) -> Iterator[str]:
        return iter(self.stored)

    def __len__(self) -> int:
        return len(self.stored)

    def checked(self, name: str) -> CheckedArray:
        """A tensor whose parts are compared when they are read; bfloat16, which is converted, at once."""
        stored, guard = self.stored[name], self._guards.get(name)
        if guard is not None and stored.dtype == BFLOAT16:
            guard.check()
            guard = None
        return CheckedArray(stored.array(), guard)

    def renamed(self, names: Mapping[str, str]) -> "Tensors":
        """Some tensors under other names: from the new to the old."""
        guards = {new: self._guards[old] for new, old in names.items() if old in self._guards}
        return Tensors({new: self.stored[old] for new, old in names.items()}, guards)

    def check(self, names: Iterable[str]) -> None:
        """Compares tensors, those that are there, all at once. Raises CheckpointError that names the first damaged."""
        digests.check_all([self._guards[name] for name in names if name in self._guards])


@dataclass(frozen=True)
class Checkpoint:
    """What a file holds. `config`, `tokenizer`, `origin`, `card` are JSON objects.

    `digest` is of all that a file holds, and is empty for what comes from no file; `protected` says whether the
    file has digests.
    """

    kind: str
    config: Mapping[str, Any]
    tensors: Mapping[str, Written]
    tokenizer: Mapping[str, Any] = field(default_factory=dict)
    origin: Mapping[str, Any] = field(default_factory=dict)
    card: Mapping[str, Any] = field(default_factory=dict)
    digest: str = ""
    protected: bool = False

    def array(self, name: str, dtype: str, shape: tuple[int | None, ...]) -> Array:
        """The tensor `name`, held to its dtype and shape (None: any length).

        Raises CheckpointError where it is absent, otherwise or damaged.
        """
        return self.checked(name, dtype, shape).whole()

    def checked(self, name: str, dtype: str, shape: tuple[int | None, ...]) -> CheckedArray:
        """The same tensor for those who read few of its values, which are compared with their digests one by one."""
        if name not in self.tensors:
            raise CheckpointError(f"damaged checkpoint: no tensor {name!r}")
        tensor = self._checked(name)
        fits = len(tensor.shape) == len(shape) and all(
            want is None or want == have for want, have in zip(shape, tensor.shape, strict=True)
        )
        if tensor.dtype != DTYPES[dtype] or not fits:
            raise CheckpointError(
                f"damaged checkpoint: tensor {name!r} is {tensor.dtype}{list(tensor.shape)}, "
                f"expected {DTYPES[dtype]}{['any' if n is None else n for n in shape]}"
            )
        return tensor

    def with_tokenizer(self, tokenizer: Mapping[str, Any], prefix: str) -> "Checkpoint":
        """The same file with another tokenizer in it as its own, whose tensors begin with `prefix`."""
        names = {f"tokenizer.{name[len(prefix) :]}": name for name in self.tensors if name.startswith(prefix)}
        if isinstance(self.tensors, Tensors):
            return replace(self, tokenizer=tokenizer, tensors=self.tensors.renamed(names))
        return replace(self, tokenizer=tokenizer, tensors={new: self.tensors[old] for new, old in names.items()})

    def _checked(self, name: str) -> CheckedArray:
        if isinstance(self.tensors, Tensors):
            return self.tensors.checked(name)
        values = self.tensors[name]
        if isinstance(values, Stored):
            return CheckedArray(values.array())
        return CheckedArray(np.concatenate(list(values.pieces())) if isinstance(values, Streamed) else values)

    def stored(self, name: str) -> Stored:
        """A tensor's bytes as the file has them. Raises CheckpointError where it is absent or damaged."""
        if name not in self.tensors:
            raise CheckpointError(f"damaged checkpoint: no tensor {name!r}")
        if isinstance(self.tensors, Tensors):
            self.tensors.check([name])
            return self.tensors.stored[name]
        values = self.tensors[name]
        if isinstance(values, Stored):
            return values
        array = self._checked(name).whole()
        return Stored(dtype_of(array), array.shape, safetensors_layout.bytes_of(array))

    def shapes(self) -> dict[str, tuple[str, tuple[int, ...]]]:
        """The type and shape of each tensor, none of which is read."""
        if isinstance(self.tensors, Tensors):
            return {name: (tensor.dtype, tensor.shape) for name, tensor in self.tensors.stored.items()}
        return {name: (dtype_of(tensor), tensor.shape) for name, tensor in self.tensors.items()}

    def check(self, names: Iterable[str] | None = None) -> None:
        """Compares tensors with their digests, all or those named. Raises CheckpointError that names a damaged one."""
        if isinstance(self.tensors, Tensors):
            self.tensors.check(self.tensors if names is None else names)


def serialize(checkpoint: Checkpoint) -> Iterator[bytes | memoryview]:
    """The bytes of a checkpoint, in pieces, in one pass over the file."""
    values = {key: canonical(getattr(checkpoint, key)) for key in VALUES}
    texts = {name: digests.to_text(_digests(name, tensor)) for name, tensor in checkpoint.tensors.items()}
    about = {"algorithm": digests.WRITTEN, "block": digests.BLOCK, "tensors": texts}
    metadata = {**values, DIGESTS: canonical(about)}
    digest = _digest(checkpoint.kind, FORMAT, metadata, checkpoint.shapes())
    mark = {"digest": digest, "format": FORMAT, "kind": checkpoint.kind}
    return serialize_tensors(checkpoint.tensors, {**metadata, "lmkit": canonical(mark)})


def _digest(
    kind: str, number: int, metadata: Mapping[str, Any], shapes: Mapping[str, tuple[str, tuple[int, ...]]]
) -> str:
    """SHA-256 of all that a header says, the digests of the tensors among it, but for where these lie.

    So it is also that of a file which another program has written again from the same content.
    """
    known = {key: metadata.get(key) for key in (*VALUES, DIGESTS)}
    return hashlib.sha256(canonical([kind, number, known, shapes]).encode(errors="surrogatepass")).hexdigest()


def _digests(name: str, tensor: Written) -> Array:
    if isinstance(tensor, Stored):
        return digests.of_whole(tensor.data)
    if isinstance(tensor, Streamed):
        return digests.of_bytes(safetensors_layout.pieces_of(name, tensor))
    if tensor.flags.c_contiguous and tensor.dtype.newbyteorder("<") == tensor.dtype:
        return digests.of_whole(safetensors_layout.bytes_of(tensor))
    return digests.of_bytes(safetensors_layout.slices(tensor))


def parse(data: Buffer, name: str = "") -> Checkpoint:
    """The checkpoint in `data`; its arrays are read-only views of it, nothing is copied.

    `name` is what errors call it that are raised later, when tensors are read.

    Raises CheckpointError for anything that is not a whole, well-formed checkpoint.
    """
    view = memoryview(data)
    header, text, begin = safetensors_layout.read_header(view)
    metadata = header.pop("__metadata__", {})
    stored = safetensors_layout.tensors_in(header, view[begin:])
    mark = _metadata(metadata, "lmkit")
    values: dict[str, Any] = {key: _metadata(metadata, key) for key in VALUES}
    kind, number = mark.get("kind"), mark.get("format")
    if not isinstance(kind, str) or not isinstance(number, int):
        raise CheckpointError(
            "a safetensors file, but not an lmkit checkpoint", hint="of a model for transformers, name the folder"
        )
    if number > FORMAT:
        raise CheckpointError(
            f"checkpoint format {number} is newer than this lmkit reads ({FORMAT})", hint="update lmkit to read it"
        )
    if "digest" not in mark and DIGESTS not in metadata:  # written before there were any
        digest = hashlib.sha256(text).hexdigest()
        return Checkpoint(kind, tensors=Tensors(stored, {}), digest=digest, **values)
    about = _metadata(metadata, DIGESTS)
    shapes = {name: (tensor.dtype, tensor.shape) for name, tensor in stored.items()}
    digest = _digest(kind, number, metadata, shapes)
    if mark.get("digest") != digest:
        raise CheckpointError("damaged checkpoint: the header is not what was written")
    tensors = Tensors(stored, _guards(about, stored, name))
    return Checkpoint(kind, tensors=tensors, digest=digest, protected=True, **values)


def _guards(about: Mapping[str, Any], stored: Mapping[str, Stored], file: str) -> dict[str, Guard]:
    """What compares each tensor with its digests. Raises CheckpointError where it has none."""
    algorithm = str(about.get("algorithm"))
    if algorithm not in digests.ALGORITHMS or about.get("block") != digests.BLOCK:
        raise CheckpointError("the checkpoint has digests of a kind unknown here", hint="update lmkit to read it")
    texts = about.get("tensors")
    if not isinstance(texts, dict):
        raise CheckpointError("damaged checkpoint: no digests of the tensors")
    guards = {}
    for name, tensor in stored.items():
        found = digests.from_text(texts.get(name), len(tensor.data), digests.ALGORITHMS[algorithm])
        if found is None:
            raise CheckpointError(f"damaged checkpoint: no digests of tensor {name!r}")
        guards[name] = Guard(name, tensor.data, found, file, algorithm)
    return guards


def _metadata(metadata: object, key: str) -> dict[str, Any]:
    text = metadata.get(key, "{}") if isinstance(metadata, dict) else "{}"
    try:
        value = (
            json.loads(text, object_pairs_hook=safetensors_layout.once, parse_constant=safetensors_layout.no_number)
            if isinstance(text, str)
            else None
        )
        canonical(value).encode()  # strings that are no text can't be written again
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise CheckpointError(f"damaged checkpoint: metadata {key!r} is not a JSON object")
    return value
