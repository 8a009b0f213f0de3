"""The layout of GGUF files, version 2 and 3: values by key, then tensors in blocks. Opens no file.

    GGUF, version (u32), number of tensors and of values (u64)
    each value: key, type (u32), value; strings are their length (u64) and UTF-8
    each tensor: name, number of dimensions (u32), these from the innermost (u64), type (u32), offset (u64)
    the tensors, each at a multiple of `general.alignment`

ggml's docs/gguf.md. All numbers are little-endian.
"""

import math
import struct
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from lmkit.errors import CheckpointError

MAGIC = b"GGUF"
ALIGNMENT = 32
_STRING, _ARRAY, _BOOL = 8, 9, 7
_NUMBERS = {0: "u1", 1: "i1", 2: "u2", 3: "i2", 4: "u4", 5: "i4", 6: "f4", 7: "?", 10: "u8", 11: "i8", 12: "f8"}
_TYPES = {bool: 7, int: 4, float: 6, str: 8}
F32, F16, Q4_0, Q4_1, Q8_0, BF16 = 0, 1, 2, 3, 8, 30
NAMES: Mapping[int, str] = {F16: "fp16", Q4_0: "q4_0", Q4_1: "q4_1", Q8_0: "q8_0", BF16: "bf16"}
"""ggml's types that are precisions of ours; the others' sizes are in `_BLOCKS`."""
_BLOCKS = {
    0: (1, 4), 1: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34), 10: (256, 84),
    11: (256, 110), 12: (256, 144), 13: (256, 176), 14: (256, 210), 20: (32, 18), 23: (256, 136), 28: (1, 8),
    24: (1, 1), 25: (1, 2), 26: (1, 4), 27: (1, 8), 30: (1, 2),
}  # fmt: skip


class Entry(NamedTuple):
    """A tensor: ggml's number of its type, its shape, rows first, and its bytes."""

    kind: int
    shape: tuple[int, ...]
    data: memoryview


class _Reader:
    """A place in the bytes of a file."""

    def __init__(self, data: memoryview) -> None:
        self._data, self.place = data, 0

    def take(self, size: int) -> memoryview:
        if size > len(self._data) - self.place:
            raise CheckpointError(f"damaged GGUF file: it ends at {len(self._data)}, {self.place + size} are named")
        self.place += size
        return self._data[self.place - size : self.place]

    def number(self, kind: str) -> Any:
        return np.frombuffer(self.take(np.dtype(kind).itemsize), dtype=f"<{kind}")[0].item()

    def text(self) -> str:
        try:
            return str(self.take(self.number("u8")), "utf-8", "surrogateescape")
        except OverflowError:
            raise CheckpointError("damaged GGUF file: the length of a string is impossible") from None

    def value(self, kind: int) -> Any:
        if kind == _STRING:
            return self.text()
        if kind == _ARRAY:
            inner, count = self.number("u4"), self.number("u8")
            if inner in _NUMBERS:
                dtype = np.dtype(_NUMBERS[inner]).newbyteorder("<")
                return np.frombuffer(self.take(count * dtype.itemsize), dtype=dtype).tolist()
            if inner == _STRING:
                return list(self._texts(count))
        elif kind in _NUMBERS:
            return self.number(_NUMBERS[kind])
        raise CheckpointError(f"damaged GGUF file: a value of type {kind}")

    def _texts(self, count: int) -> Iterator[str]:
        length, data, place = struct.Struct("<Q"), self._data, self.place
        for _ in range(count):
            if place + 8 > len(data):
                break
            (size,) = length.unpack_from(data, place)
            place += 8 + size
            if place > len(data):
                break
            yield str(data[place - size : place], "utf-8", "surrogateescape")
        self.place = place
        self.take(0)


def parse(data: memoryview) -> tuple[dict[str, Any], dict[str, Entry]]:
    """Values by key and tensors by name; nothing is copied. Raises CheckpointError where the file is damaged."""
    reader = _Reader(data)
    reader.take(4)
    version, tensors, values = reader.number("u4"), reader.number("u8"), reader.number("u8")
    if version not in (2, 3):
        raise CheckpointError(f"damaged GGUF file: version {version}, expected 2 or 3")
    found = {}
    for _ in range(values):
        key = reader.text()
        found[key] = reader.value(reader.number("u4"))
    entries = []
    for _ in range(tensors):
        name, dimensions = reader.text(), reader.number("u4")
        shape = np.frombuffer(reader.take(8 * dimensions), dtype="<u8").tolist()
        entries.append((name, tuple(reversed(shape)), reader.number("u4"), reader.number("u8")))
    alignment = found.get("general.alignment", ALIGNMENT)
    if type(alignment) is not int or alignment < 1:
        raise CheckpointError(f"damaged GGUF file: an alignment of {alignment}")
    begin = -(-reader.place // alignment) * alignment
    return found, {name: _entry(data, name, shape, kind, begin + offset) for name, shape, kind, offset in entries}


def _entry(data: memoryview, name: str, shape: tuple[int, ...], kind: int, begin: int) -> Entry:
    if kind not in _BLOCKS:
        raise CheckpointError(f"tensor {name!r} is of a type, {kind}, unknown here")
    weights, size = _BLOCKS[kind]
    count = math.prod(shape)
    if not shape or shape[-1] % weights:
        raise CheckpointError(f"damaged GGUF file: tensor {name!r} of {list(shape)} is not of whole blocks")
    end = begin + count // weights * size
    if end > len(data):
        raise CheckpointError(f"damaged GGUF file: tensor {name!r} ends at {end}, the file at {len(data)}")
    return Entry(kind, shape, data[begin:end])


def serialize(values: Mapping[str, Any], tensors: Mapping[str, Entry]) -> Iterator[bytes | memoryview]:
    """The bytes of a file, in pieces; values are strings, numbers, flags, and lists of strings or of integers."""
    head = [MAGIC, struct.pack("<IQQ", 3, len(tensors), len(values))]
    head += [part for key, value in values.items() for part in (_text(key), _value(value))]
    offset = 0
    for name, entry in tensors.items():
        shape = tuple(reversed(entry.shape))
        head += [_text(name), struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, entry.kind, offset)]
        offset += -(-len(entry.data) // ALIGNMENT) * ALIGNMENT
    text = b"".join(head)
    yield text + bytes(-len(text) % ALIGNMENT)
    for entry in tensors.values():
        yield entry.data
        yield bytes(-len(entry.data) % ALIGNMENT)


def _text(text: str) -> bytes:
    data = text.encode("utf-8", "surrogateescape")
    return struct.pack("<Q", len(data)) + data


def _value(value: Any) -> bytes:
    if isinstance(value, list):
        if value and isinstance(value[0], str):
            return struct.pack("<IIQ", _ARRAY, _STRING, len(value)) + b"".join(map(_text, value))
        return struct.pack("<IIQ", _ARRAY, 5, len(value)) + np.array(value, dtype="<i4").tobytes()
    kind = _TYPES[type(value)]
    if kind == _STRING:
        return struct.pack("<I", kind) + _text(value)
    return struct.pack("<I", kind) + np.array(value, dtype=np.dtype(_NUMBERS[kind]).newbyteorder("<")).tobytes()
