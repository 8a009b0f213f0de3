"""The wire format of protocol buffers: fields of a message, nothing of what they mean."""

import struct
from collections.abc import Iterator

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
Value = int | bytes


def fields(data: bytes) -> Iterator[tuple[int, Value]]:
    """Number and value of each field, bytes or a number without sign. Raises ValueError where it is no message."""
    place = 0
    while place < len(data):
        tag, place = _varint(data, place)
        number, kind = tag >> 3, tag & 7
        if not 0 < number < 1 << 29:
            raise ValueError(f"field number {number} at byte {place}")
        if kind == _VARINT:
            value, place = _varint(data, place)
            yield number, value
            continue
        if kind == _BYTES:
            size, place = _varint(data, place)
        elif kind in (_FIXED64, _FIXED32):
            size = 8 if kind == _FIXED64 else 4
        else:
            raise ValueError(f"wire type {kind} at byte {place}")
        if size > len(data) - place:
            raise ValueError(f"cut off at byte {len(data)}")
        yield number, data[place : place + size]
        place += size


def _varint(data: bytes, place: int) -> tuple[int, int]:
    """A number of 7 bits a byte, the lowest first, and where it ends."""
    value = 0
    for shift in range(0, 70, 7):
        if place >= len(data):
            raise ValueError(f"cut off at byte {len(data)}")
        byte = data[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
    raise ValueError(f"a number without end at byte {place}")


def single(value: Value) -> float:
    """A field of four bytes as a float."""
    if not isinstance(value, bytes) or len(value) != 4:
        raise ValueError("no float where one should be")
    number: float = struct.unpack("<f", value)[0]
    return number


def text(value: Value) -> str:
    """A field as text."""
    if not isinstance(value, bytes):
        raise ValueError("no text where some should be")
    return value.decode()


def number(value: Value) -> int:
    """A field as a number."""
    if not isinstance(value, int):
        raise ValueError("no number where one should be")
    return value
