"""The safetensors layout: a header of JSON, then tensors back to back. Knows bytes and arrays, no files and no models.

    8 bytes, little-endian: length of the header
    JSON header: tensor name -> dtype, shape, data_offsets; `__metadata__` -> strings
    the tensors, little-endian

The reference writer keeps metadata in hash order, hence this one: keys sorted, tensors ordered. Every size is
checked against what is really there before anything is taken from it.
"""

import json
import math
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from lmkit.digests import Array, Buffer
from lmkit.errors import CheckpointError

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


Written = Array | Streamed | Stored
"""What can become a tensor of a file."""


def dtype_of(tensor: Written) -> str:
    """The name of its type."""
    return tensor.dtype if isinstance(tensor, Stored) else NAMES[tensor.dtype.newbyteorder("<")]


def width_of(tensor: Written) -> int:
    """Bytes of one of its values."""
    if isinstance(tensor, Stored):
        return 2 if tensor.dtype == BFLOAT16 else DTYPES[tensor.dtype].itemsize
    return tensor.dtype.itemsize


def canonical(value: object) -> str:
    """Compact JSON with sorted keys: the one spelling of a value."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def serialize_tensors(named: Mapping[str, Written], metadata: Mapping[str, str]) -> Iterator[bytes | memoryview]:
    """The bytes of a file of tensors, in pieces, in one pass.

    Tensors are ordered by width and then by name, so that each starts aligned to its width.
    """
    tensors = sorted(named.items(), key=lambda item: (-width_of(item[1]), item[0]))
    header: dict[str, Any] = {"__metadata__": dict(metadata)}
    offset = 0
    for name, tensor in tensors:
        size = width_of(tensor) * int(np.prod(tensor.shape, dtype=np.int64))
        header[name] = {
            "data_offsets": [offset, offset + size],
            "dtype": dtype_of(tensor),
            "shape": list(tensor.shape),
        }
        offset += size
    text = canonical(header).encode()
    text += b" " * (-len(text) % 8)
    yield struct.pack("<Q", len(text)) + text
    for name, tensor in tensors:
        if isinstance(tensor, Streamed):
            yield from pieces_of(name, tensor)
        elif isinstance(tensor, Stored):
            yield tensor.data
        else:
            yield from slices(tensor)


def slices(tensor: Array) -> Iterator[memoryview]:
    """The bytes of an array as they are written, in pieces."""
    flat = tensor.reshape(-1)
    for begin in range(0, len(flat), SLICE):
        yield bytes_of(flat[begin : begin + SLICE])


def bytes_of(array: Array) -> memoryview:
    """The bytes of an array as they are written."""
    little = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
    return little.reshape(-1).view(np.uint8).data


def pieces_of(name: str, tensor: Streamed) -> Iterator[memoryview]:
    """The bytes of a streamed tensor, in pieces, which must be as many as it says."""
    written = 0
    for piece in tensor.pieces():
        written += len(piece)
        if len(piece):
            yield bytes_of(piece.astype(tensor.dtype, copy=False))
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
        header, _, begin = read_header(view)
        header.pop("__metadata__", None)
        ends = [_entry(name, entry)[3] for name, entry in header.items()]
    except CheckpointError:
        return 0
    return begin + max(ends, default=0) + 1


def stored_tensors(data: Buffer) -> dict[str, Stored]:
    """The tensors of any safetensors file, a checkpoint of lmkit or not.

    Raises CheckpointError for anything that is not a whole, well-formed one.
    """
    view = memoryview(data)
    header, _, begin = read_header(view)
    header.pop("__metadata__", None)
    return tensors_in(header, view[begin:])


def read_header(view: memoryview) -> tuple[dict[str, Any], bytes, int]:
    """The header, its text, and where the tensors begin. Raises CheckpointError."""
    if len(view) < 8:
        raise CheckpointError("not a checkpoint: shorter than a header")
    (length,) = struct.unpack("<Q", view[:8])
    if length > HEADER_LIMIT or length < 2:
        raise CheckpointError("not a checkpoint: impossible header length")
    if length > len(view) - 8:
        raise CheckpointError(f"damaged checkpoint: the header says {length} bytes, {len(view) - 8} follow")
    text = bytes(view[8 : 8 + length])
    try:
        header = json.loads(text, object_pairs_hook=once, parse_constant=no_number)
    except (ValueError, RecursionError):
        raise CheckpointError("not a checkpoint: the header is not JSON") from None
    if not isinstance(header, dict):
        raise CheckpointError("not a checkpoint: the header is not a JSON object")
    return header, text, 8 + length


def no_number(name: str) -> None:
    """NaN and infinities are no JSON. Raises ValueError."""
    raise ValueError(f"{name} is no JSON")


def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object without repeated keys. Raises ValueError."""
    content = dict(pairs)
    if len(content) != len(pairs):
        raise ValueError("a key occurs twice")
    return content


def tensors_in(header: Mapping[str, Any], data: memoryview) -> dict[str, Stored]:
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
    raise CheckpointError(f"damaged checkpoint: the entry of tensor {name!r} is invalid")
