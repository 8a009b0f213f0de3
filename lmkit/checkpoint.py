"""The one file format of lmkit: the safetensors layout, written so that equal content gives equal bytes.

    8 bytes, little-endian: length of the header
    JSON header: tensor name -> dtype, shape, data_offsets; `__metadata__` -> strings
    the tensors, little-endian, back to back

Knows bytes and arrays, no files and no models. Any safetensors reader opens the result. The
reference writer keeps metadata in hash order, hence this one: keys sorted, tensors ordered.
A checkpoint is data: every size is checked against what is really there before anything is
taken from it, and nothing in it is ever executed. And what is taken from it is what was written:
the metadata `digests` has the digests of each tensor's blocks, `lmkit` that of the rest of the header.
"""

import hashlib
import json
import math
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lmkit import digests
from lmkit.digests import Array as Array
from lmkit.digests import Buffer as Buffer
from lmkit.digests import CheckedArray, Guard
from lmkit.errors import CheckpointError

FORMAT = 1
HEADER_LIMIT = 1 << 24  # bytes
SLICE = 1 << 20  # values written at a time
DTYPES: dict[str, np.dtype[Any]] = {
    "F64": np.dtype("<f8"), "I64": np.dtype("<i8"), "U64": np.dtype("<u8"),
    "F32": np.dtype("<f4"), "I32": np.dtype("<i4"), "U32": np.dtype("<u4"),
    "F16": np.dtype("<f2"), "I16": np.dtype("<i2"), "U16": np.dtype("<u2"),
    "I8": np.dtype("i1"), "U8": np.dtype("u1"), "BOOL": np.dtype("?"),
}  # fmt: skip
NAMES = {dtype: name for name, dtype in DTYPES.items()}
BFLOAT16 = "BF16"  # the upper half of a float32; numpy has no such type
VALUES = ("card", "config", "origin", "tokenizer")  # metadata that are JSON objects
DIGESTS = "digests"


@dataclass(frozen=True)
class Streamed:
    """A one-dimensional tensor too big to hold: its type, its length, and a maker of its pieces.

    The pieces are made twice, since their digests are in front of them.
    """

    dtype: np.dtype[Any]
    length: int
    pieces: Callable[[], Iterator[Array]]

    @property
    def shape(self) -> tuple[int, ...]:
        """Its length, as arrays say it."""
        return (self.length,)


@dataclass(frozen=True)
class Stored:
    """A tensor where a file holds it: the name of its type, its shape, its bytes; not compared with any digest."""

    dtype: str
    shape: tuple[int, ...]
    data: memoryview

    def array(self) -> Array:
        """A read-only view, nothing is copied; but bfloat16, which numpy lacks, becomes float32."""
        if self.dtype == BFLOAT16:
            halves = np.frombuffer(self.data, dtype="<u2").astype(np.uint32)
            return (halves << 16).view(np.float32).reshape(self.shape)
        return np.frombuffer(self.data, dtype=DTYPES[self.dtype]).reshape(self.shape)


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
    tensors: Mapping[str, Array | Streamed]
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

    def _checked(self, name: str) -> CheckedArray:
        if isinstance(self.tensors, Tensors):
            return self.tensors.checked(name)
        values = self.tensors[name]
        return CheckedArray(np.concatenate(list(values.pieces())) if isinstance(values, Streamed) else values)

    def shapes(self) -> dict[str, tuple[str, tuple[int, ...]]]:
        """The type and shape of each tensor, none of which is read."""
        if isinstance(self.tensors, Tensors):
            return {name: (tensor.dtype, tensor.shape) for name, tensor in self.tensors.stored.items()}
        return {name: (_dtype(tensor), tensor.shape) for name, tensor in self.tensors.items()}

    def check(self, names: Iterable[str] | None = None) -> None:
        """Compares tensors with their digests, all or those named. Raises CheckpointError that names a damaged one."""
        if isinstance(self.tensors, Tensors):
            self.tensors.check(self.tensors if names is None else names)


def canonical(value: object) -> str:
    """Compact JSON with sorted keys: the one spelling of a value."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def serialize(checkpoint: Checkpoint) -> Iterator[bytes | memoryview]:
    """The bytes of a checkpoint, in pieces, in one pass over the file."""
    values = {key: canonical(getattr(checkpoint, key)) for key in VALUES}
    texts = {name: digests.to_text(_digests(name, tensor)) for name, tensor in checkpoint.tensors.items()}
    about = {"algorithm": digests.ALGORITHM, "block": digests.BLOCK, "tensors": texts}
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


def _dtype(tensor: Array | Streamed) -> str:
    return NAMES[tensor.dtype.newbyteorder("<")]


def _digests(name: str, tensor: Array | Streamed) -> Array:
    if isinstance(tensor, Streamed):
        return digests.of_bytes(_stream(name, tensor))
    if tensor.flags.c_contiguous and tensor.dtype.newbyteorder("<") == tensor.dtype:
        return digests.of_whole(_bytes(tensor))
    return digests.of_bytes(_slices(tensor))


def serialize_tensors(
    named: Mapping[str, Array | Streamed], metadata: Mapping[str, str]
) -> Iterator[bytes | memoryview]:
    """The bytes of a file of tensors, in pieces, in one pass.

    Tensors are ordered by width and then by name, so that each starts aligned to its width.
    """
    tensors = sorted(named.items(), key=lambda item: (-item[1].dtype.itemsize, item[0]))
    header: dict[str, Any] = {"__metadata__": dict(metadata)}
    offset = 0
    for name, tensor in tensors:
        size = tensor.dtype.itemsize * int(np.prod(tensor.shape, dtype=np.int64))
        header[name] = {
            "data_offsets": [offset, offset + size],
            "dtype": _dtype(tensor),
            "shape": list(tensor.shape),
        }
        offset += size
    text = canonical(header).encode()
    text += b" " * (-len(text) % 8)
    yield struct.pack("<Q", len(text)) + text
    for name, tensor in tensors:
        if isinstance(tensor, Streamed):
            yield from _stream(name, tensor)
        else:
            yield from _slices(tensor)


def _slices(tensor: Array) -> Iterator[memoryview]:
    flat = tensor.reshape(-1)
    for begin in range(0, len(flat), SLICE):
        yield _bytes(flat[begin : begin + SLICE])


def _bytes(array: Array) -> memoryview:
    little = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
    return little.reshape(-1).view(np.uint8).data


def _stream(name: str, tensor: Streamed) -> Iterator[memoryview]:
    written = 0
    for piece in tensor.pieces():
        written += len(piece)
        if len(piece):
            yield _bytes(piece.astype(tensor.dtype, copy=False))
    if written != tensor.length:
        raise AssertionError(f"tensor {name} has {written} values, {tensor.length} were promised")


def is_checkpoint(start: Buffer) -> bool:
    """Whether the first bytes look like the safetensors layout: a header length, not eight bytes of text, and a `{`."""
    length = bytes(start[:8])
    return len(start) >= 9 and bytes(start[8:9]) == b"{" and (b"\0" in length or b"\xff" in length)


def extent(start: Buffer) -> int:
    """How many bytes to read of a file that begins so: to the end of its header, or of its tensors and one more.

    No more than there are where `parse` would refuse them anyhow.
    """
    view = memoryview(start)
    (length,) = struct.unpack("<Q", view[:8])
    if 2 <= length <= HEADER_LIMIT and len(view) < 8 + length:
        return 8 + int(length)
    try:
        header, _, begin = _header(view)
        header.pop("__metadata__", None)
        ends = [_entry(name, entry)[3] for name, entry in header.items()]
    except CheckpointError:
        return 0
    return begin + max(ends, default=0) + 1


def parse(data: Buffer, name: str = "") -> Checkpoint:
    """The checkpoint in `data`; its arrays are read-only views of it, nothing is copied.

    `name` is what errors call it that are raised later, when tensors are read.

    Raises CheckpointError for anything that is not a whole, well-formed checkpoint.
    """
    view = memoryview(data)
    header, text, begin = _header(view)
    metadata = header.pop("__metadata__", {})
    stored = _tensors(header, view[begin:])
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
    if (about.get("algorithm"), about.get("block")) != (digests.ALGORITHM, digests.BLOCK):
        raise CheckpointError("the checkpoint has digests of a kind unknown here", hint="update lmkit to read it")
    texts = about.get("tensors")
    if not isinstance(texts, dict):
        raise CheckpointError("damaged checkpoint: no digests of the tensors")
    guards = {}
    for name, tensor in stored.items():
        found = digests.from_text(texts.get(name), len(tensor.data))
        if found is None:
            raise CheckpointError(f"damaged checkpoint: no digests of tensor {name!r}")
        guards[name] = Guard(name, tensor.data, found, file)
    return guards


def stored_tensors(data: Buffer) -> dict[str, Stored]:
    """The tensors of any safetensors file, a checkpoint of lmkit or not.

    Raises CheckpointError for anything that is not a whole, well-formed one.
    """
    view = memoryview(data)
    header, _, begin = _header(view)
    header.pop("__metadata__", None)
    return _tensors(header, view[begin:])


def _header(view: memoryview) -> tuple[dict[str, Any], bytes, int]:
    if len(view) < 8:
        raise CheckpointError("not a checkpoint: shorter than a header")
    (length,) = struct.unpack("<Q", view[:8])
    if length > HEADER_LIMIT or length < 2:
        raise CheckpointError("not a checkpoint: impossible header length")
    if length > len(view) - 8:
        raise CheckpointError(f"damaged checkpoint: the header says {length} bytes, {len(view) - 8} follow")
    text = bytes(view[8 : 8 + length])
    try:
        header = json.loads(text, object_pairs_hook=_once, parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise CheckpointError("not a checkpoint: the header is not JSON") from None
    if not isinstance(header, dict):
        raise CheckpointError("not a checkpoint: the header is not a JSON object")
    return header, text, 8 + length


def _no_number(name: str) -> None:
    """NaN and infinities are no JSON. Raises ValueError."""
    raise ValueError(f"{name} is no JSON")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object none of whose keys stands twice. Raises ValueError."""
    content = dict(pairs)
    if len(content) != len(pairs):
        raise ValueError("a key stands twice")
    return content


def _metadata(metadata: object, key: str) -> dict[str, Any]:
    text = metadata.get(key, "{}") if isinstance(metadata, dict) else "{}"
    try:
        value = json.loads(text, object_pairs_hook=_once, parse_constant=_no_number) if isinstance(text, str) else None
        canonical(value).encode()  # strings that are no text can't be written again
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise CheckpointError(f"damaged checkpoint: metadata {key!r} is not a JSON object")
    return value


def _tensors(header: Mapping[str, Any], data: memoryview) -> dict[str, Stored]:
    """The tensors, which must lie back to back and fill `data` exactly."""
    tensors: dict[str, Stored] = {}
    spans = []
    for name, entry in header.items():
        dtype, shape, begin, end = _entry(name, entry)
        spans.append((begin, end, name))
        if end > len(data):
            raise CheckpointError(f"damaged checkpoint: tensor {name!r} ends at {end}, the file at {len(data)}")
        tensors[name] = Stored(dtype, shape, data[begin:end])
    position = 0
    for begin, end, name in sorted(spans):
        if begin != position:
            raise CheckpointError(f"damaged checkpoint: tensor {name!r} does not begin where the one before ends")
        position = end
    if position != len(data):
        raise CheckpointError(f"damaged checkpoint: {len(data) - position} bytes after the last tensor")
    return tensors


def _entry(name: str, entry: object) -> tuple[str, tuple[int, ...], int, int]:
    def natural(value: object) -> bool:
        return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**62

    if isinstance(entry, dict):
        dtype, shape, offsets = (entry.get(key) for key in ("dtype", "shape", "data_offsets"))
        if (
            isinstance(dtype, str) and (dtype in DTYPES or dtype == BFLOAT16)
            and isinstance(shape, list) and len(shape) <= 16 and all(map(natural, shape))
            and isinstance(offsets, list) and len(offsets) == 2 and all(map(natural, offsets))
        ):  # fmt: skip
            size = 2 if dtype == BFLOAT16 else DTYPES[dtype].itemsize
            for length in shape:
                size *= length
            if offsets[1] - offsets[0] == size and math.prod(length or 1 for length in shape) < 2**59:
                return dtype, tuple(shape), offsets[0], offsets[1]
    raise CheckpointError(f"damaged checkpoint: the entry of tensor {name!r} makes no sense")
